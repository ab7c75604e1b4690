package integration_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// errSnapshot is what a sick till's snapshots end with.
var errSnapshot = errors.New("the till cannot be copied")

// sickness is how the snapshots of tills end.
type sickness struct{ atomic.Int32 }

const (
	inHealth int32 = iota
	fails
	panics
)

func (s *sickness) strike(w io.Writer) error {
	switch s.Load() {
	case fails:
		fmt.Fprint(w, "half of a till")
		return errSnapshot
	case panics:
		fmt.Fprint(w, "half of a till")
		panic(errSnapshot)
	}
	return nil
}

// sickTill is a till whose snapshots fail while it is sick.
type sickTill struct {
	keptTill
	saves, restores *sickness
}

func (c *sickTill) Snapshot(w io.Writer) error {
	if err := c.saves.strike(w); err != nil {
		return err
	}
	return c.keptTill.Snapshot(w)
}

func (c *sickTill) Restore(r io.Reader) error {
	if err := c.restores.strike(io.Discard); err != nil {
		return err
	}
	return c.keptTill.Restore(r)
}

// watchedStorage shows the log that was opened last.
type watchedStorage struct {
	logstore.Storage[step]
	opened *watchedLog
}

type watchedLog struct {
	mu  sync.Mutex
	log logstore.Log
}

func watch(s logstore.Storage[step]) watchedStorage { return watchedStorage{s, &watchedLog{}} }

func (s watchedStorage) Open(o logstore.OpenOptions[step]) (logstore.Log, error) {
	log, err := s.Storage.Open(o)
	if err == nil {
		s.opened.mu.Lock()
		defer s.opened.mu.Unlock()
		s.opened.log = log
	}
	return log, err
}

