package state

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// A restored replica applies later entries like the replica of the snapshot.
func TestSnapshotIsTheWholeState(t *testing.T) {
	t.Parallel()
	r := ready()
	r.kind(format.KindLevel)
	r.commands(others, 1, "a", "b")
	late := entry(mine, 1, "c")
	late[32] = 200 // the time
	r.next(late)
	c := newReplica()
	c.SetOwnSession(format.SessionID{7})
	c.open(format.SessionID{7}) // Restore replaces all of this
	c.commands(format.SessionID{7}, 1, "gone")
	c.events = nil
	r.copyTo(t, c)
	for _, at := range []*replica{r, c} {
		at.commands(others, 1, "again")
		at.commands(mine, 3, "gap")
		at.commands(format.SessionID{7}, 2, "unknown")
		at.commands(others, 2, "d")
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, c.machine.Lines); diff != "" {
		t.Errorf("the copy's machine (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(r.Status(), c.Status()); diff != "" {
		t.Errorf("status of replica and copy (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(r.machine.contexts[3], c.machine.contexts[0], cmp.AllowUnexported(sm.ApplyContext{})); diff != "" {
		t.Errorf("contexts of the next command (-replica +restored):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"opened", "deliver 2"}, c.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	var one, two bytes.Buffer
	if err := errors.Join(r.Snapshot(&one), c.Snapshot(&two)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the snapshots of equal replicas differ")
	}
}

func TestRestoreReportsASeal(t *testing.T) {
	t.Parallel()
	r, c := ready(), newReplica()
	r.kind(format.KindSeal)
	r.copyTo(t, c)
	if diff := cmp.Diff([]string{"opened", "sealed"}, c.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	c.commands(mine, 1, "late")
	if d := c.last(t); !errors.Is(d.Err, ErrSealed) {
		t.Errorf("delivered %+v, want %v", d, ErrSealed)
	}
}

func TestRestoreDeliversLostOutcomes(t *testing.T) {
	t.Parallel()
	// Two replicas go through the same log; the second stops early and catches
	// up by a snapshot of the first.
	for _, test := range []struct {
		name  string
		both  func(*replica)
		first func(*replica)
		want  []Delivery
	}{{
		name:  "applied",
		both:  func(r *replica) { r.kind(format.KindOpen); r.open(mine); r.commands(mine, 1, "a") },
		first: func(r *replica) { r.commands(mine, 2, "b"); r.commands(mine, 3, "c", "d") },
		want:  []Delivery{{Session: mine, Sequence: 3, First: 3, Err: ErrResultLost, Restored: true}},
	}, {
		name:  "rejected while forming",
		both:  func(r *replica) { r.open(mine) },
		first: func(r *replica) { r.commands(mine, 1, "a"); r.kind(format.KindOpen) },
		want:  []Delivery{{Session: mine, Sequence: 1, Err: ErrForming, Restored: true}},
	}, {
		name:  "rejected by a seal",
		both:  func(r *replica) { r.open(mine) },
		first: func(r *replica) { r.kind(format.KindSeal); r.commands(mine, 1, "a") },
		want:  []Delivery{{Session: mine, Sequence: 1, Err: ErrSealed, Restored: true}},
	}, {
		name:  "nothing new",
		both:  func(r *replica) { r.kind(format.KindOpen); r.open(mine); r.commands(mine, 1, "a") },
		first: func(r *replica) { r.open(others); r.commands(others, 1, "b") },
	}, {
		name:  "rejection that was delivered",
		both:  func(r *replica) { r.open(mine); r.commands(mine, 1, "a") },
		first: func(r *replica) { r.kind(format.KindOpen) },
	}, {
		name:  "unknown session",
		both:  func(*replica) {},
		first: func(r *replica) { r.open(others) },
	}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			one, two := newReplica(), newReplica()
			test.both(one)
			test.both(two)
			test.first(one)
			two.deliveries = nil
			one.copyTo(t, two)
			if diff := cmp.Diff(test.want, two.deliveries, cmpopts.EquateErrors()); diff != "" {
				t.Errorf("deliveries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFailedRestorePoisons(t *testing.T) {
	t.Parallel()
	snapshot := func(cmd string) []byte {
		r := ready()
		r.commands(others, 1, cmd)
		var b bytes.Buffer
		if err := r.Snapshot(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	good := snapshot("a")
	damaged := bytes.Clone(good)
	damaged[len(damaged)-1]++
	double := func() []byte {
		var b bytes.Buffer
		w, err := format.NewSnapshotWriter(&b, &format.Snapshot{Sessions: make([]format.Session, 2)})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	broken := errors.New("broken")
	for _, test := range []struct {
		name    string
		data    []byte
		machine journal
		want    error // nil: a panic
	}{
		{"no snapshot", []byte("rubbish rubbish"), journal{}, format.ErrMalformed},
		{"cut", good[:len(good)-20], journal{}, io.ErrUnexpectedEOF},
		{"damaged after the machine", damaged, journal{}, format.ErrMalformed},
		{"session twice", double(), journal{}, format.ErrMalformed},
		{"the machine fails", good, journal{restoreFails: broken}, broken},
		{"the machine panics", snapshot("panic in restore"), journal{}, nil},
		{"the machine has no snapshots", good, journal{noSnapshots: true}, ErrNoSnapshot},
	} {
		r := newReplica()
		*r.machine = test.machine
		err := r.Restore(bytes.NewReader(test.data))
		var p *consensus.PoisonedError
		if !errors.As(err, &p) || p.Doing != "restore" || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want a PoisonedError with %v", test.name, err, test.want)
		}
		if (len(p.Stack) > 0) != (test.want == nil) {
			t.Errorf("%s: stack %q", test.name, p.Stack)
		}
		if got := r.Read(context.Background(), &Query{Run: func(sm.Index, Machine) error { return nil }}); got != error(p) {
			t.Errorf("%s: read: %v, want the poison", test.name, got)
		}
		if diff := cmp.Diff([]string{"poisoned restore"}, r.events); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestSnapshotErrors(t *testing.T) {
	t.Parallel()
	r := ready()
	r.machine.noSnapshots = true
	if err := r.Snapshot(io.Discard); r.CanSnapshot() || !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("snapshot of a machine without snapshots: %v, want ErrNoSnapshot", err)
	}
	r = ready()
	r.commands(mine, 1, "panic in snapshot")
	var p *PanicError
	if err := r.Snapshot(io.Discard); !errors.As(err, &p) || p.Doing != "snapshot" {
		t.Errorf("snapshot of a machine that panics: %v, want a PanicError", err)
	}
	if r.Status().Poisoned != nil {
		t.Error("a panic in a snapshot poisons")
	}
}
