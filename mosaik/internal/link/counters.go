package link

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// Limit is a bound on accepted connections that a connection exceeded.
type Limit int

// The limits.
const (
	LimitNone           Limit = iota
	LimitConns                // accepted connections
	LimitAddrConns            // accepted connections from one address
	LimitHandshakes           // handshakes in progress; the oldest was ended
	LimitAddrHandshakes       // handshakes in progress with one address
	LimitAddrRate             // rate of connections from one address
	LimitRate                 // rate of connections from all untrusted addresses
	LimitBarred               // the address is barred, see Conn.Bar
	limits
)

// String returns the name of the limit in metrics and logs.
func (l Limit) String() string {
	return [...]string{"none", "connections", "address_connections", "handshakes", "address_handshakes", "address_rate", "rate", "barred"}[l]
}

// Direction is the end of a connection that refused it.
type Direction int

// The directions of a refusal.
const (
	Sent     Direction = iota // this peer refused
	Received                  // the other peer refused
	directions
)

// String returns the name of the direction in metrics.
func (d Direction) String() string { return [...]string{"sent", "received"}[d] }

// Outcome is the result of a dial.
type Outcome int

// The outcomes of a dial.
const (
	DialConnected Outcome = iota // the peer accepted the connection
	DialFailed                   // for any reason that is not below
	DialForbidden                // a rule or a filter forbids the address
	DialCancelled                // the dial was no longer needed
	outcomes
)

// String returns the name of the outcome in metrics.
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

// Counters count since the link was made: refusals and ends of connections and bonds by
// code, connections that exceeded a limit, and dials by outcome. The methods may be called
// concurrently.
type Counters struct {
	dropped [limits]atomic.Int64
	dialled [outcomes]atomic.Int64

	mu      sync.Mutex // guards refused
	refused [directions]map[consensus.CloseCode]int64
}

// Refused counts a code that was sent or received. All codes that are not known count together
// as CodeAccepted, and so does that code itself: a peer that refuses with it made it up, and
// peers can make up any number of codes.
func (c *Counters) Refused(code consensus.CloseCode, d Direction) {
	if !code.IsKnown() {
		code = consensus.CodeAccepted
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused[d] == nil {
		c.refused[d] = map[consensus.CloseCode]int64{}
	}
	c.refused[d][code]++
}

// EachRefused calls f for each count that is not 0, in the order of the codes. The code is
// CodeAccepted for all that are not known.
func (c *Counters) EachRefused(f func(code consensus.CloseCode, d Direction, n int64)) {
	c.mu.Lock()
	refused := c.refused
	for d := range refused {
		refused[d] = maps.Clone(refused[d])
	}
	c.mu.Unlock()
	for d, counts := range refused {
		for _, code := range slices.Sorted(maps.Keys(counts)) {
			f(code, Direction(d), counts[code])
		}
	}
}

// EachDropped calls f for each limit that connections exceeded.
func (c *Counters) EachDropped(f func(l Limit, n int64)) {
	for l := range c.dropped {
		if n := c.dropped[l].Load(); n != 0 {
			f(Limit(l), n)
		}
	}
}

// Dialled counts a dial.
func (c *Counters) Dialled(o Outcome) { c.dialled[o].Add(1) }

// EachDialled calls f for each outcome that dials had.
func (c *Counters) EachDialled(f func(o Outcome, n int64)) {
	for o := range c.dialled {
		if n := c.dialled[o].Load(); n != 0 {
			f(Outcome(o), n)
		}
	}
}
