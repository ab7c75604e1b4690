package integration_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// audit holds what a schedule's members said against what a group promises.
type audit struct {
	t        *testing.T
	policy   consensus.Policy
	watchers sync.WaitGroup
	slow     [mostNodes]atomic.Int64 // how many nanoseconds a command takes on each node

	mu      sync.Mutex
	clients int64
	calls   map[int64]fate // by the number that was paid
	acks    []int64        // the acknowledged ones, in the order of their acknowledgement
	opened  map[consensus.Epoch]bool
	leaders map[reign]sm.PeerID
}

// reign is what at most one member leads in.
type reign struct {
	epoch consensus.Epoch
	term  sm.Term
}

// fate is what the caller of a command knows about it.
type fate uint8

const (
	unknown fate = iota
	applied
	refused
)

func newAudit(t *testing.T, policy consensus.Policy) *audit {
	return &audit{
		t: t, policy: policy,
		calls: map[int64]fate{}, opened: map[consensus.Epoch]bool{}, leaders: map[reign]sm.PeerID{},
	}
}

// watch looks at every status of a member until its group ends.
func (a *audit) watch(ctx context.Context, node *testutil.Node, g member) {
	statuses := g.When().Statuses(ctx)
	a.watchers.Go(func() {
		for s := range statuses {
			a.see(node, s)
		}
	})
}

func (a *audit) see(n *testutil.Node, s consensus.Status) {
	node := n.Index()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !s.Leader.IsZero() {
		r := reign{s.Epoch, s.Term}
		if other, known := a.leaders[r]; known && other != s.Leader {
			a.t.Errorf("node %d says that %s leads epoch %s in term %d, where %s did", node, s.Leader.Short(), s.Epoch, s.Term, other.Short())
		}
		a.leaders[r] = s.Leader
	}
	if !s.AcceptsCommands {
		return
	}
	// One that accepts commands and holds none may be given up for another one. If
	// both held some, the history in the end would lack those of one.
	if a.opened[s.Epoch] = true; len(s.Diverged) > 0 {
		a.t.Errorf("node %d: epoch %s holds commands, and so do %v", node, s.Epoch, s.Diverged)
	}
	// A voter that comes back as a new replica loses the vote first, which may
	// take the group below its minimum for that long, but never to one copy. A
	// follower may have applied what a leader did behind changes of the membership
	// before it has read those.
	if voters := len(voterIDs(s)); s.Leader == n.Peer() && s.Online && voters < 2 {
		a.t.Errorf("node %d: there is one voter only: %s", node, tell(s))
	}
}

// client issues one command after the other through one handle, and now and then
// reads what it did to all.
type client struct {
	id     int64
	orders chan int // how many commands to issue
	done   chan struct{}
}

func (a *audit) client(ctx context.Context, w workload, g member) *client {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clients++
	cl := &client{id: a.clients, orders: make(chan int, 4), done: make(chan struct{})}
	round := w.round(cl.id, g)
	go func() {
		defer close(cl.done)
		for n := range cl.orders {
			round(ctx, n)
		}
	}()
	return cl
}

// tills is the workload of numbers that are paid into a till.
type tills struct{ *audit }

func (w tills) round(id int64, g member) func(context.Context, int) {
	number := id << 32
	var here mosaik.Result[int64]
	return func(ctx context.Context, commands int) {
		w.readHere(ctx, g.(tillGroup), &here)
		for range commands {
			number++
			w.call(ctx, g.(tillGroup), number)
		}
		w.read(ctx, g.(tillGroup))
	}
}

func (tills) history(ctx context.Context, g member) ([]int64, error) {
	got, err := mosaik.Query(ctx, g.(tillGroup), history{}, mosaik.Strong)
	return got.Value, err
}

func (tills) check() {}

// call pays a number, which no other call does, and notes what became of it.
func (a *audit) call(ctx context.Context, g tillGroup, number int64) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_, err := mosaik.Execute(ctx, g, pay(number))
	a.note(number, err)
}

