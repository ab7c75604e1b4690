package bond

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// headStart is how long a dial may take before the peer is asked to connect, too.
	headStart = 250 * time.Millisecond
	// maxSlow is how many dials in a row may be slower than the peer's own before that
	// counts as a failure.
	maxSlow = 3
)

// errNoAddress reports a peer that does not say where it is.
var errNoAddress = errors.New("it advertises no address")

// dialStatus is what is known about connections between this peer and another in either
// direction. It is guarded by the manager's mutex.
type dialStatus struct {
	err        error // why this end could not open a connection last, nil if it could
	slow       int   // connections in a row that the other end opened sooner
	logged     dialler.FailureLog
	reportedAt time.Time // when the peer said last that it cannot connect to this end
}

// Obstacle is what keeps two peers that have a bond from opening connections to each other.
type Obstacle struct {
	// Dial is why this peer cannot connect to the other at the addresses that it
	// advertises, nil if it can.
	Dial error
	// Blamed reports that the other cannot connect to this peer at the addresses that
	// this one advertises.
	Blamed bool
}

// reportTime is how long the word of a peer counts that it cannot connect to this one.
const reportTime = time.Minute

// Obstacles returns what keeps peers that have a connection from opening others.
func (m *Manager) Obstacles() map[sm.PeerID]Obstacle {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all map[sm.PeerID]Obstacle
	for id, p := range m.peers {
		o := Obstacle{Dial: p.dialStatus.err, Blamed: time.Since(p.dialStatus.reportedAt) < reportTime}
		if p.current == nil || o == (Obstacle{}) {
			continue
		}
		if all == nil {
			all = map[sm.PeerID]Obstacle{}
		}
		all[id] = o
	}
	return all
}

// Connect opens a connection to a peer for another protocol than that of bonds. When that
// fails, or takes longer than a quarter of a second, a peer with a bond is asked to open
// it: one of the two may be behind a NAT or a firewall. The first connection counts. The
// caller owns it, and paces its calls.
func (m *Manager) Connect(
	ctx context.Context, peer sm.PeerID, p link.Protocol,
) (*link.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	var tries sync.WaitGroup
	defer tries.Wait() // what loses ends with the context
	defer cancel()
	type result struct {
		conn *link.Conn
		err  error
	}
	dialled, answered := make(chan result), make(chan result)
	try := func(to chan<- result, open func() (*link.Conn, error)) {
		tries.Go(func() {
			c, err := open()
			select {
			case to <- result{c, err}:
			case <-ctx.Done():
				if c != nil {
					c.Close()
				}
			}
		})
	}
	try(dialled, func() (*link.Conn, error) { return m.dialAnywhere(ctx, peer, p) })
	asked := false
	ask := func(failed bool) {
		if !asked {
			asked = true
			try(answered, func() (*link.Conn, error) { return m.callBack(ctx, peer, p, failed) })
		}
	}
	patience := time.NewTimer(m.headStart(peer))
	defer patience.Stop()
	var errs []error
	for {
		select {
		case <-patience.C:
			ask(m.cannotDial(peer))
		case r := <-dialled:
			if r.err == nil {
				m.dialEnded(peer, nil)
				return r.conn, nil
			}
			m.dialEnded(peer, r.err)
			errs = append(errs, r.err)
			ask(true)
		case r := <-answered:
			if r.err == nil {
				m.peerWasFaster(peer, len(errs) > 0)
				return r.conn, nil
			}
			errs = append(errs, r.err)
		case <-ctx.Done():
			errs = append(errs, ctx.Err())
			return nil, fmt.Errorf("bond: connect to peer %s: %w", peer.Short(), errors.Join(errs...))
		}
		if len(errs) == 2 {
			return nil, fmt.Errorf("bond: connect to peer %s: %w", peer.Short(), errors.Join(errs...))
		}
	}
}

// dialAnywhere dials the peer at its addresses, and otherwise at a seed where it answered.
func (m *Manager) dialAnywhere(ctx context.Context, peer sm.PeerID, p link.Protocol) (*link.Conn, error) {
	err := errNoAddress
	if entry, ok := m.Entry(peer); !ok || len(entry.Addrs) > 0 {
		var c *link.Conn
		if c, err = m.Dial(ctx, peer, p); err == nil {
			return c, nil
		}
	}
	for _, addr := range m.seedsOf(peer) {
		c, seedErr := m.cfg.Link.DialChecked(ctx, addr, peer, p, nil)
		if seedErr == nil {
			return c, nil
		}
		err = errors.Join(err, seedErr)
	}
	return nil, err
}

// seedsOf returns the seeds at which the peer answered last and that its entry does not
// list.
func (m *Manager) seedsOf(peer sm.PeerID) (addrs []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	entry, _ := m.entry(peer)
	for _, s := range m.seeds {
		for addr, id := range s.peers {
			if id == peer && !slices.Contains(entry.Addrs, addr) && !slices.Contains(addrs, addr) {
				addrs = append(addrs, addr)
			}
		}
	}
	return addrs
}

// headStart returns how long a dial to the peer may take before the peer is asked: no time
// if it failed before.
func (m *Manager) headStart(peer sm.PeerID) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.peers[peer]
	switch {
	case known == nil:
		return headStart
	case known.dialStatus.err != nil:
		return 0
	case known.current != nil: // a handshake takes several round trips
		return max(headStart, 5*known.current.rtt)
	}
	return headStart
}

// cannotDial reports whether the last dials to the peer failed.
func (m *Manager) cannotDial(peer sm.PeerID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.peers[peer]
	return known != nil && known.dialStatus.err != nil
}

// dialEnded notes how a dial to the peer ended. That a peer without a bond is not reached
// is nothing that it could help with.
func (m *Manager) dialEnded(peer sm.PeerID, err error) {
	m.mu.Lock()
	known := m.peers[peer]
	if known == nil || known.current == nil || known.current.up == 0 || errors.Is(err, context.Canceled) {
		m.mu.Unlock()
		return
	}
	r := &known.dialStatus
	r.err = err
	if err == nil {
		r.slow = 0
	}
	news := r.logged.Changed(unlessClosed(err))
	entry, _ := m.entry(peer)
	m.mu.Unlock()
	if news {
		m.cfg.Logger.Warn("a peer cannot be dialled at the addresses that it advertises; it is asked to connect itself",
			"peer", peer.Short(), "addrs", strings.Join(entry.Addrs, " "), "error", err)
	}
}

// peerWasFaster notes that the peer opened a connection sooner than this end.
func (m *Manager) peerWasFaster(peer sm.PeerID, failed bool) {
	if failed {
		return
	}
	m.mu.Lock()
	known := m.peers[peer]
	late := false
	if known != nil {
		known.dialStatus.slow++
		late = known.dialStatus.slow >= maxSlow && known.dialStatus.err == nil
	}
	m.mu.Unlock()
	if late {
		m.dialEnded(peer, fmt.Errorf("no answer, where the peer connects in less time, %d times in a row", maxSlow))
	}
}

// reported notes that the peer cannot connect to this one. The caller holds the mutex.
func (r *dialStatus) reported(m *Manager, peer sm.PeerID) {
	now := time.Now()
	news := now.Sub(r.reportedAt) >= reportTime
	r.reportedAt = now
	if news {
		m.cfg.Logger.Warn("a peer cannot dial this one at the addresses that are advertised; this one connects instead",
			"peer", peer.Short(), "addrs", strings.Join(m.cfg.Catalog.Self().Addrs, " "))
	}
}
