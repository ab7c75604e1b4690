package integration_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// bulkyTill is a till whose commands may be as large as one likes. Its snapshots
// wait for the gate.
type bulkyTill struct {
	keptTill
	gate *gate
}

func (c *bulkyTill) Apply(at sm.ApplyContext, s step) (any, error) {
	s.Verb = strings.TrimRight(s.Verb, " ")
	return c.keptTill.Apply(at, s)
}

func (c *bulkyTill) Snapshot(w io.Writer) error {
	c.gate.pass()
	return c.keptTill.Snapshot(w)
}

// bulky is a payment of so many bytes.
func bulky(bytes int) step { return step{fmt.Sprintf("%-*s", bytes, "pay"), 1} }

// gate is open until it is shut, and then until it is opened for good.
type gate struct {
	mu      sync.Mutex
	reached chan struct{} // closed when somebody waits, nil while it is open
	open    chan struct{} // closed when they may go on
}

// shut shuts the gate. The first channel is closed when somebody comes to it.
func (g *gate) shut() (reached <-chan struct{}, open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reached, g.open = make(chan struct{}), make(chan struct{})
	return g.reached, sync.OnceFunc(func() { close(g.open) })
}

func (g *gate) pass() {
	g.mu.Lock()
	open := g.open
	if g.reached != nil {
		close(g.reached)
		g.reached = nil
	}
	g.mu.Unlock()
	if open != nil {
		<-open
	}
}

// bulkies starts a group whose members take snapshots every 16 KiB, with the
// storages that it returns.
func bulkies(t *testing.T, storage func() logstore.Storage[step]) (*durables[*bulkyTill], []watchedStorage, []*gate) {
	gates := []*gate{{}, {}, {}}
	d := newDurables[*bulkyTill](t, nil)
	d.snapshotEntries, d.snapshotBytes = 1_000_000, 16<<10
	logs := make([]watchedStorage, len(d.dirs))
	for i := range d.dirs {
		logs[i] = watch(storage())
		d.newMachine = func() *bulkyTill { return &bulkyTill{gate: gates[i]} }
		d.joinWith(i, logs[i])
	}
	testutil.Settle(t, d.groups...)
	return d, logs, gates
}

// TestSnapshotsBySize takes snapshots long before the number of entries is due,
// because these are large, and keeps few of them: a member that was away is
// brought up by one, and the log stays bounded for as long as one writes.
func TestSnapshotsBySize(t *testing.T) {
	t.Parallel()
	for kind, storage := range storages {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			d, logs, _ := bulkies(t, storage)
			const away = 2
			d.lose(away)
			rest := without(d.groups, d.Node(away))
			paid := int64(0)
			pay := func() {
				t.Helper()
				if _, err := rest[paid%2].Execute(soon(t), bulky(4<<10)); err != nil {
					t.Fatal(err)
				}
				paid++
			}
			for round := range 10 {
				for range 10 { // 40 KiB
					pay()
				}
				for i := range rest {
					// A snapshot is kept beside the writes.
					for tries := 0; ; tries++ {
						st := logs[i].state(t)
						if held := st.Last.Index - st.Pruned.Index; held <= 20 {
							break
						} else if tries == 1000 {
							t.Fatalf("round %d: node %d holds %d entries of 4 KiB, and may gather 16 KiB", round, i, held)
						}
						pay()
					}
				}
			}
			d.Node(away).Restart()
			d.joinWith(away, logs[away])
			testutil.Settle(t, d.groups...)
			d.wantPaid(paid, d.groups...)
			if st := logs[away].state(t); st.Snapshot.Cursor.Index == 0 {
				t.Error("the member that was away got no snapshot")
			}
		})
	}
}

// TestSnapshotDoesNotStopWrites lets the leader's snapshot take its time: the
// others go on to execute and to read.
func TestSnapshotDoesNotStopWrites(t *testing.T) {
	t.Parallel()
	d, _, gates := bulkies(t, storages["disk"])
	leader := leaderOf(t, d.Cluster, d.groups[0])
	reached, open := gates[leader.Index()].shut()
	t.Cleanup(open)
	rest := without(d.groups, leader)
	paid := int64(0)
	pay := func() {
		t.Helper()
		if _, err := rest[paid%2].Execute(soon(t), bulky(4<<10)); err != nil {
			t.Fatal(err)
		}
		paid++
	}
	for waiting := true; waiting; {
		pay()
		select {
		case <-reached:
			waiting = false
		default:
		}
	}
	for range 20 {
		pay()
	}
	d.wantPaid(paid, rest...)
	open()
	d.wantPaid(paid, d.groups...)
}
