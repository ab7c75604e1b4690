package link

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// The pause after a failure to accept doubles from minAcceptPause to maxAcceptPause.
const (
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// Serve starts to accept connections and returns. It does nothing on a link that is
// closed or already serves.
func (l *Link) Serve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.stop = cancel
	l.running.Go(func() { l.acceptAll(ctx) })
}

// acceptAll accepts until the context ends.
func (l *Link) acceptAll(ctx context.Context) {
	var protocols []string
	for p := range maps.Keys(l.handlers) { // read only, now that the link serves
		protocols = append(protocols, string(p))
	}
	slices.Sort(protocols)

	for pause := time.Duration(0); ctx.Err() == nil; {
		raw, err := l.listener.Accept()
		switch {
		case err == nil:
			pause = 0
			l.enter(ctx, raw, protocols)
			continue
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		l.config.Logger.Warn("cannot accept connections", "addr", l.Addr(), "retry_in", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// Trust exempts connections from the address from the rate that all untrusted addresses
// share and from [Conn.Bar]: a member has proved itself there. Each call needs a call of
// Distrust.
func (l *Link) Trust(addr net.Addr) { l.gate.trust(addr, time.Now()) }

// Distrust revokes one call of Trust, which was made lasted ago. The address
// remains trusted for as long again, at most ten minutes, so that members can come
// back.
func (l *Link) Distrust(addr net.Addr, lasted time.Duration) {
	l.gate.distrust(addr, lasted, time.Now())
}

// enter serves an accepted connection if the limits allow it.
func (l *Link) enter(ctx context.Context, raw net.Conn, protocols []string) {
	attempt, cancel := context.WithTimeout(ctx, l.config.HandshakeTimeout)
	v, limit := l.gate.enter(raw.RemoteAddr(), time.Now(), cancel)
	if limit != LimitNone {
		l.counters.dropped[limit].Add(1)
		l.config.Logger.Warn("too many connections", "from", raw.RemoteAddr(), "limit", limit)
	}
	if v == nil {
		cancel()
		raw.Close()
		return
	}
	l.running.Go(func() {
		defer v.leave()
		defer cancel()
		l.serve(ctx, attempt, v, raw, protocols)
	})
}

// serve runs one accepted connection from its handshake to its end. The context attempt
// bounds the handshake, ctx the rest.
func (l *Link) serve(ctx, attempt context.Context, v *acceptedConn, raw net.Conn, protocols []string) {
	c := &Conn{}
	err := l.handshake(attempt, c, raw, sm.PeerID{}, protocols, func(c *Conn) error { return l.welcome(c, v) })
	v.handshakeDone()
	if err != nil {
		l.config.Logger.Debug("handshake failed", "from", raw.RemoteAddr(), "error", err)
		return
	}
	defer c.Close()
	if l.track(c, func() { c.Close() }) == nil {
		l.handlers[c.protocol()](ctx, c)
	}
}

// welcome is the acceptor's side of the preface.
func (l *Link) welcome(c *Conn, v *acceptedConn) error {
	network, err := readPreface(c.reader)
	var code consensus.CloseCode
	switch {
	case errors.Is(err, errPreface):
		code = consensus.CodeUndecodable
	case err != nil:
		return fmt.Errorf("read the preface: %w", err)
	case network != l.config.Network:
		code = consensus.CodeOtherNetwork
		err = fmt.Errorf("peer %s is on network %s, want %s", c.peer.Short(), network.Short(), l.config.Network.Short())
	default:
		if code = l.admit(c, v); code != consensus.CodeAccepted {
			err = fmt.Errorf("refused peer %s: %d, %s", c.peer.Short(), uint32(code), code)
		}
	}
	if code != consensus.CodeAccepted {
		l.counters.Refused(code, Sent)
	}
	if _, werr := c.tls.Write(appendAnswer(nil, code)); werr != nil {
		return fmt.Errorf("answer the preface: %w", werr)
	}
	return err
}

// admit decides about a peer of this network that asks for a protocol.
func (l *Link) admit(c *Conn, v *acceptedConn) consensus.CloseCode {
	if code := l.config.Admit(c.peer, c.protocol()); code != consensus.CodeAccepted {
		return code
	}
	if !v.admit(c.peer) {
		return consensus.CodeBusy
	}
	return consensus.CodeAccepted
}
