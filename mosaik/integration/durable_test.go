package integration_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// durables is a cluster whose nodes have directories, and what they hold in a
// group with logs on disk.
type durables[M holder] struct {
	*testutil.Cluster
	t          *testing.T
	dirs       []string
	newMachine func() M
	groups     []*mosaik.Group[step, M]

	snapshotEntries, snapshotBytes int64 // when members take snapshots
}

// newDurables starts three nodes with directories, whose members take snapshots
// often.
func newDurables[M holder](t *testing.T, newMachine func() M) *durables[M] {
	d := &durables[M]{
		t: t, newMachine: newMachine, dirs: []string{t.TempDir(), t.TempDir(), t.TempDir()},
		snapshotEntries: 20, snapshotBytes: 64 << 20,
	}
	d.Cluster = testutil.NewCluster(t, len(d.dirs), testutil.WithNodeOptions(func(i int) []mosaik.Option {
		return []mosaik.Option{mosaik.WithDir(d.dirs[i])}
	}))
	d.groups = make([]*mosaik.Group[step, M], len(d.dirs))
	return d
}

// join joins on a node, whose member goes on where it was.
func (d *durables[M]) join(i int) *mosaik.Group[step, M] {
	d.t.Helper()
	return d.joinWith(i, logstore.Disk[step]())
}

func (d *durables[M]) joinWith(i int, storage logstore.Storage[step]) *mosaik.Group[step, M] {
	d.t.Helper()
	n := d.Node(i)
	d.groups[i] = testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), d.newMachine).
		WithSnapshots(d.snapshotEntries, d.snapshotBytes).WithLogStorage(storage))
	return d.groups[i]
}

// joinAll joins on every node and waits until all is in place.
func (d *durables[M]) joinAll() {
	d.t.Helper()
	for i := range d.dirs {
		d.join(i)
	}
	testutil.Settle(d.t, d.groups...)
}

// lose crashes a node and waits until the others have a leader, which may take
// longer than a call does.
func (d *durables[M]) lose(i int) {
	d.t.Helper()
	d.Node(i).Crash()
	for _, g := range without(d.groups, d.Node(i)) {
		if _, err := g.When().Until(soon(d.t), ledByOtherThan(d.Node(i).Peer())); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *durables[M]) pay(g *mosaik.Group[step, M]) {
	d.t.Helper()
	if _, err := g.Execute(soon(d.t), step{"pay", 1}); err != nil {
		d.t.Fatal(err)
	}
}

// wantPaid fails the test unless every handle reads that so many payments were
// applied, each once.
func (d *durables[M]) wantPaid(want int64, groups ...*mosaik.Group[step, M]) {
	d.t.Helper()
	for i, g := range groups {
		got, err := mosaik.Read(soon(d.t), g, mosaik.Strong, func(m M) (int64, error) { return m.held().sum, nil })
		if err != nil || got.Value != want {
			d.t.Fatalf("handle %d reads %d, error %v; want %d", i, got.Value, err, want)
		}
	}
}

// incarnation returns the incarnation of a node's member, as the member of g sees it.
func (d *durables[M]) incarnation(g *mosaik.Group[step, M], i int) consensus.Incarnation {
	d.t.Helper()
	for _, m := range g.Status().Members {
		if m.Peer == d.Node(i).Peer() {
			return m.Incarnation
		}
	}
	d.t.Fatalf("node %d is no member", i)
	return consensus.Incarnation{}
}

// wantEmptyLog fails the test unless the log of a node that is down is nobody's.
func (d *durables[M]) wantEmptyLog(i int) {
	d.t.Helper()
	log, err := logstore.Disk[step]().Open(logstore.OpenOptions[step]{
		Network: d.Node(i).Net().ID(), Group: d.groups[i].ID(), Dir: d.dirs[i], Logger: slog.Default(),
	})
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	if s, err := log.State(); err != nil || s.Meta != nil || s.Last.Index > 0 {
		d.t.Errorf("the log of node %d ends at %d, has metadata %x, error %v; want nothing", i, s.Last.Index, s.Meta, err)
	}
}

// TestDurableGroupComesBack ends all members at once, by crash and by close, and
// finds what was acknowledged applied once.
func TestDurableGroupComesBack(t *testing.T) {
	t.Parallel()
	t.Run("by log", func(t *testing.T) { t.Parallel(); testComesBack(t, newTill) })
	t.Run("by snapshot", func(t *testing.T) { t.Parallel(); testComesBack(t, newKeptTill) })
}

func testComesBack[M holder](t *testing.T, newMachine func() M) {
	d := newDurables(t, newMachine)
	d.joinAll()
	epoch := d.groups[0].Status().Epoch
	paid := int64(0)
	for round, end := range []func(*testutil.Node){(*testutil.Node).Crash, (*testutil.Node).Close} {
		for i := range 60 {
			d.pay(d.groups[i%3])
			paid++
		}
		for _, n := range nodes(d.Cluster, nil) {
			end(n)
		}
		for _, n := range nodes(d.Cluster, nil) {
			n.Restart()
		}
		d.joinAll()
		if s := d.groups[0].Status(); s.Epoch != epoch {
			t.Fatalf("round %d: the group is in epoch %s, and was in %s", round, s.Epoch, epoch)
		}
		d.wantPaid(paid, d.groups...)
	}
}

// TestDurableMemberGoesOn ends one member while the others go on, and follows
// what becomes of its place.
func TestDurableMemberGoesOn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		// while is what happens while the member is away.
		while func(t *testing.T, d *durables[*till], away int)
		same  bool // it is the same incarnation afterwards
	}{
		{"it comes back as itself", func(*testing.T, *durables[*till], int) {}, true},
		{"it lost its disk", func(t *testing.T, d *durables[*till], away int) {
			// The identity is all that was kept.
			if err := os.RemoveAll(d.dirs[away]); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"it lost its log", func(t *testing.T, d *durables[*till], away int) {
			if err := os.RemoveAll(filepath.Join(d.dirs[away], "log")); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDurables(t, newTill)
			d.joinAll()
			d.pay(d.groups[0])
			const away = 1
			before := d.incarnation(d.groups[0], away)
			d.Node(away).Crash()
			d.pay(d.groups[0])
			test.while(t, d, away)
			d.Node(away).Restart()
			d.join(away)
			testutil.Settle(t, d.groups...)
			d.wantPaid(2, d.groups...)
			for i, g := range d.groups {
				if after := d.incarnation(g, away); (after == before) != test.same {
					t.Errorf("node %d sees incarnation %x, before it was %x; the same: want %t", i, after, before, test.same)
				}
			}
		})
	}
}