// state returns what the log holds.
func (s watchedStorage) state(t *testing.T) logstore.State {
	t.Helper()
	s.opened.mu.Lock()
	defer s.opened.mu.Unlock()
	st, err := s.opened.log.State()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// storages are those that a group may have.
var storages = map[string]func() logstore.Storage[step]{
	"memory": func() logstore.Storage[step] { return logstore.NewMemory[step]() },
	"disk":   func() logstore.Storage[step] { return logstore.Disk[step]() },
}

// TestFailingSnapshotsHurtNobody lets the snapshots of all members fail for a
// while: nothing stops, the logs are kept whole, and they are compacted once
// snapshots work again.
func TestFailingSnapshotsHurtNobody(t *testing.T) {
	t.Parallel()
	for kind, storage := range storages {
		for how, sick := range map[string]int32{"an error": fails, "a panic": panics} {
			t.Run(how+" in "+kind, func(t *testing.T) {
				t.Parallel()
				var saves, restores sickness
				d := newDurables(t, func() *sickTill { return &sickTill{saves: &saves, restores: &restores} })
				testFailingSnapshots(t, d, storage, func() func() {
					saves.Store(sick)
					return func() { saves.Store(inHealth) }
				})
			})
		}
	}
	t.Run("a disk", func(t *testing.T) {
		t.Parallel()
		d := newDurables(t, newKeptTill)
		testFailingSnapshots(t, d, storages["disk"], func() func() {
			files := make([]string, len(d.dirs))
			for i, dir := range d.dirs {
				// Nothing can be written below a file.
				files[i] = filepath.Join(dir, "snapshots", d.groups[i].ID().String())
				if err := errors.Join(os.Remove(files[i]), os.WriteFile(files[i], nil, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			return func() {
				for _, file := range files {
					if err := os.Remove(file); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	})
}

// testFailingSnapshots lets snapshots fail from spoil on, until what it returns
// was called.
func testFailingSnapshots[M holder](t *testing.T, d *durables[M], storage func() logstore.Storage[step], spoil func() (mend func())) {
	logs := make([]watchedStorage, len(d.dirs))
	for i := range d.dirs {
		logs[i] = watch(storage())
		d.joinWith(i, logs[i])
	}
	testutil.Settle(t, d.groups...)
	mend := spoil()
	paid := int64(0)
	for range 100 { // five snapshots are due
		d.pay(d.groups[paid%3])
		paid++
	}
	for i, g := range d.groups {
		var cause error
		for s := range g.When().Statuses(soon(t)) {
			if cause = s.SnapshotError; cause != nil {
				break
			}
		}
		if cause == nil {
			t.Fatalf("node %d says nothing of its failed snapshots", i)
		}
		if st := logs[i].state(t); st.Pruned.Index != 0 || st.Last.Index < 100 {
			t.Errorf("node %d holds entries %d to %d without a snapshot", i, st.Pruned.Index+1, st.Last.Index)
		}
	}
	mend()
	for i := range d.groups {
		for logs[i].state(t).Pruned.Index == 0 {
			d.pay(d.groups[i])
			paid++
		}
		for s := range d.groups[i].When().Statuses(soon(t)) {
			if s.SnapshotError == nil {
				break
			}
		}
	}
	d.lose(1)
	d.pay(d.groups[0])
	d.Node(1).Restart()
	d.joinWith(1, logs[1])
	testutil.Settle(t, d.groups...)
	d.wantPaid(paid+1, d.groups...)
}

// TestFailingRestoreEndsItsMember lets a late member fail to restore what it is
// brought up with: it says why, and nobody else notices.
func TestFailingRestoreEndsItsMember(t *testing.T) {
	t.Parallel()
	for kind, storage := range storages {
		for how, sick := range map[string]int32{"an error": fails, "a panic": panics} {
			t.Run(how+" in "+kind, func(t *testing.T) {
				t.Parallel()
				var saves, restores, well sickness
				d := newDurables(t, newKeptTill)
				policy := consensus.Policy{Expected: 3}
				join := func(n *testutil.Node, restores *sickness) *mosaik.Group[step, *sickTill] {
					b := mosaik.WithStateMachine(n.Builder().WithMembership(policy), func() *sickTill { return &sickTill{saves: &saves, restores: restores} })
					return testutil.JoinWith(n, b.WithSnapshots(d.snapshotEntries, d.snapshotBytes).WithLogStorage(storage()))
				}
				groups := []*mosaik.Group[step, *sickTill]{join(d.Node(0), &well), join(d.Node(1), &well), join(d.Node(2), &well)}
				testutil.Settle(t, groups...)
				const paid = 100
				for i := range paid {
					if _, err := groups[i%3].Execute(soon(t), step{"pay", 1}); err != nil {
						t.Fatal(err)
					}
				}
				restores.Store(sick)
				d.dirs = append(d.dirs, t.TempDir())
				late := join(d.Add(), &restores)
				if _, err := late.When().Until(soon(t), ended); err != nil {
					t.Error(err)
				}
				err := late.When().Online(soon(t))
				wantError(t, "wait on a member that cannot restore", err, consensus.ErrPoisoned)
				if _, err := groups[0].Execute(soon(t), step{"pay", 1}); err != nil {
					t.Fatal(err)
				}

				// It is no worse for having tried.
				late.Leave(gone())
				restores.Store(inHealth)
				late = join(d.Node(3), &restores)
				for i, g := range append(groups, late) {
					if err := g.When().Online(soon(t)); err != nil {
						t.Fatalf("node %d: %v", i, err)
					}
					got, err := mosaik.Read(soon(t), g, mosaik.Strong, func(m *sickTill) (int64, error) { return m.sum, nil })
					if err != nil || got.Value != paid+1 {
						t.Errorf("node %d reads %d, error %v; want %d", i, got.Value, err, paid+1)
					}
				}
			})
		}
	}
}

// TestReceivedSnapshotThatCannotBeKept brings a member up by a snapshot that its
// disk does not keep: it must not go on without.
func TestReceivedSnapshotThatCannotBeKept(t *testing.T) {
	t.Parallel()
	d := newDurables(t, newKeptTill)
	d.joinAll()
	const away = 2
	d.lose(away)
	rest := without(d.groups, d.Node(away))
	const paid = 100
	for i := range paid {
		d.pay(rest[i%2])
	}
	d.Node(away).Restart()
	d.Isolate(away)
	g := d.join(away)
	// Nothing can be written below a file.
	place := filepath.Join(d.dirs[away], "snapshots", g.ID().String())
	if err := errors.Join(os.Remove(place), os.WriteFile(place, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	d.Reconnect(away)
	if _, err := g.When().Until(soon(t), ended); err != nil {
		t.Error(err)
	}
	wantError(t, "wait on a member that cannot keep its snapshot", g.When().Online(soon(t)), mosaik.ErrStorage)
	d.pay(rest[0])

	g.Leave(gone())
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	d.join(away)
	testutil.Settle(t, d.groups...)
	d.wantPaid(paid+1, d.groups...)
}

// TestDamagedSnapshotEndsItsMember restarts a member whose disk changed its
// snapshot: it says so, nobody else notices, and with an empty disk it comes back
// as a new replica.
func TestDamagedSnapshotEndsItsMember(t *testing.T) {
	t.Parallel()
	c := newCompacted(t, newKeptTill, storages["disk"], testutil.FastConsensus())
	const away = 2
	for c.logs[away].state(t).Snapshot.Cursor.Index == 0 {
		c.pay(c.groups[away])
		c.paid++
	}
	id := c.groups[away].ID()
	c.lose(away)
	names, err := filepath.Glob(filepath.Join(c.dirs[away], "snapshots", id.String(), "*.snapshot"))
	if err != nil || len(names) == 0 {
		t.Fatalf("snapshots of the member: %v, %v", names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.Node(away).Restart()
	c.enter(away)
	if _, err := c.groups[away].When().Until(soon(t), ended); err != nil {
		t.Error(err)
	}
	err = c.groups[away].When().Online(soon(t))
	wantError(t, "wait on a member whose snapshot is damaged", err, logstore.ErrCorrupt)
	wantError(t, "wait on a member whose snapshot is damaged", err, mosaik.ErrStorage)
	c.pay(c.groups[0])
	c.paid++

	c.Node(away).Crash()
	for _, part := range []string{"log", "snapshots"} {
		if err := os.RemoveAll(filepath.Join(c.dirs[away], part)); err != nil {
			t.Fatal(err)
		}
	}
	c.Node(away).Restart()
	c.enter(away)
	c.wantAllPaid()
}
