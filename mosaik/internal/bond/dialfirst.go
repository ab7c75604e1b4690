package bond

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// Dial opens a connection to a peer for a protocol other than that of bonds: at an address of
// the peer's entry, or at a seed where the peer answered. It dials the address that worked last
// first, and a further one whenever a dial has failed or the last one has not been answered
// within [dialler.Stagger]: an address that drops packets, or accepts connections and never
// answers, must not use up the time of the whole dial. Dial returns the connection that is
// open first, or the errors of all addresses. The caller owns the connection, and bounds the
// rate of its calls.
func (m *Manager) Dial(ctx context.Context, peer sm.PeerID, p link.Protocol) (*link.Conn, error) {
	entry, known := m.Entry(peer)
	seeds := m.seedsOf(peer)
	addrs := slices.Concat(dialler.InOrder(entry.Addrs, m.worked(peer)), seeds)
	switch {
	case len(addrs) > 0:
	case known:
		return nil, fmt.Errorf("bond: dial peer %s: %w", peer.Short(), errNoAddress)
	default:
		return nil, fmt.Errorf("bond: dial peer %s: no entry of the peer is known", peer.Short())
	}
	check := func(addr netip.AddrPort) error { return m.mayDial(peer, addr) }
	c, addr, err := dialFirst(ctx, addrs, func(ctx context.Context, addr string) (*link.Conn, error) {
		if slices.Contains(seeds, addr) {
			return m.cfg.Link.DialChecked(ctx, addr, peer, p, nil)
		}
		return m.cfg.Link.DialChecked(ctx, addr, peer, p, m.unlessConfigured(addr, check))
	})
	if err != nil {
		return nil, fmt.Errorf("bond: dial peer %s: %w", peer.Short(), err)
	}
	if !slices.Contains(seeds, addr) {
		m.setWorked(peer, addr)
	}
	return c, nil
}

// worked returns the address at which the peer was dialled successfully last, "" for none.
func (m *Manager) worked(peer sm.PeerID) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.peers[peer]; known != nil {
		return known.target.Worked
	}
	return ""
}

// setWorked records the address at which the peer was dialled successfully.
func (m *Manager) setWorked(peer sm.PeerID, addr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.peers[peer]; known != nil {
		known.target.Worked = addr
	}
}

// dialFirst calls open with the addresses, in order and staggered, and returns the connection
// that is open first with its address. It closes any other. If no address answers, or ctx ends
// before, it returns the errors of the addresses that were dialled.
func dialFirst[C io.Closer](
	ctx context.Context, addrs []string, open func(ctx context.Context, addr string) (C, error),
) (conn C, addr string, err error) {
	type result struct {
		conn C
		addr string
		err  error
	}
	results := make(chan result, len(addrs)) // so that no dial waits for its receiver
	ctx, cancel := context.WithCancel(ctx)
	var dials sync.WaitGroup
	defer func() {
		cancel()
		dials.Wait()
		close(results)
		for r := range results {
			if r.err == nil {
				r.conn.Close()
			}
		}
	}()
	next := time.NewTimer(dialler.Stagger)
	defer next.Stop()
	left, inFlight := addrs, 0
	dial := func() {
		if len(left) == 0 {
			return
		}
		addr := left[0]
		left, inFlight = left[1:], inFlight+1
		next.Reset(dialler.Stagger)
		dials.Go(func() {
			c, err := open(ctx, addr)
			results <- result{c, addr, err}
		})
	}
	var errs []error
	for dial(); inFlight > 0; {
		select {
		case r := <-results:
			inFlight--
			if r.err == nil {
				return r.conn, r.addr, nil
			}
			errs = append(errs, r.err)
			if ctx.Err() == nil {
				dial()
			}
		case <-next.C:
			dial()
		}
	}
	return conn, "", errors.Join(errs...)
}
