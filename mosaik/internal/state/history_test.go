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

// none stands for the current epoch.
var none [16]byte

// withHistory sets the history of the replica.
func (r *replica) withHistory(h *History) *replica {
	r.State.cfg.History = h
	return r
}

// held returns the recorded commands from the index on, and the error after the last one.
func held(h *History, origin Origin, from sm.Index) (lines []string, err error) {
	atEnd := errors.New("at the end")
	for {
		record, err := h.Next(context.Background(), origin, from, func() error {
			if from == h.next && h.ended == nil && h.poisoned == nil && !h.isOtherOrigin(origin) {
				return atEnd
			}
			return nil
		})
		if err == atEnd {
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
		t.Errorf("read from %d: %v", from, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands from %d (-want +got):\n%s", from, diff)
	}
}

// The history holds the applied commands: each once even if its entry is in the log twice, and none
// that was rejected.
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
	r.commands(format.SessionID{9}, 1, "unknown session")
	r.commands(mine, 4, "c")
	all := []string{"1 a", "2 decline", "3 undecodable", "4 b", "5 c"}
	for from := sm.Index(1); from <= 6; from++ {
		wantHeld(t, h, from, append([]string(nil), all[from-1:]...)...)
	}

	r.commands(mine, 5, "d", "panic")
	h.Poison(r.Status().Poisoned)
	got, err := held(h, h.Origin(none), 5)
	if diff := cmp.Diff([]string{"5 c"}, got); diff != "" || !errors.Is(err, consensus.ErrPoisoned) {
		t.Errorf("history of a poisoned replica: error %v, want ErrPoisoned; commands (-want +got):\n%s", err, diff)
	}
	h.EnterEpoch(h.epoch, false, h.next-1) // with a new machine
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
			t.Fatalf("%d bytes are held, the limit is %d", h.bytes, limit)
		}
	}
	first := h.records[0].First
	_, err := held(h, h.Origin(none), first-1)
	var behind *consensus.BehindError
	if !errors.As(err, &behind) || *behind != (consensus.BehindError{Index: first - 1, First: first}) || first < 1500 {
		t.Errorf("read from %d: %v; want a BehindError with the first index %d", first-1, err, first)
	}
	if got, err := held(h, h.Origin(none), first); err != nil || len(got) != int(2001-first) {
		t.Errorf("%d commands from %d, error %v; want all up to 2000", len(got), first, err)
	}
	r.commands(mine, 1001, string(make([]byte, 2*limit)))
	if got, err := held(h, h.Origin(none), 2001); err != nil || len(got) != 1 {
		t.Errorf("%d commands from an entry above the limit, error %v; want 1", len(got), err)
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
		t.Errorf("read of an unrecorded command: %v; want a BehindError with the first index 3", err)
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

	// A second replica applies the same epoch again, and further commands.
	h.EnterEpoch([16]byte{1}, false, h.next-1)
	again := ready().withHistory(h)
	again.commands(mine, 1, "a", "b")
	if len(h.records) != 1 {
		t.Errorf("%d entries are held, want 1: the second replica applies the same entry", len(h.records))
	}
	again.commands(mine, 2, "c")
	wantHeld(t, h, 1, "1 a", "2 b", "3 c")

	// A snapshot covers commands that were not recorded.
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
		t.Errorf("read across a snapshot: %v; want a BehindError with the first index 6", err)
	}

	// Indices keep their meaning in an epoch with the carryover of this member.
	h.EnterEpoch([16]byte{2}, true, h.next-1)
	if h.Origin(none) != generation {
		t.Error("the origin changed in an epoch that continues the previous one")
	}
	for epoch, want := range map[byte]error{1: nil, 2: nil, 3: ErrOtherEpoch} {
		if _, err := held(h, h.Origin([16]byte{epoch}), 6); !errors.Is(err, want) {
			t.Errorf("read with epoch %d in epoch 2, which continues epoch 1: %v, want %v", epoch, err, want)
		}
	}
	// Indices lose their meaning in any other epoch.
	h.EnterEpoch([16]byte{3}, false, h.next-1)
	ready().withHistory(h).commands(mine, 1, "z")
	if _, err := held(h, generation, 6); !errors.Is(err, ErrOtherEpoch) {
		t.Errorf("read with the origin of another epoch: %v, want ErrOtherEpoch", err)
	}
	wantHeld(t, h, 1, "1 z")
	for epoch, want := range map[byte]error{1: ErrOtherEpoch, 2: ErrOtherEpoch, 3: nil} {
		if _, err := held(h, h.Origin([16]byte{epoch}), 2); !errors.Is(err, want) {
			t.Errorf("read with epoch %d in epoch 3: %v, want %v", epoch, err, want)
		}
	}
	gone := errors.New("gone")
	h.End(gone)
	if _, err := held(h, h.Origin(none), 2); err != gone {
		t.Errorf("read after End: %v, want its error", err)
	}
}

// Indices keep their meaning after an epoch without commands.
func TestHistoryOfAnEmptyEpoch(t *testing.T) {
	t.Parallel()
	h := NewHistory(1 << 20)
	h.Record()
	h.EnterEpoch([16]byte{1}, false, h.next-1)
	generation := h.Origin(none)
	h.EnterEpoch([16]byte{2}, false, h.next-1)
	ready().withHistory(h).commands(mine, 1, "a")
	if got, err := held(h, generation, 1); err != nil || len(got) != 1 {
		t.Errorf("read %q, error %v; want one command", got, err)
	}
}