// note notes what the error of a call says about its fate, and returns that.
func (a *audit) note(number int64, err error) fate {
	f := refused
	switch {
	case err == nil, errors.Is(err, mosaik.ErrResultLost):
		f = applied
	case mosaik.OutcomeOf(err) == mosaik.Unknown:
		f = unknown
	case mosaik.OutcomeOf(err) == mosaik.NotApplied:
	default:
		a.t.Errorf("call %s: the error does not say what is known: %v", callName(number), err)
		f = unknown
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls[number] = f
	if f == applied {
		a.acks = append(a.acks, number)
	}
	return f
}

// read does a strong read, which must see whatever was acknowledged before.
func (a *audit) read(ctx context.Context, g tillGroup) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	a.mu.Lock()
	before := slices.Clone(a.acks)
	a.mu.Unlock()
	got, err := mosaik.Query(ctx, g, history{}, mosaik.Strong)
	if err != nil {
		return
	}
	there := map[int64]bool{}
	for _, number := range got.Value {
		there[number] = true
	}
	for _, number := range before {
		if !there[number] {
			a.t.Errorf("a strong read at index %d misses %s, which was acknowledged before it", got.Index, callName(number))
		}
	}
}

func callName(number int64) string { return fmt.Sprintf("%d/%d", number>>32, number&(1<<32-1)) }

// acknowledged returns how many calls were.
func (a *audit) acknowledged() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.acks)
}

// epochs returns how many epochs ever accepted commands.
func (a *audit) epochs() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.opened)
}

// check holds a member's history against the calls, all of which have ended:
// each is there once if it was acknowledged, not if it was refused, and at most
// once otherwise; those of one client are in their order.
func (a *audit) check(node int, history []int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := map[int64]int64{}
	there := map[int64]bool{}
	for _, number := range history {
		f, issued := a.calls[number]
		switch {
		case !issued:
			a.t.Errorf("node %d applied %s, which nobody issued", node, callName(number))
		case f == refused:
			a.t.Errorf("node %d applied %s, of which the caller was told that it was not", node, callName(number))
		case there[number]:
			a.t.Errorf("node %d applied %s twice", node, callName(number))
		case number < last[number>>32]:
			a.t.Errorf("node %d applied %s after %s", node, callName(number), callName(last[number>>32]))
		}
		last[number>>32], there[number] = number, true
	}
	for number, f := range a.calls {
		if f == applied && !there[number] {
			a.t.Errorf("node %d lost %s, which was acknowledged", node, callName(number))
		}
	}
}

// checkRest fails unless the voters are as many as they should be among so many
// members.
func (a *audit) checkRest(node int, s consensus.Status, members int) {
	p := a.policy.WithDefaults()
	voters := len(voterIDs(s))
	if least := min(members, p.MinimumVoters); voters < least {
		a.t.Errorf("node %d: %d voters, want %d at least: %s", node, voters, least, tell(s))
	}
	if !group.AtRest(p, voters, members) {
		a.t.Errorf("node %d: %d of %d members vote: %s", node, voters, members, tell(s))
	}
}

// tell is a status in one line.
func tell(s consensus.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "epoch %.8s term %d leader %s accepts %v online %v settled %v stalled %v waits for %q;",
		s.Epoch, s.Term, s.Leader.Short(), s.AcceptsCommands, s.Online, s.Settled, s.Stalled, s.Waits)
	for _, m := range s.Members {
		fmt.Fprintf(&b, " %s", m.Peer.Short())
		for _, is := range []struct {
			so   bool
			what string
		}{{m.Voter, "votes"}, {m.CaughtUp, "caught up"}, {m.Bonded, "bonded"}, {m.Leaving, "leaving"}} {
			if is.so {
				fmt.Fprintf(&b, ", %s", is.what)
			}
		}
		b.WriteByte(';')
	}
	return b.String()
}
