package storagetest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// testRandom compares a log with the naive implementation over random changes,
// which a durable one must keep.
func testRandom(t *testing.T, p *place) {
	seeds, steps := uint64(12), 300
	if testing.Short() || p.durable { // which takes its time
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			name := fmt.Sprintf("random %d", seed)
			log := p.group(t, name)
			var want model
			for step := range steps {
				if rng.IntN(8) == 0 {
					through := randomIndex(rng, &want)
					prune(t, log, through)
					want.prune(through)
				} else {
					b := randomBatch(rng, &want)
					save(t, log, b)
					want.save(b)
				}
				if p.durable && rng.IntN(25) == 0 {
					log = p.reopenGroup(t, log, name)
				}
				if step%10 == 0 || step == steps-1 {
					verify(t, log, want)
				}
			}
		})
	}
}

// randomIndex returns an index within the log, or one just outside it.
func randomIndex(rng *rand.Rand, m *model) sm.Index {
	lo, hi := m.state.Pruned.Index, m.last().Index
	return max(lo, 2) - 2 + sm.Index(rng.Uint64N(uint64(hi-lo)+5))
}

// randomBatch returns a batch that the log accepts.
func randomBatch(rng *rand.Rand, m *model) (b logstore.Batch) {
	after := *m
	if rng.IntN(60) == 0 {
		b.Clear = true
		after = model{}
	}
	if rng.IntN(30) == 0 {
		b.Reset = &sm.Cursor{Term: sm.Term(1 + rng.IntN(5)), Index: 1 + sm.Index(rng.IntN(1000))}
		after.save(logstore.Batch{Reset: b.Reset})
	}
	if rng.IntN(10) == 0 {
		b.Truncate = max(1, randomIndex(rng, &after))
		after.save(logstore.Batch{Truncate: b.Truncate})
	}
	if rng.IntN(4) > 0 {
		prev := after.last()
		if rng.IntN(4) == 0 && len(after.entries) > 0 {
			e := after.entries[rng.IntN(len(after.entries))]
			after.truncate(e.Index)
			prev = after.last()
		}
		n := 1 + rng.IntN(8)
		if rng.IntN(10) == 0 {
			n = 1 + rng.IntN(600)
		}
		for range n {
			prev.Index++
			if rng.IntN(12) == 0 {
				prev.Term++
			}
			b.Entries = append(b.Entries, entry(prev.Term, prev.Index))
		}
	}
	if rng.IntN(3) == 0 {
		b.Hard = &logstore.HardState{Term: sm.Term(rng.IntN(9)), Vote: rng.Uint64(), Commit: sm.Index(rng.IntN(999))}
	}
	if rng.IntN(12) == 0 {
		b.Snapshot = &logstore.Snapshot{Cursor: after.last(), Record: fmt.Appendf(nil, "record %d", rng.Uint64())}
	}
	if rng.IntN(12) == 0 {
		b.Meta = fmt.Appendf(nil, "meta %d", rng.Uint64())
	}
	return b
}
