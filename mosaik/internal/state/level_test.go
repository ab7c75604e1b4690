package state

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// levelEntry returns the entry that raises the level to n.
func levelEntry(n uint32) []byte {
	return format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindLevel, Level: n}})
}

// readyAt returns a replica that is open and has both sessions. Its machine supports levels up to
// supported, and its level is active.
func readyAt(supported, active uint32) *replica {
	r := newReplicaOf(supported)
	r.kind(format.KindOpen)
	r.open(mine)
	r.open(others)
	for level := uint32(2); level <= active; level++ {
		r.next(levelEntry(level))
	}
	return r
}

// A level entry raises the level by one. Any other level entry is void.
func TestLevelIsRaisedStepByStep(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		entries []uint32
		want    uint32
	}{
		{nil, 1},
		{[]uint32{2}, 2},
		{[]uint32{2, 3, 4}, 4},
		{[]uint32{2, 2, 2}, 2},
		{[]uint32{0, 1}, 1},
		{[]uint32{3}, 1},
		{[]uint32{3, 2, 3}, 3},
		{[]uint32{2, 3, 2, 1, 0}, 3},
		{[]uint32{1 << 31, 0xffffffff}, 1}, // above the supported levels, and void
	} {
		r := readyAt(4, 1)
		for _, level := range test.entries {
			r.next(levelEntry(level))
		}
		if s := r.Status(); s.Level != test.want || s.Outdated != nil || s.Raft.Index != r.index {
			t.Errorf("entries %v: status %+v, want level %d", test.entries, s, test.want)
		}
	}
}

// Commands reach the machine with the level of their entry, or 0 if it is unknown.
func TestCommandsAreDecodedAtTheirLevel(t *testing.T) {
	t.Parallel()
	r := readyAt(4, 3)
	for i, level := range []uint32{1, 3, 0, 2} {
		r.next(entryAt(level, mine, uint64(i+1), "a", "b"))
	}
	if diff := cmp.Diff([]uint32{1, 1, 3, 3, 0, 0, 2, 2}, r.machine.levels); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
}

// Commands above the active level are rejected and never decoded, whether or not the program knows
// the level. Their number in the session is used up.
func TestCommandsAboveTheLevelAreVoid(t *testing.T) {
	t.Parallel()
	for _, supported := range []uint32{2, 4} {
		r := readyAt(supported, 2)
		r.commands(mine, 1, "a")
		void := entryAt(3, mine, 2, "panic")
		r.next(void)
		want := Delivery{Session: mine, Sequence: 2, Err: ErrLevel}
		if diff := cmp.Diff(want, r.last(t), cmpopts.EquateErrors()); diff != "" {
			t.Errorf("supported %d: delivery (-want +got):\n%s", supported, diff)
		}
		deliveries := len(r.deliveries)
		if supported > 2 {
			r.next(levelEntry(3))
			r.next(void) // a late copy
		}
		if len(r.deliveries) != deliveries {
			t.Errorf("supported %d: a late copy is delivered: %+v", supported, r.last(t))
		}
		r.next(entryAt(2, mine, 3, "b"))
		if d := r.last(t); d.Err != nil || d.First != 2 {
			t.Errorf("supported %d: the next entry has the outcome %+v, want the index 2", supported, d)
		}
		if diff := cmp.Diff([]string{"a", "b"}, r.machine.Lines); diff != "" {
			t.Errorf("supported %d: applied (-want +got):\n%s", supported, diff)
		}
	}
}

// A forming or sealed epoch rejects commands with ErrForming or ErrSealed at any level.
func TestRejectionsPrecedeTheLevel(t *testing.T) {
	t.Parallel()
	r := newReplica()
	r.open(mine)
	r.next(entryAt(4, mine, 1, "early"))
	if d := r.last(t); !errors.Is(d.Err, ErrForming) {
		t.Errorf("forming epoch: %v, want ErrForming", d.Err)
	}
	r.kind(format.KindSeal)
	r.next(entryAt(4, mine, 2, "late"))
	if d := r.last(t); !errors.Is(d.Err, ErrSealed) {
		t.Errorf("sealed epoch: %v, want ErrSealed", d.Err)
	}
}

