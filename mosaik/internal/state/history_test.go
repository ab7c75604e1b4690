package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// none stands for the present epoch.
var none [16]byte

// remember gives the replica a history.
func (r *replica) withHistory(h *History) *replica {
	r.State.cfg.History = h
	return r
}

// held returns what is held from the index on, and the error after the last.
func held(h *History, origin Origin, from sm.Index) (lines []string, err error) {
	enough := errors.New("enough")
	for {
		record, err := h.Next(context.Background(), origin, from, func() error {
			if from == h.next && h.ended == nil && h.poisoned == nil && !h.isOtherOrigin(origin) {
				return enough
			}
			return nil
		})
		if err == enough {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		for i, cmd := range record.Commands.All() {
			if index := record.First + sm.Index(i); index >= from {
				lines = append(lines, fmt.Sprintf("%d %s", index, cmd))
				from = index + 1
			}
		}
	}
}

func wantHeld(t *testing.T, h *History, from sm.Index, want ...string) {
	t.Helper()
	got, err := held(h, h.Origin(none), from)
	if err != nil {
		t.Errorf("following from %d: %v", from, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("followed from %d (-want +got):\n%s", from, diff)
	}
}

// What is recorded is what was applied: each entry once, however often it is in
// the log, and none that was refused.
func TestHistoryHoldsAppliedCommands(t *testing.T) {
	t.Parallel()
	h := NewHistory(1 << 20)
	h.Record()
	r := newReplica().withHistory(h)
	r.open(mine)
	r.commands(mine, 1, "while forming")
	r.kind(format.KindOpen)
	r.open(others)
	r.commands(mine, 2, "a", "decline", "undecodable")
	r.commands(mine, 2, "a", "decline", "undecodable")
	r.commands(others, 2, "after a gap")
	r.commands(others, 1, "b")
	r.commands(mine, 3) // a tombstone
	r.commands(mine, 3, "too late")
	r.commands(format.SessionID{9}, 1, "of nobody")
	r.commands(mine, 4, "c")
	all := []string{"1 a", "2 decline", "3 undecodable", "4 b", "5 c"}
	for from := sm.Index(1); from <= 6; from++ {
		wantHeld(t, h, from, append([]string(nil), all[from-1:]...)...)
	}

	r.commands(mine, 5, "d", "panic")
	h.Poison(r.Status().Poisoned)
	got, err := held(h, h.Origin(none), 5)
	if diff := cmp.Diff([]string{"5 c"}, got); diff != "" || !errors.Is(err, consensus.ErrPoisoned) {
		t.Errorf("a poisoned replica's history ends with %v; (-want +got):\n%s", err, diff)
	}
	h.EnterEpoch(h.epoch, false, h.next-1) // with another machine
	wantHeld(t, h, 5, "5 c")
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 4096
	h := NewHistory(limit)
	h.Record()
	r := ready().withHistory(h)
	for sequence := range uint64(1000) {
		r.commands(mine, sequence+1, "x", "y")
		if h.bytes > limit {
			t.Fatalf("%d bytes are held, at most %d should be", h.bytes, limit)
		}
	}
	first := h.records[0].First
	_, err := held(h, h.Origin(none), first-1)
	var behind *consensus.BehindError
	if !errors.As(err, &behind) || *behind != (consensus.BehindError{Index: first - 1, First: first}) || first < 1500 {
		t.Errorf("following from %d: %v; want that the first is %d", first-1, err, first)
	}
	if got, err := held(h, h.Origin(none), first); err != nil || len(got) != int(2001-first) {
		t.Errorf("%d commands are held from %d on, error %v; want all up to 2000", len(got), first, err)
	}
	r.commands(mine, 1001, string(make([]byte, 2*limit)))
	if got, err := held(h, h.Origin(none), 2001); err != nil || len(got) != 1 {
		t.Errorf("of a large last entry %d commands are held, error %v; want it", len(got), err)
	}
}

func TestHistoryCopiesCommands(t *testing.T) {
	t.Parallel()
	h := NewHistory(1 << 20)
	h.Record()
	r := ready().withHistory(h)
	data := entry(mine, 1, "a", "b")
	r.next(data)
	clear(data)
	wantHeld(t, h, 1, "1 a", "2 b")
}

func TestHistoryStartsAtRecord(t *testing.T) {
	t.Parallel()
	h := NewHistory(1 << 20)
	r := ready().withHistory(h)
	r.commands(mine, 1, "a", "b")
	r.Record()
	r.commands(mine, 2, "c")
	r.Record() // again
	wantHeld(t, h, 3, "3 c")
	_, err := held(h, h.Origin(none), 2)
	var behind *consensus.BehindError
	if !errors.As(err, &behind) || behind.First != 3 {
		t.Errorf("following what was not recorded: %v; want that the first is 3", err)
	}
}

func TestHistoryAcrossReplicas(t *testing.T) {
	t.Parallel()
	h := NewHistory(1 << 20)
	h.Record()
	h.EnterEpoch([16]byte{1}, false, h.next-1)
	r := ready().withHistory(h)
	r.commands(mine, 1, "a", "b")
	generation := h.Origin(none)

	// The same epoch is applied again, and goes on.
	h.EnterEpoch([16]byte{1}, false, h.next-1)
	again := ready().withHistory(h)
	again.commands(mine, 1, "a", "b")
	if len(h.records) != 1 {
		t.Errorf("%d entries are held, want 1: the second life applies what is known", len(h.records))
	}
	again.commands(mine, 2, "c")
	wantHeld(t, h, 1, "1 a", "2 b", "3 c")

	// A snapshot leads past commands.
	for sequence := uint64(2); sequence <= 4; sequence++ {
		r.withHistory(nil).commands(mine, sequence, fmt.Sprint("unseen ", sequence))
	}
	var b bytes.Buffer
	if err := r.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	if err := again.Restore(&b); err != nil {
		t.Fatal(err)
	}
	_, err := held(h, generation, 4)
	var behind *consensus.BehindError
	if !errors.As(err, &behind) || behind.First != 6 {
		t.Errorf("following across a snapshot: %v; want that the first is 6", err)
	}

	// An epoch that this member's own state is taken over to goes on.
	h.EnterEpoch([16]byte{2}, true, h.next-1)
	if h.Origin(none) != generation {
		t.Error("indices began anew in an epoch that continues the one before")
	}
	for epoch, want := range map[byte]error{1: nil, 2: nil, 3: ErrOtherEpoch} {
		if _, err := held(h, h.Origin([16]byte{epoch}), 6); !errors.Is(err, want) {
			t.Errorf("following epoch %d in epoch 2, which continues epoch 1: %v, want %v", epoch, err, want)
		}
	}
	// Another does not.
	h.EnterEpoch([16]byte{3}, false, h.next-1)
	ready().withHistory(h).commands(mine, 1, "z")
	if _, err := held(h, generation, 6); !errors.Is(err, ErrOtherEpoch) {
		t.Errorf("following into another epoch: %v", err)
	}
	wantHeld(t, h, 1, "1 z")
	for epoch, want := range map[byte]error{1: ErrOtherEpoch, 2: ErrOtherEpoch, 3: nil} {
		if _, err := held(h, h.Origin([16]byte{epoch}), 2); !errors.Is(err, want) {
			t.Errorf("following epoch %d in epoch 3: %v, want %v", epoch, err, want)
		}
	}
	gone := errors.New("gone")
	h.End(gone)
	if _, err := held(h, h.Origin(none), 2); err != gone {
		t.Errorf("following what has ended: %v", err)
	}
}

// An epoch without commands gives way unnoticed.
func TestHistoryOfAnEmptyEpoch(t *testing.T) {
	t.Parallel()
	h := NewHistory(1 << 20)
	h.Record()
	h.EnterEpoch([16]byte{1}, false, h.next-1)
	generation := h.Origin(none)
	h.EnterEpoch([16]byte{2}, false, h.next-1)
	ready().withHistory(h).commands(mine, 1, "a")
	if got, err := held(h, generation, 1); err != nil || len(got) != 1 {
		t.Errorf("followed %q, error %v; want one command", got, err)
	}
}
