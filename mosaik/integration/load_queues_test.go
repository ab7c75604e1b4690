package integration_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// drops counts the lines in which dragonboat says that a queue was full. It says
// so at most once a second.
type drops struct {
	slog.Handler
	lines atomic.Int64
}

func (d *drops) Enabled(context.Context, slog.Level) bool { return true }

func (d *drops) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "dropped an incoming message") {
		d.lines.Add(1)
	}
	return nil
}

// TestShortQueuesDropNothing fills the queues of a replica as full as calls make
// them: 1024 callers on three members, whose entries follow each other closely
// since the members are far from each other, and a fourth member that catches up
// with a large log meanwhile. It is not parallel, since dragonboat's log belongs
// to the process.
func TestShortQueuesDropNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for several seconds")
	}
	if raceDetector() {
		t.Skip("the race detector slows down what empties the queues more than what fills them")
	}
	dropped := &drops{Handler: slog.DiscardHandler}
	standard := slog.Default()
	slog.SetDefault(slog.New(dropped))
	t.Cleanup(func() { slog.SetDefault(standard) })

	c := testutil.NewCluster(t, 3)
	enter := func(i int) tillGroup {
		b := c.Node(i).Builder().WithMembership(consensus.Policy{Expected: 3})
		return testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(b, newTill).WithLogStorage(logstore.NewMemory[step]()))
	}
	groups := []tillGroup{enter(0), enter(1), enter(2)}
	testutil.Settle(t, groups...)
	batch := make([]step, 2000)
	for i := range batch {
		batch[i] = pay(1).AsCommand()
	}
	for range 300 {
		if _, err := groups[0].ExecuteMany(t.Context(), batch...); err != nil {
			t.Fatal(err)
		}
	}
	for i := range c.Len() {
		for j := range i {
			c.Delay(i, j, 10*time.Millisecond)
		}
	}
	var callers sync.WaitGroup
	for i := range 1024 {
		callers.Go(func() {
			for range 10 {
				if _, err := mosaik.Execute(soon(t), groups[i%3], pay(1)); err != nil {
					t.Error(err)
				}
				if _, err := mosaik.Query(soon(t), groups[i%3], sum{}, mosaik.Strong); err != nil {
					t.Error(err)
				}
			}
		})
	}
	c.Add()
	late := enter(3)
	if err := late.When().Online(soon(t)); err != nil {
		t.Error(err)
	}
	callers.Wait()
	if n := dropped.lines.Load(); n != 0 {
		t.Errorf("dragonboat dropped received messages in %d seconds", n)
	}
}