// snapshotOf returns a snapshot of a machine without commands.
func snapshotOf(t testing.TB, s format.Snapshot) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := format.NewSnapshotWriter(&b, &s)
	if err == nil {
		_, err = w.Write([]byte("[]\n"))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wantOutdated expects that a replica stopped with want, wrapping cause, that its status is still
// before, and that nothing reaches its machine.
func wantOutdated(t *testing.T, r *replica, err error, before Status, lines []string, want consensus.OutdatedError, cause error) {
	t.Helper()
	var o *consensus.OutdatedError
	if !errors.As(err, &o) || !errors.Is(err, consensus.ErrOutdated) || errors.Is(err, consensus.ErrPoisoned) || cause != nil && !errors.Is(err, cause) {
		t.Fatalf("error %v, want %v and %v", err, consensus.ErrOutdated, cause)
	}
	if diff := cmp.Diff(&want, o, cmpopts.IgnoreFields(consensus.OutdatedError{}, "Err")); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	before.Outdated = o
	if diff := cmp.Diff(before, r.Status(), cmp.Comparer(func(a, b *consensus.OutdatedError) bool { return a == b })); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	seen := len(r.events)
	if err := r.Apply(r.index+1, 1, entry(mine, 99, "later")); !errors.Is(err, consensus.ErrOutdated) {
		t.Errorf("a later entry: %v, want %v", err, consensus.ErrOutdated)
	}
	if diff := cmp.Diff([]string{"deliver 99"}, r.events[seen:]); diff != "" {
		t.Errorf("events of a later entry (-want +got):\n%s", diff)
	}
	if d := r.last(t); !errors.Is(d.Err, consensus.ErrOutdated) {
		t.Errorf("a later entry has the outcome %v, want %v", d.Err, consensus.ErrOutdated)
	}
	if err := r.Read(context.Background(), &Query{Run: func(sm.Index, Machine) error { return nil }}); !errors.Is(err, consensus.ErrOutdated) {
		t.Errorf("a query: %v, want %v", err, consensus.ErrOutdated)
	}
	if err := r.Snapshot(&bytes.Buffer{}); r.CanSnapshot() || !errors.Is(err, consensus.ErrOutdated) {
		t.Errorf("a snapshot: %v, want %v", err, consensus.ErrOutdated)
	}
	if err := r.Restore(bytes.NewReader(snapshotOf(t, format.Snapshot{}))); !errors.Is(err, consensus.ErrOutdated) {
		t.Errorf("another snapshot: %v, want %v", err, consensus.ErrOutdated)
	}
	if r.EncodingLevel() != 0 {
		t.Errorf("EncodingLevel is %d, want 0", r.EncodingLevel())
	}
	if diff := cmp.Diff(lines, r.machine.Lines); diff != "" {
		t.Errorf("the machine changed (-before +after):\n%s", diff)
	}
}

// An entry that only a newer program knows stops the replica before any of it is applied.
func TestNewerEntriesStopTheReplica(t *testing.T) {
	t.Parallel()
	spoil := func(at int) []byte { b := entry(others, 2, "b"); b[at] = 0x63; return b }
	for name, test := range map[string]struct {
		data  []byte
		level uint32
		cause error
	}{
		"level":         {levelEntry(3), 3, nil},
		"version":       {spoil(0), 0, format.ErrVersion},
		"kind":          {spoil(1), 0, format.ErrVersion},
		"flags":         {spoil(2), 0, format.ErrVersion},
		"flags, higher": {spoil(3), 0, format.ErrVersion},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := readyAt(2, 2)
			r.commands(others, 1, "a")
			if r.EncodingLevel() != 2 {
				t.Errorf("EncodingLevel is %d, want 2", r.EncodingLevel())
			}
			before := r.Status()
			r.next(test.data)
			if len(r.errs) != 1 {
				t.Fatalf("errors %v, want one", r.errs)
			}
			want := consensus.OutdatedError{Found: test.level, Supported: 2, Entry: sm.Cursor{Term: 1, Index: r.index}}
			wantOutdated(t, r, r.errs[0], before, []string{"a"}, want, test.cause)
		})
	}
}

func TestNewerSnapshotsStopTheReplica(t *testing.T) {
	t.Parallel()
	at := sm.Cursor{Term: 3, Index: 70}
	leveled := snapshotOf(t, format.Snapshot{Level: 3, Index: 70, Term: 3})
	version := bytes.Clone(leveled)
	version[7] = 9
	for name, test := range map[string]struct {
		data []byte
		want consensus.OutdatedError
	}{
		"level":   {leveled, consensus.OutdatedError{Found: 3, Supported: 2, Entry: at}},
		"version": {version, consensus.OutdatedError{Supported: 2, Entry: sm.Cursor{Term: 1, Index: 6}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := readyAt(2, 2)
			r.commands(others, 1, "a")
			r.next(entryAt(2, others, 2, "b"))
			before := r.Status()
			err := r.Restore(bytes.NewReader(test.data))
			wantOutdated(t, r, err, before, []string{"a", "b"}, test.want, nil)
		})
	}
}

// A snapshot holds the active level. A snapshot of a program without levels means level 1.
func TestSnapshotHoldsTheLevel(t *testing.T) {
	t.Parallel()
	for _, active := range []uint32{1, 2, 4} {
		r, c := readyAt(4, active), newReplica()
		r.copyTo(t, c)
		if got := c.Status().Level; got != active || c.EncodingLevel() != active {
			t.Errorf("level %d and EncodingLevel %d after a restore, want %d", got, c.EncodingLevel(), active)
		}
	}
	c := newReplicaOf(1)
	if err := c.Restore(bytes.NewReader(snapshotOf(t, format.Snapshot{Opened: true}))); err != nil || c.Status().Level != 1 {
		t.Errorf("level %d after a snapshot without a level, error %v; want 1", c.Status().Level, err)
	}
}

