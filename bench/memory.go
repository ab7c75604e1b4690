package main

import (
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// memoryWatch follows how much memory the process holds.
type memoryWatch struct {
	before uint64
	ending chan struct{}
	peak   chan uint64
	stop   func() (peak, kept uint64)
}

// watchMemory begins to watch, with what is in use at that moment as zero. The
// caller must call stop, which returns the peak, and what is in use then; calling
// it again returns the same.
func watchMemory() *memoryWatch {
	w := &memoryWatch{ending: make(chan struct{}), peak: make(chan uint64, 1)}
	w.stop = sync.OnceValues(w.end)
	debug.FreeOSMemory()
	w.before = memoryHeld()
	go w.run()
	return w
}

func (w *memoryWatch) run() {
	next := time.NewTicker(5 * time.Millisecond)
	defer next.Stop()
	most := w.before
	for {
		most = max(most, memoryHeld())
		select {
		case <-next.C:
		case <-w.ending:
			w.peak <- most
			return
		}
	}
}

func (w *memoryWatch) end() (peak, kept uint64) {
	close(w.ending)
	peak = <-w.peak
	debug.FreeOSMemory()
	return peak - w.before, max(w.before, memoryHeld()) - w.before
}

// memoryHeld returns how many bytes the runtime has of the system and did not
// give back.
func memoryHeld() uint64 {
	held := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(held)
	return held[0].Value.Uint64() - held[1].Value.Uint64()
}