// TestDurableMemberRemovedMeanwhile lets a spare take a member's place while it
// is away: its old replica must not come back.
func TestDurableMemberRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	d := newDurables(t, newTill)
	policy := consensus.Policy{Expected: 3, Grace: 300 * time.Millisecond}
	join := func(n *testutil.Node, storage logstore.Storage[step]) tillGroup {
		return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder().WithMembership(policy), newTill).WithLogStorage(storage))
	}
	for i := range d.groups {
		d.groups[i] = join(d.Node(i), logstore.Disk[step]())
	}
	testutil.Settle(t, d.groups...)
	const away = 2
	before := d.incarnation(d.groups[0], away)
	d.dirs = append(d.dirs, t.TempDir())
	spare := join(d.Add(), logstore.NewMemory[step]()) // beside logs on disk
	testutil.Settle(t, append(d.groups, spare)...)

	d.Node(away).Close()
	rest := append(without(d.groups, d.Node(away)), spare)
	wantMembers(t, voters(nodes(d.Cluster, d.Node(away))...), rest...)
	d.pay(spare)

	d.Node(away).Restart()
	back := join(d.Node(away), logstore.Disk[step]())
	testutil.Settle(t, append(rest, back)...)
	d.wantPaid(1, append(rest, back)...)
	if after := d.incarnation(spare, away); after.Compare(before) <= 0 {
		t.Errorf("the removed member came back as %x, and was %x", after, before)
	}
}

// TestDurableMemberLeaves lets a member leave for good: when it joins again it
// is another replica.
func TestDurableMemberLeaves(t *testing.T) {
	t.Parallel()
	d := newDurables(t, newTill)
	d.joinAll()
	d.pay(d.groups[0])
	before := d.incarnation(d.groups[0], 2)
	if err := d.groups[2].Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	d.Node(2).Crash()
	d.wantEmptyLog(2)
	d.Node(2).Restart()
	d.join(2)
	testutil.Settle(t, d.groups...)
	d.wantPaid(1, d.groups...)
	if after := d.incarnation(d.groups[0], 2); after.Compare(before) <= 0 {
		t.Errorf("the member that left came back as %x, and was %x", after, before)
	}
}

// TestLastDurableMemberKeepsItsLog lets the only member leave: nobody else holds
// what it holds.
func TestLastDurableMemberKeepsItsLog(t *testing.T) {
	t.Parallel()
	d := newDurables(t, newTill)
	join := func() tillGroup {
		b := d.Node(0).Builder().WithMembership(consensus.Policy{})
		return testutil.JoinWith(d.Node(0), mosaik.WithStateMachine(b, newTill).WithLogStorage(logstore.Disk[step]()))
	}
	g := join()
	testutil.Settle(t, g)
	d.pay(g)
	if err := g.Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	again := join()
	testutil.Settle(t, again)
	d.wantPaid(1, again)
}