func TestEncodingLevel(t *testing.T) {
	t.Parallel()
	r := newReplica()
	want := func(level uint32, when string) {
		t.Helper()
		if got := r.EncodingLevel(); got != level {
			t.Errorf("%s: EncodingLevel is %d, want %d", when, got, level)
		}
	}
	want(0, "in the beginning")
	r.next(levelEntry(2))
	want(0, "while the epoch forms")
	r.kind(format.KindOpen)
	want(2, "after the open entry")
	r.next(levelEntry(3))
	want(3, "after a level entry")
	r.kind(format.KindSeal)
	want(0, "after a seal")
	r = readyAt(4, 2)
	r.open(mine)
	r.commands(mine, 1, "panic")
	r.kind(format.KindOpen)
	want(0, "after a panic")
}

// An epoch that continues another one takes over its level, and treats each old entry as the
// previous epoch did. Its own level entries are void until the carryover is complete.
func TestCarryoverHasTheLevel(t *testing.T) {
	t.Parallel()
	for name, noSnapshots := range map[string]bool{"by snapshot": false, "by log": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := func(supported uint32) *replica {
				r := newReplicaOf(supported)
				r.machine.noSnapshots = noSnapshots
				return r
			}
			r := begin(4)
			r.kind(format.KindOpen)
			r.open(mine)
			r.next(entryAt(2, mine, 1, "void"))
			r.next(levelEntry(2))
			r.next(entryAt(2, mine, 2, "a"))
			r.next(levelEntry(3))

			next := begin(4)
			next.next(levelEntry(2)) // void: the ancestor entry resets the level
			for data := range carryoverOf(t, r, 1).Entries() {
				next.next(data)
				if !next.Status().Opened {
					next.next(levelEntry(next.Status().Level + 1))
				}
			}
			if s := next.Status(); s.Level != 3 || s.AppliedIndex != 1 || !s.Opened {
				t.Errorf("the next epoch's status is %+v, want level 3 and one command", s)
			}
			if diff := cmp.Diff([]string{"a"}, next.machine.Lines); diff != "" {
				t.Errorf("lines of the next epoch (-want +got):\n%s", diff)
			}
			next.next(levelEntry(4))
			if got := next.Status().Level; got != 4 {
				t.Errorf("level %d after a level entry, want 4", got)
			}

			// An older program without the level stops during the carryover.
			old := begin(2)
			for data := range carryoverOf(t, r, 1).Entries() {
				old.next(data)
			}
			if s := old.Status(); s.Outdated == nil || s.Outdated.Found != 3 || s.Outdated.Supported != 2 || s.Opened {
				t.Errorf("an older program's status is %+v, want it outdated at level 3", s)
			}
		})
	}
}

// A replayed entry of a newer program counts as newer, not as damaged.
func TestNewerEntryInAReplay(t *testing.T) {
	t.Parallel()
	r := newReplica()
	newer := entry(mine, 1, "a")
	newer[1] = 99
	r.next(format.Begin(nil, format.Header{Kind: format.KindAncestor, Session: [16]byte{1}}, nil, 0))
	r.next(format.AppendCommand(format.Begin(nil, format.Header{Kind: format.KindReplay, Sequence: 1}, nil, 1), newer))
	if len(r.errs) != 1 || !errors.Is(r.errs[0], consensus.ErrOutdated) || !errors.Is(r.errs[0], format.ErrVersion) {
		t.Errorf("errors %v, want %v", r.errs, consensus.ErrOutdated)
	}
}

// FuzzLevels applies one log by an older and a newer program. They agree until the older one stops,
// which it does only where the newer one raises the level above those that the older one supports.
func FuzzLevels(f *testing.F) {
	f.Add([]byte{2, 3, 4})
	f.Add([]byte{10, 2, 11, 20, 3, 12, 30, 13})
	f.Fuzz(func(t *testing.T, steps []byte) {
		old, newer := readyAt(2, 1), readyAt(4, 1)
		for sequence, step := range steps[:min(len(steps), 64)] {
			data := levelEntry(uint32(step % 8))
			if step >= 8 {
				data = entryAt(uint32(step%8), others, uint64(sequence+1), string([]byte{step}))
			}
			newer.next(data)
			before := old.Status()
			old.next(data)
			if o := old.Status().Outdated; o != nil {
				if before.Outdated = o; !cmp.Equal(before, old.Status()) || newer.Status().Level != o.Found || o.Found != 3 {
					t.Errorf("the older program stopped with %v at level %d, the newer one has level %d", o, before.Level, newer.Status().Level)
				}
				return
			}
			if diff := cmp.Diff(newer.Status(), old.Status()); diff != "" {
				t.Fatalf("status (-newer +older):\n%s", diff)
			}
			if diff := cmp.Diff(newer.machine.levels, old.machine.levels); diff != "" {
				t.Fatalf("levels of the decoded commands (-newer +older):\n%s", diff)
			}
		}
	})
}
