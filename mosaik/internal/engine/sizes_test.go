package engine

import (
	"runtime"
	"testing"
)

// TestSizes notices when dragonboat no longer has one of the variables: the one
// declared here would then be a variable of its own, which starts at 0 and stays 0.
func TestSizes(t *testing.T) {
	t.Parallel()
	for _, s := range sizes {
		if *s.variable != s.set {
			t.Errorf("dragonboat's %s is %d, want %d (its default is %d)", s.name, *s.variable, s.set, s.stock)
		}
	}
}

// TestIdleReplicaIsSmall measures the heap that replicas hold which do nothing.
// It is not parallel, since the heap belongs to the process.
func TestIdleReplicaIsSmall(t *testing.T) {
	const (
		replicas = 50
		limit    = 200 << 10 // bytes of heap a replica
	)
	n := cluster(t, 1)[0]
	start := func(i int) {
		t.Helper()
		n.start(1, newRecorder(), true, func(cfg *ReplicaConfig) { cfg.Shard += uint64(i) })
	}
	start(0) // what the first replica allocates for all is not counted
	before := heapInUse()
	for i := range replicas {
		start(i + 1)
	}
	per := (heapInUse() - before) / replicas
	t.Logf("%d KB of heap a replica", per>>10)
	if per > limit {
		t.Errorf("an idle replica holds %d bytes of heap, want at most %d", per, limit)
	}
}

// heapInUse returns the bytes of live objects.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what the finalizers of the first have let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
