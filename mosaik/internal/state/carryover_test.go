package state

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// carryoverOf returns the carryover of a replica in the epoch.
func carryoverOf(t *testing.T, r *replica, epoch byte) *Carryover {
	t.Helper()
	h := NewCarryover([16]byte{epoch}, r.State)
	if r.CanSnapshot() {
		if err := h.AddSnapshot(r.State); err != nil {
			t.Fatal(err)
		}
		return h
	}
	for _, data := range r.log {
		h.AddEntry(data)
	}
	return h
}

// applyCarryover applies the entries of a carryover, each twice. In between it tries commands,
// which must be rejected.
func (r *replica) applyCarryover(h *Carryover) {
	for data := range h.Entries() {
		r.next(data)
		r.next(data)
		if !r.Status().Opened {
			r.commands(format.SessionID{9}, 1, "too early")
		}
	}
}

// An epoch that continues another one has the state of the previous epoch and applies the same
// commands in the same way. So does the epoch after it.
func TestCarryover(t *testing.T) {
	t.Parallel()
	for name, noSnapshots := range map[string]bool{"by snapshot": false, "by log": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := func() *replica {
				r := newReplica()
				r.machine.noSnapshots = noSnapshots
				return r
			}
			r := begin()
			r.open(mine)
			r.commands(mine, 1, "before it opened")
			r.kind(format.KindOpen)
			r.kind(format.KindLevel)
			r.open(others)
			r.commands(others, 1, "a", "b")
			r.commands(mine, 2, "c", "undecodable", "decline")
			r.commands(mine, 4, "gap")
			r.kind(format.KindSeal)        // void
			r.next([]byte{format.Version}) // damaged

			first := begin()
			first.applyCarryover(carryoverOf(t, r, 1))
			first.commands(mine, 2, "again")
			first.commands(mine, 3, "d")

			second := begin()
			second.applyCarryover(carryoverOf(t, first, 2))
			second.commands(mine, 3, "again")
			second.commands(others, 2, "e")

			if diff := cmp.Diff([]string{"a", "b", "c", "d", "e"}, second.machine.Lines); diff != "" {
				t.Errorf("lines of the second epoch's machine (-want +got):\n%s", diff)
			}
			r.commands(mine, 3, "d")
			r.commands(others, 2, "e")
			want := r.Status()
			want.Ancestors = [][16]byte{{1}, {2}}
			if diff := cmp.Diff(want, second.Status(), cmpopts.IgnoreFields(Status{}, "Raft")); diff != "" {
				t.Errorf("status (-original +second epoch):\n%s", diff)
			}
			at := second.Status().Raft
			if at.Index != second.index {
				t.Errorf("the second epoch has applied index %d of its log, want %d", at.Index, second.index)
			}
			lines := cmpopts.IgnoreFields(format.Session{}, "Used")
			if diff := cmp.Diff(r.sessions.list(), second.sessions.list(), lines); diff != "" {
				t.Errorf("sessions (-original +second epoch):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"ancestor 01", "ancestor 02", "opened"}, filter(second.events, "ancestor", "opened")); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func filter(events []string, prefixes ...string) (kept []string) {
	for _, line := range events {
		for _, p := range prefixes {
			if len(line) >= len(p) && line[:len(p)] == p {
				kept = append(kept, line)
			}
		}
	}
	return kept
}

// A carryover has no effect on an epoch with commands.
func TestCarryoverAfterCommandsIsVoid(t *testing.T) {
	t.Parallel()
	from, to := ready(), ready()
	from.commands(others, 1, "a")
	to.commands(others, 1, "b")
	before := to.Status()
	h := carryoverOf(t, from, 1)
	to.applyCarryover(h)
	after := to.Status()
	if diff := cmp.Diff(before, after, cmpopts.IgnoreFields(Status{}, "Raft")); diff != "" {
		t.Errorf("status (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b"}, to.machine.Lines); diff != "" {
		t.Errorf("machine (-want +got):\n%s", diff)
	}
}

// A machine that fails to restore the carried-over snapshot poisons the replica.
func TestFailedCarryoverPoisons(t *testing.T) {
	t.Parallel()
	from, to := ready(), newReplica()
	from.commands(others, 1, "a")
	to.machine.restoreFails = errDomain
	for data := range carryoverOf(t, from, 1).Entries() {
		to.next(data)
	}
	if p := to.Status().Poisoned; p == nil || !errors.Is(p, errDomain) || p.Entry.Index == 0 {
		t.Errorf("poisoned by %v, want %v with its entry", p, errDomain)
	}
	if to.CanSnapshot() {
		t.Error("a poisoned replica can be snapshotted")
	}
}

// A replica cannot be snapshotted before its carryover is complete.
func TestNoSnapshotDuringCarryover(t *testing.T) {
	t.Parallel()
	from, to := ready(), newReplica()
	for data := range carryoverOf(t, from, 1).Entries() {
		if to.next(data); !to.Status().Opened {
			if err := to.Snapshot(nil); !errors.Is(err, errCarryover) {
				t.Errorf("snapshot: %v, want %v", err, errCarryover)
			}
		}
	}
	c := newReplica()
	to.copyTo(t, c)
	if diff := cmp.Diff(to.Status(), c.Status()); diff != "" {
		t.Errorf("status after a restore (-replica +restored):\n%s", diff)
	}
}
