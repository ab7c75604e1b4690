package bond

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/isolate"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// newScheduler returns the scheduler of the manager's dials. The manager's mutex guards it.
func (m *Manager) newScheduler() *dialler.Scheduler {
	return dialler.New(dialler.Config{
		HandshakeTimeout: m.cfg.HandshakeTimeout,
		Redial:           m.cfg.Redial,
		Unreached:        m.cfg.Unreached,
		ForgetAfter:      m.cfg.ForgetAfter,
		OwnAddrs:         func() []string { return m.cfg.Catalog.Self().Addrs },
		Exempt:           m.configured,
		Forbidden:        func() { m.cfg.Link.Counters().Dialled(link.DialForbidden) },
		Logger:           m.cfg.Logger,
	})
}

// dialPeers starts the dials that are due and forgets peers until the manager closes.
func (m *Manager) dialPeers() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-m.dialsChanged:
		case <-m.done:
			return
		}
		next, chores := m.dialStep(time.Now())
		for _, do := range chores {
			do()
		}
		timer.Reset(time.Until(next))
	}
}

// dialStep starts the dials that are due. It returns when to call it again and what to do
// without the mutex.
func (m *Manager) dialStep(now time.Time) (next time.Time, chores []func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return now.Add(dialler.Idle), nil
	}
	plan := m.scheduler.Step(now)
	for _, a := range plan.Dials {
		m.running.Go(func() { m.attempt(a) })
	}
	return plan.Next, append(m.forgetLost(plan.Lost, now), plan.Reports...)
}

// wakeDialler has dialPeers look again at what is due.
func (m *Manager) wakeDialler() {
	select {
	case m.dialsChanged <- struct{}{}:
	default:
	}
}

// attempt dials, and serves the connection until its end.
func (m *Manager) attempt(a *dialler.Attempt) {
	check := func(addr netip.AddrPort) error {
		m.mu.Lock()
		err := a.Resolved(addr.Addr(), time.Now())
		m.mu.Unlock()
		if err != nil {
			return err
		}
		return m.mayDial(a.Peer(), addr)
	}
	lc, err := m.dial(a.Addr, a.Peer(), m.unlessConfigured(a.Addr, check))

	m.mu.Lock()
	report := a.Ended(err, time.Now())
	m.wakeDialler()
	m.mu.Unlock()
	report()

	if err != nil {
		return
	}
	m.serve(lc)
	m.mu.Lock()
	defer m.mu.Unlock()
	a.Served(time.Now())
	m.wakeDialler()
}

// configured reports whether the address is a seed. Seeds come from the operator and may
// always be dialled.
func (m *Manager) configured(addr string) bool { return slices.Contains(m.cfg.Seeds, addr) }

// unlessConfigured returns the check for dials to the address: nil for a seed.
func (m *Manager) unlessConfigured(addr string, check link.Check) link.Check {
	if m.configured(addr) {
		return nil
	}
	return check
}

// mayDial returns an error for an IP address of a peer's entry that must not be dialled. It is
// called without the mutex: the filter is foreign code.
func (m *Manager) mayDial(peer sm.PeerID, addr netip.AddrPort) error {
	if err := discovery.Dialable(addr, m.cfg.Catalog.Self().Addrs); err != nil {
		return fmt.Errorf("peer %s: %w", peer.Short(), err)
	}
	if m.cfg.DialFilter == nil {
		return nil
	}
	if err := m.filter(peer, addr); err != nil {
		return fmt.Errorf("peer %s: the dial filter forbids %s: %w", peer.Short(), addr, err)
	}
	return nil
}

// filter calls the dial filter, which may panic or end its goroutine.
func (m *Manager) filter(peer sm.PeerID, addr netip.AddrPort) (err error) {
	broken, _ := isolate.Call(func() { err = m.cfg.DialFilter(peer, addr) })
	if broken != nil {
		return fmt.Errorf("the filter panicked: %v", broken)
	}
	return err
}

// dial opens a connection for bonds to an address. want is the expected peer, zero for any. It
// ends after the handshake timeout, when the manager closes, and when another connection to
// the expected peer is selected. A nil check allows every address.
func (m *Manager) dial(addr string, want sm.PeerID, check link.Check) (*link.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), m.cfg.HandshakeTimeout)
	defer cancel()
	m.mu.Lock()
	if m.closing {
		m.mu.Unlock()
		return nil, ErrClosed
	}
	m.dials[&cancel] = want
	m.mu.Unlock()

	begin := time.Now()
	lc, err := m.cfg.Link.DialChecked(ctx, addr, want, link.Bond, check)

	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.dials, &cancel)
	if err == nil {
		m.scheduler.Took(time.Since(begin))
	}
	if err != nil && m.closing {
		err = ErrClosed
	}
	return lc, err
}

// cancelDials cancels the dials in flight to a peer. The caller holds the mutex.
func (m *Manager) cancelDials(peer sm.PeerID) {
	for cancel, want := range m.dials {
		if want == peer {
			(*cancel)()
		}
	}
}
