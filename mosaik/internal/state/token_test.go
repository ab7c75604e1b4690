package state

import (
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

func (r *replica) openAbove(base uint64) {
	r.next(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindOpen, Sequence: base}}))
}

// The token base is the highest valid one of the open entries. It never decreases.
func TestTokenBase(t *testing.T) {
	t.Parallel()
	r := newReplica()
	for _, step := range []struct{ open, want uint64 }{
		{0, 0}, {7, 7}, {5, 7}, {0, 7}, {format.MaxTokenBase + 1, 7}, {1<<64 - 1, 7}, {8, 8}, {format.MaxTokenBase, format.MaxTokenBase},
	} {
		if r.openAbove(step.open); r.TokenBase() != step.want {
			t.Errorf("after an open entry of %d the base is %d, want %d", step.open, r.TokenBase(), step.want)
		}
	}
	c := newReplica()
	if r.copyTo(t, c); c.TokenBase() != format.MaxTokenBase {
		t.Errorf("a restored replica has the base %d, want %d", c.TokenBase(), uint64(format.MaxTokenBase))
	}
}

// The token base of an epoch that continues another one is the higher one of the carried-over base
// and the base of its own open entry.
func TestTokenBaseOfCarryover(t *testing.T) {
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
			r.openAbove(100)
			r.open(mine)
			r.commands(mine, 1, "a")
			r.openAbove(200)
			for _, step := range []struct{ set, want uint64 }{{0, 200}, {300, 300}, {250, 300}} {
				h := carryoverOf(t, r, 1)
				h.SetTokenBase(step.set)
				next := begin()
				if next.applyCarryover(h); next.TokenBase() != step.want {
					t.Errorf("an epoch that opens above %d has the base %d, want %d", step.set, next.TokenBase(), step.want)
				}
				r = next
			}
		})
	}
}
