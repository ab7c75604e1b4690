package engine

import (
	"math/rand/v2"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// TestLoad draws entries of all sizes, and snapshots that are taken immediately, late or not at
// all. Each is requested in time, and at most half of the bound, plus one entry, stays behind it.
func TestLoad(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		draw := rand.New(rand.NewPCG(seed, 1))
		l := load{entries: 2 + draw.Uint64N(50), bytes: 100 + draw.Uint64N(10_000)}
		switch draw.IntN(4) {
		case 0:
			l.entries = 0
		case 1:
			l.bytes = 0
		}
		largest := 1 + draw.IntN(3000)
		sizes := map[sm.Index]int{}
		sum := func(after, through sm.Index) (bytes uint64) {
			for i := after + 1; i <= through; i++ {
				bytes += uint64(sizes[i])
			}
			return bytes
		}
		index := 2 + sm.Index(draw.Uint64N(1000))
		from, asked := index-1, uint64(0)
		for range 500 {
			sizes[index] = draw.IntN(largest)
			through, due := l.add(index, sizes[index])
			entries, bytes := uint64(index-from), sum(from, index)
			reached := l.entries > 0 && entries >= l.entries || l.bytes > 0 && bytes >= l.bytes
			switch {
			case due && !reached:
				t.Fatalf("seed %d: asked at %d entries of %d bytes, bounds %d and %d", seed, entries, bytes, l.entries, l.bytes)
			case due && asked == 0:
				if through >= index || through < from {
					t.Fatalf("seed %d: prune through %d after entries %d to %d", seed, through, from+1, index)
				}
				if kept := uint64(index - through); l.entries > 0 && kept > l.entries/2+1 {
					t.Fatalf("seed %d: %d entries kept, of at most %d", seed, kept, l.entries)
				}
				if kept := sum(through, index); l.bytes > 0 && kept > l.bytes/2+uint64(sizes[index]) {
					t.Fatalf("seed %d: %d bytes kept, of at most %d", seed, kept, l.bytes)
				}
			case reached && !due && asked == 0:
				t.Fatalf("seed %d: not asked at %d entries of %d bytes, bounds %d and %d", seed, entries, bytes, l.entries, l.bytes)
			}
			if due {
				asked++
			}
			// A request without effect is repeated.
			if reached && asked > 0 && draw.IntN(3) == 0 || asked > 2 {
				l.restart()
				from, asked = index, 0
			} else if l.entries > 0 && entries > 4*l.entries && asked < 2 {
				t.Fatalf("seed %d: asked %d times in %d entries, bound %d", seed, asked, entries, l.entries)
			}
			index++
		}
	}
}
