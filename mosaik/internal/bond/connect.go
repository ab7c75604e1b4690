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
	// headStart is how long a dial may take before the peer is asked to connect as well.
	headStart = 250 * time.Millisecond
	// maxSlow is how many dials in a row may be slower than the peer's dials before this end
	// counts as unable to dial the peer.
	maxSlow = 3
)

// errNoAddress reports a peer whose entry has no address.
var errNoAddress = errors.New("the peer advertises no address")

// dialStatus records whether this peer and another can dial each other. The manager's mutex
// guards it.
type dialStatus struct {
	err        error // of our last dial, nil if it succeeded
	slow       int   // connections in a row that the other end opened first
	logged     dialler.FailureLog
	reportedAt time.Time // when the peer last reported that it cannot dial this end
}

// Obstacle states which of two peers with a bond cannot dial the other.
type Obstacle struct {
	// Dial is why this peer cannot dial the other at the addresses that the other
	// advertises, nil if it can.
	Dial error
	// Blamed reports that the other peer cannot dial this one at the addresses that this one
	// advertises.
	Blamed bool
}

// reportTime is how long a peer's report that it cannot dial this one remains
// valid.
const reportTime = time.Minute

// Obstacles returns the obstacles to dials between this peer and those with a connection.
// Peers without an obstacle are omitted.
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

// Connect opens a connection to a peer for a protocol other than that of bonds. If its dial
// fails, or takes longer than 250 ms, a peer with a bond is asked to open the connection:
// one of the two may be behind a NAT or a firewall. Connect returns the connection that is
// open first. The caller owns it, and bounds the rate of its calls.
func (m *Manager) Connect(
	ctx context.Context, peer sm.PeerID, p link.Protocol,
) (*link.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	var tries sync.WaitGroup
	defer tries.Wait() // the slower attempt ends with the context
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
	try(dialled, func() (*link.Conn, error) { return m.Dial(ctx, peer, p) })
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

// seedsOf returns the addresses of seeds at which the peer answered last, without those in its
// entry.
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

// headStart returns how long a dial to the peer may take before the peer is asked to connect:
// 0 if the last dial failed.
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

// cannotDial reports whether the last dial to the peer failed.
func (m *Manager) cannotDial(peer sm.PeerID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.peers[peer]
	return known != nil && known.dialStatus.err != nil
}

// dialEnded records the result of a dial to the peer. A peer without a bond is left out: it
// could not be asked to connect anyway.
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
		m.cfg.Logger.Warn("cannot dial peer at its advertised addresses: it is asked to connect",
			"peer", peer.Short(), "addrs", strings.Join(entry.Addrs, " "), "error", err)
	}
}

// peerWasFaster records that the peer opened a connection before this end did. failed
// reports that this end's dial had failed.
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
		m.dialEnded(peer, fmt.Errorf("the peer connected faster than it answered, %d times in a row", maxSlow))
	}
}

// reported records that the peer cannot dial this one. The caller holds the mutex.
func (r *dialStatus) reported(m *Manager, peer sm.PeerID) {
	now := time.Now()
	news := now.Sub(r.reportedAt) >= reportTime
	r.reportedAt = now
	if news {
		m.cfg.Logger.Warn("peer cannot dial this one at its advertised addresses: this one connects instead",
			"peer", peer.Short(), "addrs", strings.Join(m.cfg.Catalog.Self().Addrs, " "))
	}
}
