package bond

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// AdvertisedAddrs are the addresses that a peer advertises.
type AdvertisedAddrs struct {
	Addrs []string // of its newest entry, empty if no entry is known
	// Shared reports that this process advertises one of the addresses, or another peer does
	// that was connected when the last frame of this one arrived. A proxy may be there, so an
	// answer at such an address proves nothing about the peer.
	Shared bool
}

// AdvertisedAddrs returns the addresses that the peer advertises.
func (m *Manager) AdvertisedAddrs(peer sm.PeerID) AdvertisedAddrs {
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, known := m.entry(peer)
	if !known {
		return AdvertisedAddrs{}
	}
	w := AdvertisedAddrs{Addrs: entry.Addrs}
	listed := func(addr string) bool { return slices.Contains(entry.Addrs, addr) }
	w.Shared = slices.ContainsFunc(m.cfg.Catalog.Self().Addrs, listed)
	p := m.peers[peer]
	if p == nil {
		return w
	}
	lastFrame := p.lastFrame
	if p.current != nil {
		lastFrame = later(lastFrame, p.current.lastFrame)
	}
	for _, other := range m.peers {
		if w.Shared {
			break
		}
		if other == p || other.current == nil || !other.current.since.Before(lastFrame) {
			// This may be the peer's successor at the address. It comes after the peer has
			// gone, perhaps before the end of the peer's connection is detected.
			continue
		}
		o, _ := m.entry(other.id)
		w.Shared = slices.ContainsFunc(o.Addrs, listed)
	}
	return w
}

// Answer is what a dial to an address of a peer shows about the peer.
type Answer uint8

// The answers.
const (
	NoAnswer    Answer = iota // nothing: a dial can fail for many reasons
	Refused                   // no process listens there
	AnotherPeer               // another peer listens there
	SamePeer                  // the peer listens there
)

// Probe dials each of the addresses once, all at the same time, and returns what each shows
// about the peer. It takes at most the handshake timeout and ends with the context. An
// address that the rules for addresses or the dial filter forbid is not dialled and gives
// NoAnswer. The caller bounds the rate of its calls.
func (m *Manager) Probe(ctx context.Context, peer sm.PeerID, addrs []string) []Answer {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.HandshakeTimeout)
	defer cancel()
	answers := make([]Answer, len(addrs))
	var dials sync.WaitGroup
	for i, addr := range addrs {
		dials.Go(func() { answers[i] = m.probeAddr(ctx, peer, addr) })
	}
	dials.Wait()
	return answers
}

func (m *Manager) probeAddr(ctx context.Context, peer sm.PeerID, addr string) Answer {
	var tried atomic.Int32
	c, err := m.cfg.Link.DialChecked(ctx, addr, peer, link.Bond, func(resolved netip.AddrPort) error {
		tried.Add(1)
		if m.configured(addr) {
			return nil
		}
		return m.mayDial(peer, resolved)
	})
	refused := new(consensus.RefusedError)
	switch {
	case err == nil:
		_ = c.Close()
		return SamePeer
	case errors.As(err, &refused):
		return SamePeer
	case errors.Is(err, link.ErrOtherPeer), errors.Is(err, link.ErrSelf):
		return AnotherPeer
	case errors.Is(err, syscall.ECONNREFUSED) && tried.Load() == 1:
		// For a name with several addresses the error is about one of them only.
		return Refused
	}
	return NoAnswer
}
