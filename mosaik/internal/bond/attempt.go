package bond

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/isolate"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// errDestination reports a destination that was dialled too often in vain.
var errDestination = errors.New("dialled too often in vain")

// attempt is one dial to one address of a peer.
type attempt struct {
	p    *peer
	lane *lane
	addr string
	dest string // of the address, before names are resolved
	name bool   // the host is a name

	taken []string // destinations that were counted; guarded by the manager's mutex
}

// newAttempt returns a dial to an address of the peer's entry, or why the address
// must not be dialled by a member with these addresses.
func (m *Manager) newAttempt(p *peer, l *lane, addr string, own []string) (*attempt, error) {
	a := &attempt{p: p, lane: l, addr: addr}
	literal, ok := discovery.Literal(addr)
	a.name = !ok
	if ok {
		a.dest = destination(literal.Addr())
	} else {
		host, _, _ := net.SplitHostPort(addr)
		a.dest = strings.ToLower(strings.TrimSuffix(host, "."))
	}
	var err error
	switch {
	case m.configured(addr):
	case ok:
		err = discovery.Dialable(literal, own)
	default:
		err = discovery.DialableName(addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: peer %s: %w", link.ErrForbidden, p.id.Short(), err)
	}
	return a, nil
}

// configured reports whether the address is a seed, which may always be dialled.
func (m *Manager) configured(addr string) bool { return slices.Contains(m.cfg.Seeds, addr) }

// unlessConfigured returns the check for dials to the address: nil for a seed.
func (m *Manager) unlessConfigured(addr string, check link.Check) link.Check {
	if m.configured(addr) {
		return nil
	}
	return check
}

// destination returns what dials to an IP address are counted under.
func destination(ip netip.Addr) string {
	ip = discovery.Unwrap(ip)
	if ip.Is4() {
		return ip.String()
	}
	network, _ := ip.Prefix(64)
	return network.String()
}

// begin starts the dial.
func (a *attempt) begin(now time.Time) {
	a.lane.take(now)
	a.lane.takeFor(a.dest, now)
	a.taken = append(a.taken, a.dest)
	a.p.flying++
	a.p.m.running.Go(a.run)
}

// run dials, and serves the connection until its end.
func (a *attempt) run() {
	m := a.p.m
	lc, err := m.dial(a.addr, a.p.id, m.unlessConfigured(a.addr, a.check))

	m.mu.Lock()
	report := a.ended(err)
	m.mu.Unlock()
	report()

	if err != nil {
		return
	}
	m.serve(lc)
	m.mu.Lock()
	defer m.mu.Unlock()
	a.p.flying--
	m.dialler.place(a.p, time.Now())
	m.dialler.signal()
}

// ended notes how the dial ended. What it returns logs what went wrong, without
// the mutex.
func (a *attempt) ended(err error) (report func()) {
	p, l, now := a.p, a.lane, time.Now()
	l.flying--
	if err != nil { // otherwise its connection counts as well
		p.flying--
	}
	defer p.m.dialler.signal()
	switch {
	case err == nil:
		l.giveBack(a.taken)
		l.succeeded()
		p.worked, p.failures, p.rounds, p.left = a.addr, 0, 0, nil
		p.m.dialler.place(p, now)
		p.errs = slices.DeleteFunc(p.errs, func(err error) bool { return !errors.Is(err, link.ErrForbidden) })
		return p.takeErrors(now)
	case p.m.closing, len(p.conns) > 0, p.m.peers[p.id] != p, errors.Is(err, context.Canceled):
		l.giveBack(a.taken) // it was not needed
		p.left, p.errs = nil, nil
		p.m.dialler.place(p, now)
		return func() {}
	case errors.Is(err, link.ErrForbidden) && !a.name:
		l.giveBack(a.taken) // it cost nobody anything
	default:
		l.failed(err)
	}
	p.failures++
	p.errs = append(p.errs, err)
	p.next = now // for the next address
	report = func() {}
	if len(p.left) == 0 && p.flying == 0 {
		report = p.endRound(now)
	}
	p.m.dialler.place(p, now)
	return report
}

// check decides about what the socket of the dial connects to.
func (a *attempt) check(addr netip.AddrPort) error {
	m := a.p.m
	if a.name {
		m.mu.Lock()
		dest, now := destination(addr.Addr()), time.Now()
		busy := a.lane.waitFor(dest, now) > 0
		if !busy {
			a.lane.takeFor(dest, now)
			a.taken = append(a.taken, dest)
		}
		m.mu.Unlock()
		if busy {
			return fmt.Errorf("peer %s: %s resolves to %s: %w", a.p.id.Short(), a.addr, addr, errDestination)
		}
	}
	return m.mayDial(a.p.id, addr)
}

// mayDial decides about an IP address at which a peer says that it is.
func (m *Manager) mayDial(peer sm.PeerID, addr netip.AddrPort) error {
	if err := discovery.Dialable(addr, m.cfg.Catalog.Self().Addrs); err != nil {
		return fmt.Errorf("peer %s: %w", peer.Short(), err)
	}
	if m.cfg.DialFilter == nil {
		return nil
	}
	if err := m.filter(peer, addr); err != nil {
		return fmt.Errorf("peer %s: the dial filter refuses %s: %w", peer.Short(), addr, err)
	}
	return nil
}

// filter calls the filter, which is not ours: it may panic or end its goroutine.
func (m *Manager) filter(peer sm.PeerID, addr netip.AddrPort) (err error) {
	broken, _ := isolate.Call(func() { err = m.cfg.DialFilter(peer, addr) })
	if broken != nil {
		return fmt.Errorf("it panicked: %v", broken)
	}
	return err
}

// dial opens a connection for bonds to an address; want may be zero. It gives up
// after the handshake timeout, when the manager closes, and when another
// connection to the wanted peer is selected. A nil check allows every address.
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
		m.dialler.took(time.Since(begin))
	}
	if err != nil && m.closing {
		err = ErrClosed
	}
	return lc, err
}

// hangUp ends the dials in flight to a peer.
func (m *Manager) hangUp(peer sm.PeerID) {
	for cancel, want := range m.dials {
		if want == peer {
			(*cancel)()
		}
	}
}

// Dial opens a connection to a known peer for another protocol than that of
// bonds. It tries the addresses of the peer's entry one after the other, the one
// that worked last first. The caller owns the connection, and paces its calls.
func (m *Manager) Dial(ctx context.Context, peer sm.PeerID, p link.Protocol) (*link.Conn, error) {
	entry, ok := m.Entry(peer)
	if !ok {
		return nil, fmt.Errorf("bond: dial peer %s: it is not known", peer.Short())
	}
	m.mu.Lock()
	worked := ""
	if known := m.peers[peer]; known != nil {
		worked = known.worked
	}
	m.mu.Unlock()
	var errs []error
	for _, addr := range inOrder(entry.Addrs, worked) {
		check := func(addr netip.AddrPort) error { return m.mayDial(peer, addr) }
		c, err := m.cfg.Link.DialChecked(ctx, addr, peer, p, m.unlessConfigured(addr, check))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("bond: dial peer %s: %w", peer.Short(), errors.Join(errs...))
}
