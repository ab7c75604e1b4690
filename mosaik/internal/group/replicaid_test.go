package group

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// TestReplicaIDsAreCached derives many ids in several goroutines, twice. They are those of the
// digest, cached or not, and the cache is bounded.
func TestReplicaIDsAreCached(t *testing.T) {
	t.Parallel()
	var deriving sync.WaitGroup
	for range 4 {
		deriving.Go(func() {
			for round := range 2 {
				for n := range 3 * maxReplicaIDs {
					var name replicaIDKey
					binary.BigEndian.PutUint32(name.peer[:], uint32(n%3))
					binary.BigEndian.PutUint32(name.epoch[:], uint32(n%5))
					binary.BigEndian.PutUint32(name.incarnation[:], uint32(n))
					want := id64(name.peer[:], name.epoch[:], name.incarnation[:])
					for range 2 {
						if got := replicaID(name.peer, name.epoch, name.incarnation); got != want {
							t.Errorf("round %d: id %d is %d, want %d", round, n, got, want)
							return
						}
					}
				}
			}
		})
	}
	deriving.Wait()
	m := &knownReplicaIDs
	m.mu.RLock()
	defer m.mu.RUnlock()
	if len(m.present) > maxReplicaIDs || len(m.last) > maxReplicaIDs {
		t.Errorf("%d and %d ids are kept, want at most %d in each generation", len(m.present), len(m.last), maxReplicaIDs)
	}
}

// TestUsedReplicaIDsStay keeps using one id among many others.
func TestUsedReplicaIDsStay(t *testing.T) {
	t.Parallel()
	var m replicaIDCache
	used := replicaIDKey{peer: sm.PeerID{1}}
	m.put(used, 7)
	for n := range 5 * maxReplicaIDs {
		var other replicaIDKey
		binary.BigEndian.PutUint32(other.epoch[:], uint32(n+1))
		m.put(other, 8)
		if id, ok := m.get(used); !ok || id != 7 {
			t.Fatalf("after %d other ids the used one is %d, %v, want 7", n+1, id, ok)
		}
	}
	if _, ok := m.get(replicaIDKey{peer: sm.PeerID{2}}); ok {
		t.Error("an id is cached that was never put")
	}
}

func BenchmarkReplicaID(b *testing.B) {
	var e Epoch
	var i Incarnation
	b.Run("derived", func(b *testing.B) {
		peer := sm.PeerID{1}
		for b.Loop() {
			id64(peer[:], e[:], i[:])
		}
	})
	b.Run("remembered", func(b *testing.B) {
		for b.Loop() {
			replicaID(sm.PeerID{1}, e, i)
		}
	})
}