// TestDurableLeaderHandsOnAtClose closes the network of a leader, which stays a
// member; an election would take longer than the test waits.
func TestDurableLeaderHandsOnAtClose(t *testing.T) {
	t.Parallel()
	d := newDurables(t, newTill)
	slow := fast(consensus.Config{ElectionTimeout: 2 * time.Minute})
	// The member that makes the epoch elects itself without a timeout.
	for i := range d.groups {
		b := d.Node(i).Builder().WithConsensusConfig(slow)
		d.groups[i] = testutil.JoinWith(d.Node(i), mosaik.WithStateMachine(b, newTill).WithLogStorage(logstore.Disk[step]()))
	}
	testutil.Settle(t, d.groups...)
	leader := leaderOf(t, d.Cluster, d.groups[0])
	leader.Close()
	rest := without(d.groups, leader)
	newLeader(t, d.Cluster, rest[0], leader)
	d.pay(rest[0])
	d.wantPaid(1, rest...)
	if n := len(rest[0].Status().Members); n != 3 {
		t.Errorf("the group has %d members, want 3: closing does not leave", n)
	}
}

// TestPoisonedAgainAfterRestart restarts a member whose machine panicked: the log
// makes it panic again, at the same command.
func TestPoisonedAgainAfterRestart(t *testing.T) {
	t.Parallel()
	d := newDurables(t, newTill)
	d.joinAll()
	d.pay(d.groups[0])
	_, first := mosaik.Execute(soon(t), d.groups[0], blow{})
	wantError(t, "execute what panics", first, consensus.ErrPoisoned)
	d.Node(0).Crash()
	d.Node(0).Restart()
	g := d.join(0)
	for s := range g.When().Statuses(soon(t)) {
		if s.Poisoned != nil {
			break
		}
	}
	_, again := g.Execute(soon(t), step{"pay", 1})
	wantError(t, "execute after the restart", again, consensus.ErrPoisoned)
	poisoned := new(consensus.PoisonedError)
	if !errors.As(g.Status().Poisoned, &poisoned) || !strings.HasSuffix(again.Error(), ": "+poisoned.Error()) {
		t.Errorf("after the restart it says %q, want %q in it", again, poisoned)
	}
	if want := d.groups[1].Status().Poisoned; want == nil || want.Error() != g.Status().Poisoned.Error() {
		t.Errorf("after the restart the cause is %v, on a member that went on %v", g.Status().Poisoned, want)
	}
}

// TestCopiedDirectoryIsRefused opens a copy of a member's directory beside it.
func TestCopiedDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	d := newDurables(t, newTill)
	d.joinAll()
	d.pay(d.groups[0])
	d.Node(2).Close()
	copied := filepath.Join(t.TempDir(), "copy")
	copyDir(t, copied, d.dirs[2])
	d.Node(2).Restart()
	d.join(2)
	testutil.Settle(t, d.groups...)
	d.pay(d.groups[2])

	ctx := soon(t)
	twin, err := mosaik.Open(ctx, d.Node(0).Net().ID(), mosaik.WithDir(copied), mosaik.WithListen("127.0.0.1:0"),
		mosaik.WithSeeds(d.Node(0).Addr(), d.Node(1).Addr()))
	if err != nil {
		t.Fatal(err)
	}
	b := twin.Groups().WithKey(d.Key()).WithConsensusConfig(testutil.FastConsensus()).WithMembership(consensus.Policy{Expected: 3})
	g, err := mosaik.WithStateMachine(b, newTill).WithLogStorage(logstore.Disk[step]()).Join(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.When().Until(ctx, ended); err != nil {
		t.Error(err)
	}
	wantError(t, "wait on the copy", g.When().Online(ctx), mosaik.ErrSuperseded)
	if err := twin.Close(); err != nil {
		t.Error(err)
	}
	for i, g := range d.groups {
		if err := g.When().Online(ctx); err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
		d.pay(g)
	}
	d.wantPaid(5, d.groups...)
}

// TestOlderDirectoryIsRefused puts back what a member's directory held before
// its last start, as a restored backup does.
func TestOlderDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	d := newDurables(t, newTill)
	d.joinAll()
	d.Node(2).Close()
	backup := filepath.Join(t.TempDir(), "backup")
	copyDir(t, backup, d.dirs[2])
	d.Node(2).Restart()
	d.join(2)
	testutil.Settle(t, d.groups...)
	d.pay(d.groups[2])
	d.Node(2).Crash()
	d.dirs[2] = backup
	d.Node(2).Restart()
	g := d.join(2)
	if _, err := g.When().Until(soon(t), ended); err != nil {
		t.Error(err)
	}
	wantError(t, "wait on the restored member", g.When().Online(soon(t)), mosaik.ErrSuperseded)
	d.pay(d.groups[0])
}

// copyDir copies the directory of a network.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(to, "identity.pem"), 0o600); err != nil {
		t.Fatal(err)
	}
}
