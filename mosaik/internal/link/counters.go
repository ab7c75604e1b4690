package link

import (
	"context"
	"errors"
	"sync/atomic"
)

// Limit names a bound on connections that was exceeded.
type Limit int

// The limits.
const (
	LimitNone           Limit = iota
	LimitConns                // accepted connections
	LimitAddrConns            // accepted connections from one address
	LimitHandshakes           // handshakes; the oldest was given up
	LimitAddrHandshakes       // handshakes with one address
	LimitAddrRate             // connections from one address in a time
	LimitRate                 // connections from addresses that are not trusted in a time
	LimitBarred               // connections from an address from which came what no honest peer sends
	limits
)

// String names the limit in metrics and logs.
func (l Limit) String() string {
	return [...]string{"none", "connections", "address_connections", "handshakes", "address_handshakes", "address_rate", "rate", "barred"}[l]
}

// Direction says who refused.
type Direction int

// The directions of a refusal.
const (
	Sent     Direction = iota // by this peer
	Received                  // by the other one
	directions
)

// String names the direction in metrics.
func (d Direction) String() string { return [...]string{"sent", "received"}[d] }

// Outcome says how a dial ended.
type Outcome int

// The outcomes of a dial.
const (
	DialConnected Outcome = iota // the peer let us in
	DialFailed
	DialForbidden // by a rule or a filter, before a connection was opened
	DialCancelled // it was no longer needed
	outcomes
)

// String names the outcome in metrics.
func (o Outcome) String() string {
	return [...]string{"connected", "failed", "forbidden", "cancelled"}[o]
}

func outcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return DialConnected
	case errors.Is(err, ErrForbidden):
		return DialForbidden
	case errors.Is(err, context.Canceled), errors.Is(err, ErrClosed):
		return DialCancelled
	}
	return DialFailed
}

// Counters counts, from the start on, the refusals and ends of connections and
// bonds by their code, the connections that exceeded a limit, and dials by their
// outcome. Its methods may be called concurrently.
type Counters struct {
	refused [directions][len(codes) + 1]atomic.Int64 // by place in codes, the last for all others
	dropped [limits]atomic.Int64
	dialled [outcomes]atomic.Int64
}

// Refused counts a code that was sent or received.
func (t *Counters) Refused(code Code, d Direction) {
	i := code.place()
	if code == CodeAccepted {
		i = len(codes) // nothing was refused: the peer made it up
	}
	t.refused[d][i].Add(1)
}

// EachRefused calls f for each count that is not 0. What peers make up, which
// could be any number of codes, counts as CodeAccepted.
func (t *Counters) EachRefused(f func(code Code, d Direction, n int64)) {
	for d := range t.refused {
		for i := range t.refused[d] {
			n := t.refused[d][i].Load()
			switch {
			case n == 0:
			case i < len(codes):
				f(codes[i].code, Direction(d), n)
			default:
				f(CodeAccepted, Direction(d), n)
			}
		}
	}
}

// EachDropped calls f for each limit that connections exceeded.
func (t *Counters) EachDropped(f func(l Limit, n int64)) {
	for l := range t.dropped {
		if n := t.dropped[l].Load(); n != 0 {
			f(Limit(l), n)
		}
	}
}

// Dialled counts a dial.
func (t *Counters) Dialled(o Outcome) { t.dialled[o].Add(1) }

// EachDialled calls f for each outcome that dials had.
func (t *Counters) EachDialled(f func(o Outcome, n int64)) {
	for o := range t.dialled {
		if n := t.dialled[o].Load(); n != 0 {
			f(Outcome(o), n)
		}
	}
}
