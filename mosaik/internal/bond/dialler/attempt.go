package dialler

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
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// ErrDestination reports a destination to which too many dials failed.
var ErrDestination = errors.New("too many dials to it failed; it is dialled again later")

// Attempt is one dial to one address of a peer. The owner calls [Attempt.Ended] when the
// dial has ended and, if it succeeded, [Attempt.Served] when its connection has.
type Attempt struct {
	Addr string // host:port

	t     *Target
	queue *dialQueue
	dest  string // of Addr, before a name is resolved
	name  bool   // the host of Addr is a name

	taken []string // destinations that were counted
}

// Peer returns the id of the peer.
func (a *Attempt) Peer() sm.PeerID { return a.t.peer.ID() }

// newAttempt returns a dial to an address of the peer's entry. The error explains
// why a member that advertises the addresses own must not dial it.
func (s *Scheduler) newAttempt(t *Target, q *dialQueue, addr string, own []string) (*Attempt, error) {
	a := &Attempt{t: t, queue: q, Addr: addr}
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
	case s.cfg.Exempt(addr):
	case ok:
		err = discovery.Dialable(literal, own)
	default:
		err = discovery.DialableName(addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: peer %s: %w", link.ErrForbidden, t.peer.ID().Short(), err)
	}
	return a, nil
}

// destination returns the destination under which dials to an IP address are
// counted.
func destination(ip netip.Addr) string {
	ip = discovery.Unwrap(ip)
	if ip.Is4() {
		return ip.String()
	}
	network, _ := ip.Prefix(64)
	return network.String()
}

// begin counts the dial.
func (a *Attempt) begin(now time.Time) {
	a.queue.take(now)
	a.queue.takeFor(a.dest, now)
	a.taken = append(a.taken, a.dest)
	a.t.inFlight++
}

// Resolved decides about an IP address to which the host of Addr resolves, and counts the
// dial to it: many names can resolve to one destination. It refuses with [ErrDestination].
func (a *Attempt) Resolved(ip netip.Addr, now time.Time) error {
	if !a.name {
		return nil // begin has counted it
	}
	dest := destination(ip)
	if a.queue.waitFor(dest, now) > 0 {
		return fmt.Errorf("peer %s: %s resolves to %s: %w", a.t.peer.ID().Short(), a.Addr, ip, ErrDestination)
	}
	a.queue.takeFor(dest, now)
	a.taken = append(a.taken, dest)
	return nil
}

// Ended records the error of the dial, nil for a connection that will be served. The
// owner calls the returned function, which logs the failure, without its lock, and
// then Step.
func (a *Attempt) Ended(err error, now time.Time) (report func()) {
	t, q := a.t, a.queue
	q.inFlight--
	if err != nil { // otherwise its connection counts as well, until Served
		t.inFlight--
	}
	switch {
	case err == nil:
		q.giveBack(a.taken)
		q.succeeded()
		t.Worked, t.failures, t.rounds, t.left = a.Addr, 0, 0, nil
		t.s.Place(t, now)
		t.errs = slices.DeleteFunc(t.errs, func(err error) bool { return !errors.Is(err, link.ErrForbidden) })
		return t.takeErrors(now)
	case t.peer.Connected(), t.peer.Gone(), errors.Is(err, context.Canceled):
		q.giveBack(a.taken) // it was not needed
		t.left, t.errs = nil, nil
		t.s.Place(t, now)
		return func() {}
	case errors.Is(err, link.ErrForbidden) && !a.name:
		q.giveBack(a.taken) // no connection was opened
	default:
		q.failed(err)
	}
	t.failures++
	t.errs = append(t.errs, err)
	t.next = now // for the next address
	report = func() {}
	if len(t.left) == 0 && t.inFlight == 0 {
		report = t.endRound(now)
	}
	t.s.Place(t, now)
	return report
}

// Served reports that the connection of the dial has ended.
func (a *Attempt) Served(now time.Time) {
	a.t.inFlight--
	a.t.s.Place(a.t, now)
}
