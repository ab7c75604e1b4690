package integration_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

var linearOps = flag.Int("ops", 2500, "how many operations a schedule of TestLinearizable has, roughly; one of TestDurableLinearizable has half of them")

// TestLinearizable runs schedules of TestSchedules, a quarter as long, over a map of
// registers that many clients set, append to, swap and read, and looks for one
// order of all operations that explains every answer. It takes the same flags:
//
//	go test ./mosaik/integration -run TestLinearizable -seed 17 -seeds 1 -steps 1000 -ops 20000
func TestLinearizable(t *testing.T) {
	if testing.Short() {
		t.Skip("a campaign")
	}
	t.Parallel()
	testLinearizable(t, *scheduleSeeds, *linearOps, inMemory, logstore.NewMemory[assign]())
}

// TestDurableLinearizable is TestLinearizable with logs on disk, on half as many
// seeds and with half as many operations. Members that crash, be it all at once,
// go on from their directories.
func TestDurableLinearizable(t *testing.T) {
	if testing.Short() {
		t.Skip("a campaign")
	}
	t.Parallel()
	testLinearizable(t, (*scheduleSeeds+1)/2, *linearOps/2, onDisk, logstore.Disk[assign]())
}

func testLinearizable(t *testing.T, seeds, ops int, logs logs, storage logstore.Storage[assign]) {
	for i := range seeds {
		seed := *scheduleSeed + uint64(i)
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			steps := (*scheduleSteps + 3) / 4
			s := newSchedule(t, seed, logs, func(a *audit) workload {
				return &linear{audit: a, seed: seed, storage: storage, perCommand: ops/max(steps, 1) + 1, began: time.Now()}
			})
			s.kinds = append(s.kinds, chance{4, s.overtake}, chance{4, s.distance}, chance{12, s.lose})
			s.begin()
			s.take(s.distance())
			for range steps {
				s.step()
			}
			s.end()
		})
	}
}

type registersGroup = *mosaik.Group[assign, *registers]

// linear is the workload of a map of registers, with what its clients were told.
type linear struct {
	*audit
	seed       uint64
	storage    logstore.Storage[assign]
	perCommand int // operations for each command that the schedule orders
	began      time.Time
	ledger     ledger
}

// now is the time in the history.
func (w *linear) now() int64 { return int64(time.Since(w.began)) }

// join lets members repeat entries soon, so that late copies of them abound, and
// catch up by snapshots.
func (w *linear) join(n *testutil.Node, p consensus.Policy) member {
	b := n.Builder().WithMembership(p).WithConsensusConfig(fast(consensus.Config{ForwardTimeout: 150 * time.Millisecond}))
	newSlow := func() *registers {
		r := newRegisters()
		r.slow = &w.slow[n.Index()]
		return r
	}
	return testutil.JoinWith(n, mosaik.WithStateMachine(b, newSlow).WithSnapshots(300, 64<<20).WithLogStorage(w.storage))
}

func (w *linear) round(id int64, g member) func(context.Context, int) {
	c := &registerClient{
		linear: w, id: id, g: g.(registersGroup), number: id << 32,
		draw: rand.New(rand.NewPCG(w.seed, uint64(id))), seen: map[string]string{},
	}
	return c.round
}

func (*linear) history(ctx context.Context, g member) ([]int64, error) {
	got, err := mosaik.Read(ctx, g.(registersGroup), mosaik.Strong, func(r *registers) ([]int64, error) {
		return slices.Clone(r.Done), nil
	})
	return got.Value, err
}

func (w *linear) check() { w.ledger.check(w.t) }

// registerClient issues operations through one handle, from one goroutine.
type registerClient struct {
	*linear
	id     int64
	g      registersGroup
	draw   *rand.Rand
	number int64             // of its last command
	seen   map[string]string // what it knows of the registers
}

// round does as many operations as that many commands of a schedule stand for.
func (c *registerClient) round(ctx context.Context, commands int) {
	for left := commands * c.perCommand; left > 0 && ctx.Err() == nil; {
		key, n, told := string(rune('a'+c.draw.IntN(5))), 1, false
		switch drawn := c.draw.IntN(100); {
		case drawn < 40:
			told = c.read(ctx, key)
		case drawn < 85:
			told = c.execute(ctx, c.assign(key))
		default:
			n = 2 + c.draw.IntN(5)
			told = c.burst(ctx, key, n)
		}
		if left -= n; !told {
			c.awaitOnline(ctx)
		}
	}
}

// awaitOnline waits until the member is online, not for long: else it would
// refuse the next operation, too, and at once.
func (c *registerClient) awaitOnline(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_ = c.g.When().Online(ctx)
}

// assign draws a command. Its value is one that no other command has.
func (c *registerClient) assign(key string) assign {
	c.number++
	a := assign{Verb: "append", Key: key, Number: c.number, Value: callName(c.number) + " "}
	switch drawn := c.draw.IntN(100); {
	case drawn < 15:
		a.Verb = "set"
	case drawn < 40:
		a.Verb, a.Old = "swap", c.seen[key]
	}
	return a
}

// patience bounds an operation. Some callers give up where others see the fault
// end.
func (c *registerClient) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 3 * time.Second}[c.draw.IntN(3)])
}

// execute does a command, and reports whether its result was told.
func (c *registerClient) execute(ctx context.Context, a assign) bool {
	ctx, cancel := c.patience(ctx)
	defer cancel()
	called := c.now()
	got, err := c.g.Execute(ctx, a)
	return c.settle(a, called, got.Value, err)
}

// burst has several commands of one register outstanding, and at times a read.
func (c *registerClient) burst(ctx context.Context, key string, n int) bool {
	ctx, cancel := c.patience(ctx)
	defer cancel()
	var settle []func() bool
	for range n {
		a, called := c.assign(key), c.now()
		pending, err := c.g.Feed(ctx, a)
		settle = append(settle, func() bool {
			if err != nil {
				return c.settle(a, called, nil, err)
			}
			results, err := pending.Wait(ctx)
			if err != nil {
				return c.settle(a, called, nil, err)
			}
			return c.settle(a, called, results[0].Value, results[0].Err)
		})
	}
	if c.draw.IntN(2) == 0 {
		c.read(ctx, key)
	}
	told := false
	for _, s := range settle {
		told = s()
	}
	return told
}

// settle notes a command, unless it certainly was not applied. One that may
// still be applied has no end.
func (c *registerClient) settle(a assign, called int64, value any, err error) bool {
	switch c.note(a.Number, err) {
	case applied: // perhaps without a result
		c.ledger.add(c.id, a, called, c.now(), value)
	case unknown:
		c.ledger.add(c.id, a, called, never, nil)
	}
	after, told := value.(string)
	if told {
		c.seen[a.Key] = after
	}
	return told
}

// read does a strong read. One that fails says nothing.
func (c *registerClient) read(ctx context.Context, key string) bool {
	ctx, cancel := c.patience(ctx)
	defer cancel()
	called := c.now()
	got, err := mosaik.Read(ctx, c.g, mosaik.Strong, func(r *registers) (string, error) { return r.Values[key], nil })
	if err != nil {
		return false
	}
	c.ledger.add(c.id, assign{Verb: "read", Key: key}, called, c.now(), got.Value)
	c.seen[key] = got.Value
	return true
}
