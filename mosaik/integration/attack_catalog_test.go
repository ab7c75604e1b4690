package integration_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// dialStorm fills the catalog with peers that do not exist, each at as many
// addresses as an entry can have, and signs their entries again and again as
// news. The addresses are those of a listener of ours that closes every
// connection at once, so victims that dial all that they learn do little else.
func dialStorm(ctx context.Context, s *siege) error {
	return dials(ctx, s, func(c net.Conn) { c.Close() })
}

// dialTarpit is dialStorm with a listener that keeps every connection and never
// says a word, so that each dial takes a descriptor and a goroutine until it
// times out.
func dialTarpit(ctx context.Context, s *siege) error {
	var mu sync.Mutex
	var kept []net.Conn
	defer func() {
		for _, c := range kept {
			c.Close()
		}
	}()
	return dials(ctx, s, func(c net.Conn) {
		mu.Lock()
		defer mu.Unlock()
		// The system bounds descriptors; a victim that gave up has closed its end.
		if kept = append(kept, c); len(kept) > 8192 {
			kept[0].Close()
			kept = kept[1:]
		}
	})
}

// dials spreads made-up peers whose addresses are those of counting listeners.
// Each assailant keeps one connection to each victim, and is responsible for its
// share of the peers.
func dials(ctx context.Context, s *siege, accept func(net.Conn)) error {
	addrs, err := countDials(ctx, s, 256, accept)
	if err != nil {
		return err
	}
	s.each(ctx, func(ctx context.Context, i int) error {
		peers := inventPeers(discovery.MaxPeers / s.Assailants)
		calls, err := s.callAll(ctx, i)
		if err != nil {
			return err
		}
		defer closeAll(calls)
		for ctx.Err() == nil {
			entries := make([][]byte, len(peers))
			for k, p := range peers {
				at := (i*len(peers) + k) * discovery.MaxAddrs
				where := make([]string, discovery.MaxAddrs)
				for n := range where {
					where[n] = addrs[(at+n)%len(addrs)]
				}
				entries[k] = p.entry(s.Network, where, 0)
			}
			for _, c := range calls {
				if err := c.sendEntries(entries...); err != nil {
					return err
				}
			}
			s.attempt("renewals")
			rest(ctx, 500*time.Millisecond)
		}
		return nil
	})
	return nil
}

// invented is a peer that does not exist.
type invented struct {
	key     ed25519.PrivateKey
	version uint64
}

func inventPeers(n int) []*invented {
	peers := make([]*invented, n)
	for i := range peers {
		seed := make([]byte, ed25519.SeedSize)
		rand.Read(seed)
		peers[i] = &invented{key: ed25519.NewKeyFromSeed(seed)}
	}
	return peers
}

// entry returns the signed bytes of the peer's next entry, with the addresses
// and an extension of size bytes. docs/formats.md has the layout.
func (p *invented) entry(network sm.Digest, addrs []string, size int) []byte {
	p.version++
	b := append([]byte{1}, p.key.Public().(ed25519.PublicKey)...)
	b = append(b, network[:]...)
	b = binary.BigEndian.AppendUint64(b, p.version)
	b = append(b, byte(len(addrs)))
	for _, a := range addrs {
		b = append(append(b, byte(len(a))), a...)
	}
	b = append(b, 0, 0, 0, 0, 1, 0, 77) // no groups, no tags, one extension of type 77
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, make([]byte, size)...)
	return append(b, ed25519.Sign(p.key, append([]byte("mosaik peer entry v1\x00"), b...))...)
}

// callAll returns a selected connection to each victim, over which the n-th
// assailant has introduced itself. What the victims send is read and dropped.
func (s *siege) callAll(ctx context.Context, n int) ([]*call, error) {
	var calls []*call
	for k := range s.Targets {
		p, err := newStranger(s.Network, n)
		if err != nil {
			return calls, err
		}
		c, err := p.call(ctx, s.Targets[k])
		if err == nil {
			calls = append(calls, c)
			err = c.introduce()
		}
		if err != nil {
			closeAll(calls)
			return nil, err
		}
		go c.drain()
	}
	return calls, nil
}

