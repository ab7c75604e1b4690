package integration_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// errGivenUp is why the contexts of impatient callers end.
var errGivenUp = errors.New("the caller gave up")

// forms are the ways to issue a command. The context of one may end at any moment.
var forms = []func(context.Context, tillGroup, int64) error{
	func(ctx context.Context, g tillGroup, number int64) error {
		_, err := mosaik.Execute(ctx, g, pay(number))
		return err
	},
	func(ctx context.Context, g tillGroup, number int64) error {
		_, err := g.ExecuteMany(ctx, step{"pay", number}, step{Verb: "juggle"})
		return err
	},
	func(ctx context.Context, g tillGroup, number int64) error {
		p, err := g.Feed(ctx, step{"pay", number})
		if err != nil {
			return err
		}
		_, err = p.Wait(ctx)
		return err
	},
}

// fates counts what the callers of an audit were told.
func (a *audit) fates() (count [3]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.calls {
		count[f]++
	}
	return count
}

// impatient issues commands until stop is closed, and gives each up at some moment.
func (a *audit) impatient(id int64, g tillGroup, stop <-chan struct{}) {
	draw := rand.New(rand.NewPCG(uint64(id), 1))
	for number := id << 32; ; {
		select {
		case <-stop:
			return
		default:
		}
		number++
		ctx, giveUp := context.WithCancelCause(a.t.Context())
		patience := time.Duration(draw.ExpFloat64() * float64(time.Millisecond))
		timer := time.AfterFunc(patience, func() { giveUp(errGivenUp) })
		err := forms[draw.IntN(len(forms))](ctx, g, number)
		timer.Stop()
		giveUp(nil)
		told := a.note(number, err)
		if errors.Is(err, errGivenUp) != errors.Is(err, context.Canceled) {
			a.t.Errorf("call %s ended with %v, which must name the context's error and its cause, or neither", callName(number), err)
		}
		if retryable := mosaik.Retryable(err); retryable != (told == refused) {
			a.t.Errorf("call %s: Retryable is %t for %v", callName(number), retryable, err)
		}
	}
}

// Callers that give up at any moment, while leaders change, get the right outcome of their
// commands.
func TestCallersWhoGiveUp(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, newTill)
	ctx := soon(t)
	a := newAudit(t, three)
	stop := make(chan struct{})
	var calling sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		calling.Wait()
	})
	defer end()
	const callers = 4
	for i, g := range groups {
		mustPay(t, g, 0)
		for n := range callers {
			calling.Go(func() { a.impatient(int64(callers*i+n+1), g, stop) })
		}
	}
	leader := leaderOf(t, c, groups[0])
	for range 2 { // asked to go
		if err := groups[leader.Index()].TransferLeadership(ctx, sm.PeerID{}); err != nil {
			t.Fatal(err)
		}
		leader = newLeader(t, c, groups[(leader.Index()+1)%3], leader)
		if _, err := groups[leader.Index()].When().Leading(ctx); err != nil {
			t.Fatal(err)
		}
	}
	c.Isolate(leader.Index()) // cut off
	newLeader(t, c, groups[(leader.Index()+1)%3], leader)
	c.HealAll()
	testutil.Settle(t, groups...)
	for told := a.fates(); told[unknown] < 10 || told[applied] < 10 || told[refused] < 10; told = a.fates() {
		if err := groups[0].When().Applied(ctx, groups[0].AppliedIndex()+1); err != nil {
			t.Fatalf("%v; unknown, applied and refused commands: %v", err, told)
		}
	}
	end()
	for _, g := range groups {
		mustPay(t, g, 0) // behind everything that was in flight
	}
	for i, g := range groups {
		got, err := mosaik.Query(ctx, g, payments{}, mosaik.Strong)
		if err != nil {
			t.Fatal(err)
		}
		a.check(i, got.Value)
	}
}

// payments asks for the numbers that were paid, 0 apart.
type payments struct{}

func (payments) Query(c *till) (paid []int64, err error) {
	for _, n := range c.done {
		if n != 0 {
			paid = append(paid, n)
		}
	}
	return paid, nil
}

// A member that ends while calls are in flight ends them all, with the right outcome.
func TestEndsDuringCalls(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testutil.Node, tillGroup) error{
		"leave": func(_ *testutil.Node, g tillGroup) error { return g.Leave(t.Context()) },
		"close": func(n *testutil.Node, _ tillGroup) error { return n.Net().Close() },
		"crash": func(n *testutil.Node, _ tillGroup) error { n.Crash(); return nil },
	} {
		for _, who := range []string{"leader", "follower"} {
			t.Run(name+" of a "+who, func(t *testing.T) {
				t.Parallel()
				c := testutil.NewCluster(t, 3)
				groups := testutil.JoinAll(c, newTill)
				ending := leaderOf(t, c, groups[0])
				if who == "follower" {
					ending = c.Node((ending.Index() + 1) % 3)
				}
				g, rest := groups[ending.Index()], without(groups, ending)
				ctx := soon(t)
				a := newAudit(t, three)
				var calling sync.WaitGroup
				for id := range int64(9) {
					calling.Go(func() {
						for number := (id + 1) << 32; ; {
							number++
							err := forms[id%3](ctx, g, number)
							a.note(number, err)
							if err != nil {
								wantError(t, "a call on a member that ends", err, mosaik.ErrClosed)
								return
							}
						}
					})
				}
				for _, consistency := range []mosaik.Consistency{mosaik.Weak, mosaik.Strong, mosaik.AtLeast(1 << 40)} {
					calling.Go(func() {
						for {
							if _, err := mosaik.Query(ctx, g, sum{}, consistency); err != nil {
								wantError(t, consistency.String()+" read on a member that ends", err, mosaik.ErrClosed)
								return
							}
						}
					})
				}
				if err := g.When().Applied(ctx, 30); err != nil {
					t.Fatal(err)
				}
				if err := end(ending, g); err != nil {
					t.Error(err)
				}
				calling.Wait()
				if told := a.fates(); told[applied] == 0 || told[unknown]+told[refused] != 9 {
					t.Errorf("unknown, applied and refused commands: %v", told)
				}
				if _, err := rest[0].When().Until(ctx, ledByOtherThan(ending.Peer())); err != nil {
					t.Fatal(err)
				}
				for i, g := range rest {
					got, err := mosaik.Query(ctx, g, payments{}, mosaik.Strong)
					if err != nil {
						t.Fatal(err)
					}
					a.check(i, got.Value)
				}
			})
		}
	}
}
