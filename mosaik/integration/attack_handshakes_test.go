package integration_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// handshakes has strangers begin a connection in every way in which one can fail,
// one after the other and without a pause: TCP connections that say nothing,
// garbage, TLS of the wrong kind, other networks, connections that need a proof,
// and proofs that are made up. It costs the victims goroutines, descriptors and
// the processor time of TLS.
func handshakes(ctx context.Context, s *siege) error {
	s.underWay()
	begun := make([]int, s.Assailants)
	for i := range begun {
		begun[i] = i
	}
	s.each(ctx, func(ctx context.Context, i int) error {
		h := badHandshakes[begun[i]%len(badHandshakes)]
		addr := s.target(begun[i] / len(badHandshakes))
		begun[i]++
		one, end := context.WithTimeout(ctx, time.Second)
		defer end()
		err := h.do(one, s, i, addr)
		s.count(h.name)
		if one.Err() == nil {
			s.fail(err)
		}
		return nil
	})
	return nil
}

// everyHandshake wants each of the failing handshakes so many times.
func everyHandshake(times int64) map[string]int64 {
	enough := map[string]int64{}
	for _, h := range badHandshakes {
		enough[h.name] = times
	}
	return enough
}

// badHandshakes are the ways in which a stranger's connection fails. The error
// says that a victim answered in a way in which it must not.
var badHandshakes = []struct {
	name string
	do   func(ctx context.Context, s *siege, i int, addr string) error
}{
	{"half open", func(ctx context.Context, _ *siege, i int, addr string) error {
		return hang(ctx, i, addr, func(net.Conn) {})
	}},
	{"garbage", func(ctx context.Context, _ *siege, i int, addr string) error {
		return hang(ctx, i, addr, func(raw net.Conn) { _, _ = io.WriteString(raw, "GET / HTTP/1.1\r\n\r\n") })
	}},
	{"truncated", func(ctx context.Context, _ *siege, i int, addr string) error {
		return hang(ctx, i, addr, func(raw net.Conn) { _, _ = io.WriteString(raw, "\x16\x03\x01\x3f\xff\x01") })
	}},
	{"old TLS", func(ctx context.Context, _ *siege, i int, addr string) error {
		return hang(ctx, i, addr, func(raw net.Conn) {
			old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}
			_ = tls.Client(raw, old).HandshakeContext(ctx)
		})
	}},
	{"other protocol", func(ctx context.Context, _ *siege, i int, addr string) error {
		return hang(ctx, i, addr, func(raw net.Conn) {
			other := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}
			_ = tls.Client(raw, other).HandshakeContext(ctx)
		})
	}},
	{"other network", func(ctx context.Context, _ *siege, i int, addr string) error {
		return asStranger(sm.ID("elsewhere"), i, func(s *stranger) error {
			_, err := s.link.Dial(ctx, addr, sm.PeerID{}, link.Bond)
			return expectRefusal(err, consensus.CodeOtherNetwork)
		})
	}},
	{"raft without a bond", func(ctx context.Context, g *siege, i int, addr string) error {
		return asStranger(g.Network, i, func(s *stranger) error {
			_, err := s.link.Dial(ctx, addr, sm.PeerID{}, link.Raft)
			return expectRefusal(err, consensus.CodeUnknownPeer)
		})
	}},
	{"snapshot without a bond", func(ctx context.Context, g *siege, i int, addr string) error {
		return asStranger(g.Network, i, func(s *stranger) error {
			_, err := s.link.Dial(ctx, addr, sm.PeerID{}, link.Snapshot)
			return expectRefusal(err, consensus.CodeUnknownPeer)
		})
	}},
	{"wrong proof", func(ctx context.Context, g *siege, i int, addr string) error {
		return wantWrongProof(ctx, g, i, addr, func(theirs []byte) sm.Digest {
			proof := sm.Digest(theirs[37:69])
			proof[0] ^= 1
			return proof
		})
	}},
	{"reflected proof", func(ctx context.Context, g *siege, i int, addr string) error {
		return wantWrongProof(ctx, g, i, addr, func(theirs []byte) sm.Digest { return sm.Digest(theirs[37:69]) })
	}},
}

// hang does something with a TCP connection and waits until the victim closes it.
func hang(ctx context.Context, i int, addr string, do func(net.Conn)) error {
	raw, err := dialerFrom(i).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil // the backlog is full
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	do(raw)
	_, _ = io.Copy(io.Discard, raw)
	return nil
}

// asStranger runs do as a stranger with a new identity.
func asStranger(network sm.Digest, i int, do func(*stranger) error) error {
	s, err := newStranger(network, i)
	if err != nil {
		return err
	}
	defer s.link.Close()
	return do(s)
}

// expectRefusal returns an error unless err is a refusal with the code, or the
// connection was dropped by a limit.
func expectRefusal(err error, code consensus.CloseCode) error {
	var refused *consensus.RefusedError
	if err == nil || errors.As(err, &refused) && refused.Code != code {
		return errors.Join(errUnexpected, err)
	}
	return nil
}

// wantWrongProof tries to make a bond with a proof that does not hold, and
// returns an error if the victim says anything but that.
func wantWrongProof(
	ctx context.Context, g *siege, i int, addr string, prove func(theirs []byte) sm.Digest,
) error {
	return asStranger(g.Network, i, func(s *stranger) error {
		c, err := s.call(ctx, addr)
		if err != nil {
			return nil // dropped by a limit
		}
		defer c.Close()
		if err := c.introduce(g.Group); err != nil {
			return nil
		}
		theirs, err := c.next(frameOpen)
		if err != nil {
			return nil
		}
		if err := c.open(g.Group, prove(theirs)); err != nil {
			return nil
		}
		_, err = c.next(frameIntro)
		var refused refusalCode
		honest := []consensus.CloseCode{consensus.CodeWrongProof, consensus.CodeTimeout, consensus.CodeUnknownPeer}
		switch {
		case err == nil:
			return errors.New("a stranger is told about the group")
		case errors.As(err, &refused) && !slices.Contains(honest, consensus.CloseCode(refused)):
			return err
		}
		return nil
	})
}