func closeAll(calls []*call) {
	for _, c := range calls {
		c.Close()
	}
}

// countDials listens on n loopback addresses until the context ends, counts the
// connections, and passes them on. It returns the addresses.
func countDials(ctx context.Context, s *siege, n int, accept func(net.Conn)) ([]string, error) {
	var addrs []string
	for i := range n {
		at := "127.0.0.1:0"
		if runtime.GOOS == "linux" {
			at = fmt.Sprintf("127.2.0.%d:0", 1+i%250)
		}
		ln, err := net.Listen("tcp", at)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				s.count("dials")
				accept(c)
			}
		}()
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs, nil
}

// badSignatures sends frames full of entries of made-up peers with random
// signatures. Each entry costs the victim an ed25519 verification, 7,133 in a
// frame of the largest size, and the assailant nothing.
func badSignatures(ctx context.Context, s *siege) error {
	frames := make([][]byte, len(frameSizes))
	for i, size := range frameSizes {
		frames[i] = unsignedEntries(s.Network, size)
	}
	s.each(ctx, func(ctx context.Context, i int) error {
		return asStranger(s.Network, i, func(p *stranger) error {
			c, err := p.call(ctx, s.target(i))
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.introduce(); err != nil {
				return err
			}
			s.attempt("calls")
			go c.drain()
			for k := i; ; k++ {
				c.SetWriteDeadline(time.Now().Add(2 * time.Second)) // for victims that read no more
				err := c.WriteFrame(frameEntries, frames[k%len(frames)])
				s.count("frames")
				if err != nil {
					return err
				}
			}
		})
	})
	return nil
}

// frameSizes are sizes of payloads that a victim may read or refuse to read, the
// largest one first.
var frameSizes = []int{largestFrame, 256 << 10, 16 << 10, 1 << 10}

// unsignedEntries returns the payload of an ENTRIES frame of at most the size,
// whose entries are well-formed but for their signatures, each of another peer.
func unsignedEntries(network sm.Digest, limit int) []byte {
	const size = 1 + 32 + 32 + 8 + 1 + 2 + 1 + 2 + 64 // without addresses, groups, tags and extensions
	var b []byte
	for len(b)+4+size <= limit {
		b = binary.BigEndian.AppendUint32(b, size)
		e := make([]byte, size)
		e[0] = 1
		rand.Read(e[1:33])
		copy(e[33:], network[:])
		e[72] = 1 // version
		rand.Read(e[size-64:])
		e[size-1] &= 0x0f // so that the number in the signature is in its range
		b = append(b, e...)
	}
	return b
}

// deafConnections fills the catalog, so that every new connection is sent all of
// it, and then opens many connections that never read. They stay alive by PONGs
// that nobody asked for, by PINGs whose answers wait as well, or by new entries
// of their own. All that a victim wants to send to them waits in its memory.
func deafConnections(ctx context.Context, s *siege) error {
	deaf := make([]*stranger, s.Assailants)
	var known [][]byte
	for i := range deaf {
		p, err := newStranger(s.Network, i)
		if err != nil {
			return err
		}
		e, err := p.entry()
		if err != nil {
			return err
		}
		deaf[i], known = p, append(known, e.Bytes()) // before the catalog is full
	}
	if err := fill(ctx, s, known); err != nil {
		return err
	}
	s.each(ctx, func(ctx context.Context, i int) error {
		c, err := deaf[i].call(ctx, s.target(i))
		if err != nil {
			return err
		}
		defer c.Close()
		s.attempt("calls")
		for ctx.Err() == nil {
			switch i % 3 {
			case 0:
				err = c.WriteFrame(framePong, number(1))
			case 1:
				err = c.WriteFrame(framePing, number(1))
			case 2:
				err = c.introduce()
			}
			if err != nil {
				return err
			}
			s.count("signs of life")
			rest(ctx, 500*time.Millisecond)
		}
		return nil
	})
	return nil
}

