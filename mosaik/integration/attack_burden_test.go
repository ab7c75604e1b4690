package integration_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"
)

// burden is what this process, with all nodes of a cluster in it, takes.
type burden struct {
	memory      uint64 // bytes that the Go runtime has from the system
	goroutines  int
	descriptors int // 0 where the system does not say
}

func (b burden) String() string {
	return fmt.Sprintf("%d MiB, %d goroutines, %d descriptors", b.memory>>20, b.goroutines, b.descriptors)
}

// burdenNow returns the present burden.
func burdenNow() burden {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	open, _ := os.ReadDir("/proc/self/fd") // only Linux has it
	return burden{s[0].Value.Uint64() - s[1].Value.Uint64(), runtime.NumGoroutine(), len(open)}
}

// calmBurden returns the burden when what is garbage was collected and given back.
func calmBurden() burden {
	debug.FreeOSMemory()
	return burdenNow()
}

// sampleEvery is how often a gauge looks. Allocations that live for less may be
// missed, but what the runtime has from the system stays longer.
const sampleEvery = 50 * time.Millisecond

// gauge keeps the largest burden that it saw.
type gauge struct {
	stop    chan struct{}
	running sync.WaitGroup
	mu      sync.Mutex
	most    burden
}

// startGauge starts to measure the burden until the test ends.
func startGauge(t testing.TB) *gauge {
	g := &gauge{stop: make(chan struct{})}
	g.running.Go(func() {
		ticker := time.NewTicker(sampleEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				g.sample()
			case <-g.stop:
				return
			}
		}
	})
	t.Cleanup(func() { close(g.stop); g.running.Wait() })
	return g
}

func (g *gauge) sample() {
	now := burdenNow()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.most.memory = max(g.most.memory, now.memory)
	g.most.goroutines = max(g.most.goroutines, now.goroutines)
	g.most.descriptors = max(g.most.descriptors, now.descriptors)
}

// peak returns the largest values since the gauge was started, each by itself.
func (g *gauge) peak() burden {
	g.sample()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most
}

// raceDetector reports whether this process runs under the race detector, which
// makes it slower and larger several times over.
var raceDetector = sync.OnceValue(func() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
})
