package integration_test

import (
	"io"
	"math/rand/v2"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// heavyTill is a till whose snapshots are of several chunks.
type heavyTill struct{ keptTill }

func newHeavyTill() *heavyTill { return &heavyTill{} }

// ballast is what a heavy till's snapshot holds beside the till, in bytes.
const ballast = 3 << 20

func (c *heavyTill) Snapshot(w io.Writer) error {
	// Of random bytes, as snapshots are compressed on their way.
	if _, err := io.CopyN(w, rand.NewChaCha8([32]byte{}), ballast); err != nil {
		return err
	}
	return c.keptTill.Snapshot(w)
}

func (c *heavyTill) Restore(r io.Reader) error {
	if _, err := io.CopyN(io.Discard, r, ballast); err != nil {
		return err
	}
	return c.keptTill.Restore(r)
}

// compacted is a group of three whose logs do not reach back to the first command.
type compacted[M holder] struct {
	*durables[M]
	storage func() logstore.Storage[step]
	timing  consensus.Config
	paid    int64
	logs    []watchedStorage
}

// newCompacted starts a group that takes snapshots every 50 entries, and writes
// until all of its logs are compacted.
func newCompacted[M holder](t *testing.T, newMachine func() M, storage func() logstore.Storage[step], timing consensus.Config) *compacted[M] {
	c := &compacted[M]{durables: newDurables(t, newMachine), storage: storage, timing: timing}
	c.snapshotEntries, c.snapshotBytes = 50, 1<<30
	for range c.dirs {
		c.logs = append(c.logs, watch(storage()))
	}
	for i := range c.dirs {
		c.enter(i)
	}
	testutil.Settle(t, c.groups...)
	for i := range c.dirs {
		for c.logs[i].state(t).Pruned.Index == 0 {
			c.pay(c.groups[i])
			c.paid++
		}
	}
	return c
}

// add starts another node.
func (c *compacted[M]) add() int {
	c.dirs, c.groups, c.logs = append(c.dirs, c.t.TempDir()), append(c.groups, nil), append(c.logs, watch(c.storage()))
	return c.Add().Index()
}

// enter joins on a node, in a group that expects three members.
func (c *compacted[M]) enter(i int) {
	c.t.Helper()
	b := c.Node(i).Builder().WithMembership(consensus.Policy{Expected: 3}).WithConsensusConfig(c.timing)
	c.groups[i] = testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(b, c.newMachine).
		WithSnapshots(c.snapshotEntries, c.snapshotBytes).WithLogStorage(c.logs[i]))
}

// wantAllPaid fails the test unless every member holds all, those that were
// added by a snapshot.
func (c *compacted[M]) wantAllPaid() {
	c.t.Helper()
	testutil.Settle(c.t, c.groups...)
	c.wantPaid(c.paid, c.groups...)
	for i, log := range c.logs {
		if log.state(c.t).Snapshot.Cursor.Index == 0 {
			c.t.Errorf("node %d has no snapshot", i)
		}
	}
}

// TestManyJoinersCatchUp lets three members join at the same time, while others
// go on to write.
func TestManyJoinersCatchUp(t *testing.T) {
	t.Parallel()
	for kind, storage := range storages {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newCompacted(t, newHeavyTill, storage, testutil.FastConsensus())
			for range 3 {
				c.add()
			}
			for i := 3; i < 6; i++ {
				c.enter(i)
			}
			for i := range 30 {
				c.pay(c.groups[i%3])
				c.paid++
			}
			c.wantAllPaid()
		})
	}
}

// TestSnapshotIsCutShort breaks off a snapshot in the middle of its way to a
// joiner: it gets another one.
func TestSnapshotIsCutShort(t *testing.T) {
	t.Parallel()
	for how, end := range map[string]func(d *testutil.Cluster, sender, joiner int){
		"the sender dies":       func(d *testutil.Cluster, sender, _ int) { d.Node(sender).Crash() },
		"the connection breaks": func(d *testutil.Cluster, sender, joiner int) { d.Drop(sender, joiner) },
		"the joiner dies":       func(d *testutil.Cluster, _, joiner int) { d.Node(joiner).Crash() },
	} {
		for kind, storage := range storages {
			if kind == "memory" && how != "the sender dies" {
				continue // what comes back in memory is another joiner
			}
			t.Run(how+" in "+kind, func(t *testing.T) {
				t.Parallel()
				c := newCompacted(t, newHeavyTill, storage, testutil.FastConsensus())
				joiner := c.add()
				spent := make([]<-chan struct{}, 3)
				for i := range spent {
					spent[i] = c.CutAfter(i, joiner, ballast/2)
				}
				c.enter(joiner)
				sender := -1
				select {
				case <-spent[0]:
					sender = 0
				case <-spent[1]:
					sender = 1
				case <-spent[2]:
					sender = 2
				case <-soon(t).Done():
					t.Fatal("nobody sends a snapshot")
				}
				end(c.Cluster, sender, joiner)
				c.HealAll()
				for _, i := range []int{joiner, sender} {
					if err := c.groups[i].When().Online(soon(t)); err == nil {
						continue
					}
					c.Node(i).Restart() // it died
					c.enter(i)
				}
				testutil.Settle(t, c.groups...)
				for i := range 3 {
					c.pay(c.groups[i])
					c.paid++
				}
				c.wantAllPaid()
			})
		}
	}
}

// TestSnapshotHoldsTheMembers restarts all members from snapshots that were taken
// after the last of them was added, with nothing left of the log from before.
func TestSnapshotHoldsTheMembers(t *testing.T) {
	t.Parallel()
	c := newCompacted(t, newKeptTill, storages["disk"], testutil.FastConsensus())
	for range 2 {
		c.enter(c.add())
	}
	testutil.Settle(t, c.groups...)
	all := nodes(c.Cluster, nil)
	wantMembers(t, voters(all...), c.groups...)
	for i, log := range c.logs {
		for last := log.state(t).Last.Index; log.state(t).Pruned.Index < last; {
			c.pay(c.groups[i])
			c.paid++
		}
	}
	for _, n := range all {
		n.Crash()
	}
	for i, n := range all {
		n.Restart()
		c.enter(i)
	}
	c.wantAllPaid()
	wantMembers(t, voters(all...), c.groups...)
}