// fullCatalog fills the catalog of every victim up to its last byte with peers
// that do not exist, so that there is no room for what honest peers have to say:
// a new member's entry, or the longer entry of a member that renews its ticket.
func fullCatalog(ctx context.Context, s *siege) error {
	if err := fill(ctx, s, nil); err != nil {
		return err
	}
	s.underWay()
	return nil
}

// fill has the entries that are given and then as many others as there is room
// for put in every victim's catalog. It keeps the connections until the context
// ends.
func fill(ctx context.Context, s *siege, first [][]byte) error {
	const senders = 16 // victims slow down a connection that sends much
	var calls [senders][]*call
	for i := range calls {
		var err error
		if calls[i], err = s.callAll(ctx, s.Assailants+i); err != nil {
			return err
		}
	}
	for _, c := range calls[0] {
		if err := c.sendEntries(first...); err != nil {
			return err
		}
	}
	// The last ones are of all sizes, so that no gap is left.
	const most = discovery.MaxCatalogBytes / (discovery.MaxPeers - 256)
	sizes := slices.Repeat([]int{most}, discovery.MaxPeers-192-len(first))
	for size := 1024; size >= 16; size /= 2 {
		sizes = append(sizes, slices.Repeat([]int{size}, 16)...)
	}
	entries := make([][]byte, len(sizes))
	var making sync.WaitGroup
	for i := range senders {
		making.Go(func() {
			for k := i; k < len(sizes); k += senders {
				entries[k] = inventPeers(1)[0].entry(s.Network, nil, sizes[k])
			}
		})
	}
	making.Wait()
	for i, share := range slices.Collect(slices.Chunk(entries, (len(entries)+senders-1)/senders)) {
		for _, c := range calls[i] {
			if err := c.sendEntries(share...); err != nil {
				return err
			}
		}
	}
	return nil
}

// entryChurn has peers sign a new entry of their own twice a second. Every
// victim verifies each of them and passes it on to all that it is connected to,
// the other assailants among them.
func entryChurn(ctx context.Context, s *siege) error {
	s.each(ctx, func(ctx context.Context, i int) error {
		return asStranger(s.Network, i, func(p *stranger) error {
			c, err := p.call(ctx, s.target(i))
			if err != nil {
				return err
			}
			defer c.Close()
			go c.drain()
			s.attempt("calls")
			for ctx.Err() == nil {
				if err := c.introduce(); err != nil {
					return err
				}
				s.count("updates")
				rest(ctx, 500*time.Millisecond)
			}
			return nil
		})
	})
	return nil
}

// stalledFrames sends all but the last byte of a frame and waits. Each connection
// holds that much of the victim's memory until the victim ends it.
func stalledFrames(ctx context.Context, s *siege) error {
	s.each(ctx, func(ctx context.Context, i int) error {
		return asStranger(s.Network, i, func(p *stranger) error {
			c, err := p.call(ctx, s.target(i))
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.introduce(); err != nil {
				return err
			}
			err = stall(s, c.Conn, frameEntries, frameSizes[i%len(frameSizes)])
			if err != nil {
				return err
			}
			return c.drain()
		})
	})
	return nil
}

// stall writes all but the last byte of a frame.
func stall(s *siege, c *link.Conn, kind uint8, size int) error {
	b := make([]byte, 5+size-1)
	binary.BigEndian.PutUint32(b, uint32(1+size))
	b[4] = kind
	c.SetWriteDeadline(time.Now().Add(2 * time.Second)) // for victims that read no more
	_, err := c.Write(b)
	s.attempt("stalled")
	return err
}
