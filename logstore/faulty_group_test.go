package logstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// ledger counts how often each number was noted.
type ledger struct{ noted map[int]int }

// note is the only command of a ledger.
type note struct {
	N   int
	Pad []byte // padding, to make the command longer
}

func newLedger() *ledger { return &ledger{noted: map[int]int{}} }

func (*ledger) Spec() sm.Spec[note] { return sm.Define[note]("ledger", 1) }

func (l *ledger) Apply(_ sm.ApplyContext, n note) (any, error) {
	l.noted[n.N]++
	return nil, nil
}

func (l *ledger) Snapshot(w io.Writer) error { return json.NewEncoder(w).Encode(l.noted) }
func (l *ledger) Restore(r io.Reader) error {
	clear(l.noted)
	return json.NewDecoder(r).Decode(&l.noted)
}

type ledgerGroup = *mosaik.Group[note, *ledger]

// faulty is a group of three members whose logs are on disks that a test can break.
type faulty struct {
	*testutil.Cluster
	t      *testing.T
	dirs   []string
	disks  []*faultfs.FS
	groups []ledgerGroup

	snapshotEntries, snapshotBytes int64

	mu    sync.Mutex
	next  int   // the next number to note
	acked []int // those whose commands were acknowledged
}

func newFaulty(t *testing.T) *faulty { return newFaultyWith(t, 10_000, 64<<20) }

// newFaultyWith starts a group whose members take a snapshot after the given number
// of entries or bytes.
func newFaultyWith(t *testing.T, snapshotEntries, snapshotBytes int64) *faulty {
	f := &faulty{t: t, groups: make([]ledgerGroup, 3), snapshotEntries: snapshotEntries, snapshotBytes: snapshotBytes}
	for range f.groups {
		f.dirs, f.disks = append(f.dirs, t.TempDir()), append(f.disks, faultfs.New())
	}
	f.Cluster = testutil.NewCluster(t, len(f.groups), testutil.WithNodeOptions(func(i int) []mosaik.Option {
		return []mosaik.Option{mosaik.WithDir(f.dirs[i])}
	}))
	return f
}

// soon returns a context that ends with the test, or after a minute.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// join joins the group on a node. Its member continues with the log on its disk.
func (f *faulty) join(i int) {
	f.t.Helper()
	storage := logstore.DiskOn[note](f.disks[i], 16<<10)
	f.groups[i] = testutil.JoinWith(f.Node(i), mosaik.WithStateMachine(f.Node(i).Builder(), newLedger).
		WithSnapshots(f.snapshotEntries, f.snapshotBytes).WithLogStorage(storage))
}

// joinAll joins on every node and waits until the members have settled.
func (f *faulty) joinAll() {
	f.t.Helper()
	for i := range f.groups {
		f.join(i)
	}
	testutil.Settle(f.t, f.groups...)
}

// note notes another number through a member.
func (f *faulty) note(ctx context.Context, g ledgerGroup) error { return f.padded(ctx, g, 0) }

// padded notes another number with a command of at least the given number of bytes.
func (f *faulty) padded(ctx context.Context, g ledgerGroup, bytes int) error {
	f.mu.Lock()
	n := f.next
	f.next++
	f.mu.Unlock()
	_, err := g.Execute(ctx, note{n, make([]byte, bytes)})
	if err == nil {
		f.mu.Lock()
		f.acked = append(f.acked, n)
		f.mu.Unlock()
	}
	return err
}

// works notes a number through each of the members.
func (f *faulty) works(groups ...ledgerGroup) {
	f.t.Helper()
	for _, g := range groups {
		f.must(g, 0)
	}
}

// must notes a number with a command of at least the given number of bytes. If the
// call times out because an election takes long, must notes another number.
func (f *faulty) must(g ledgerGroup, bytes int) {
	f.t.Helper()
	ctx := soon(f.t)
	err := f.padded(ctx, g, bytes)
	for ; errors.Is(err, mosaik.ErrStalled); err = f.padded(ctx, g, bytes) {
		if err := g.When().Online(ctx); err != nil {
			f.t.Fatal(err)
		}
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// wantAcked fails the test unless each member has every acknowledged number, and
// none twice.
func (f *faulty) wantAcked(groups ...ledgerGroup) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, g := range groups {
		lost, twice := 0, 0
		_, err := mosaik.Read(soon(f.t), g, mosaik.Strong, func(l *ledger) (any, error) {
			for _, n := range f.acked {
				if l.noted[n] == 0 {
					lost++
				}
			}
			for _, times := range l.noted {
				if times > 1 {
					twice++
				}
			}
			return nil, nil
		})
		if err != nil || lost > 0 || twice > 0 {
			f.t.Fatalf("handle %d lacks %d of %d acknowledged numbers, has %d twice, error %v", i, lost, len(f.acked), twice, err)
		}
	}
}

// leader returns the index of the leader's node, as the first member reports it.
func (f *faulty) leader() int {
	f.t.Helper()
	s, err := f.groups[0].When().Until(soon(f.t), func(s consensus.Status) bool { return !s.Leader.IsZero() })
	if err != nil {
		f.t.Fatal(err)
	}
	return f.NodeOf(s.Leader).Index()
}

// waitEnded waits until the group has ended on g's member.
func (f *faulty) waitEnded(g ledgerGroup) {
	if _, err := g.When().Until(soon(f.t), func(s consensus.Status) bool { return s.Ended != nil }); err != nil {
		f.t.Error(err)
	}
}

// others returns the handles of all nodes but node i.
func (f *faulty) others(i int) (groups []ledgerGroup) {
	for j, g := range f.groups {
		if j != i {
			groups = append(groups, g)
		}
	}
	return groups
}
