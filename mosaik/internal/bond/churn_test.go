package bond

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
)

// TestNewsIsCoalesced has many strangers change their entries repeatedly while the budget for
// relaying is used up. Every connection is sent one frame. Later, only the last version of each
// entry is after its cursor.
func TestNewsIsCoalesced(t *testing.T) {
	t.Parallel()
	const peers, updates = 8, 6
	a := startNode(t, 0, nil)
	a.limit(func(b *budgets) { b.relay = rate.NewBucket(0, 1e-9, time.Now()) })
	ids := crowd(t, peers)
	var raws []*raw
	for _, id := range ids {
		raws = append(raws, crowdRaw(t, a, id))
	}
	for version := range uint64(updates) {
		for _, r := range raws {
			r.sendEntries(r.entry(version + 1))
			r.settle()
		}
	}
	if got := a.manager.counts.frames.Load(); got > peers {
		t.Errorf("%d updates were relayed in %d frames, want at most %d, one for each connection", peers*updates, got, peers)
	}
	entries, _, more := a.catalog.Changes(0, math.MaxInt, a.peer(), 0)
	if len(entries) != peers || more {
		t.Fatalf("%d entries are relayed, more %v, want %d", len(entries), more, peers)
	}
	for _, e := range entries {
		if e.Version != updates {
			t.Errorf("version %d of peer %s is relayed, want the last, %d", e.Version, e.Peer.Short(), updates)
		}
	}
}

// TestOwnNewsIsNotHeldBack has a node change its own entry while the budget for relaying is used
// up.
func TestOwnNewsIsNotHeldBack(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	a.limit(func(b *budgets) { b.relay = rate.NewBucket(0, 1e-9, time.Now()) })
	r := connectRaw(t, a, 1)
	for range 5 {
		s, err := a.catalog.Update(func(*discovery.Entry) {})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parseEntries(r.expect(kindEntries))
		if err != nil {
			t.Fatal(err)
		}
		raws := slices.Collect(parsed)
		if len(raws) != 1 || string(raws[0]) != string(s.Bytes()) {
			t.Fatalf("got %d entries, want version %d", len(raws), s.Version)
		}
	}
}

// BenchmarkChurn counts the frames and bytes that a node relays to all strangers together for
// each update, while strangers change their entries twice a second.
func BenchmarkChurn(b *testing.B) {
	const peers = 200
	a := startNode(b, 0, nil)
	var frames, bytes atomic.Int64
	var done sync.WaitGroup
	var raws []*raw
	for _, id := range crowd(b, peers) {
		raws = append(raws, crowdRaw(b, a, id))
	}
	for _, r := range raws {
		done.Go(func() {
			var buf []byte
			for {
				kind, payload, err := r.conn.ReadFrame(math.MaxInt32, buf)
				if err != nil {
					return
				}
				switch buf = payload; kind {
				case kindPing:
					_ = r.conn.WriteFrame(kindPong, payload)
				case kindEntries:
					frames.Add(1)
					bytes.Add(int64(len(payload)))
				}
			}
		})
	}
	updates := 0
	ticker := time.NewTicker(time.Second / 2 / peers)
	defer ticker.Stop()
	for b.Loop() {
		<-ticker.C
		r := raws[updates%peers]
		payload := appendEntries([]discovery.Signed{r.entry(uint64(updates + 1))})[0]
		if err := r.conn.WriteFrame(kindEntries, payload); err != nil {
			b.Fatal(err)
		}
		updates++
	}
	b.ReportMetric(float64(frames.Load())/float64(updates), "frames/update")
	b.ReportMetric(float64(bytes.Load())/float64(updates), "bytes/update")
	for _, r := range raws {
		r.conn.Close()
	}
	done.Wait()
}
