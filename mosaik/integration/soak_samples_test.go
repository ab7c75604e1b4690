package integration_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
)

// soakedLog is the storage of one member, whose log tells what it holds and when
// it is pruned.
type soakedLog struct {
	storage logstore.Storage[step]
	prunes  atomic.Int64
	pruned  chan struct{} // holds one when prunes has grown

	mu  sync.Mutex
	log logstore.Log
}

func (l *soakedLog) Open(o logstore.OpenOptions[step]) (logstore.Log, error) {
	log, err := l.storage.Open(o)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log = log
	return soakedPrunes{log, l}, err
}

// soakedPrunes counts how often a log is pruned.
type soakedPrunes struct {
	logstore.Log
	of *soakedLog
}

func (p soakedPrunes) Prune(through sm.Index) error {
	if err := p.Log.Prune(through); err != nil {
		return err
	}
	p.of.prunes.Add(1)
	select {
	case p.of.pruned <- struct{}{}:
	default:
	}
	return nil
}

// awaitPrunes waits until the log was pruned so often.
func (l *soakedLog) awaitPrunes(t *testing.T, n int64) {
	t.Helper()
	for ctx := soon(t); l.prunes.Load() < n; {
		select {
		case <-l.pruned:
		case <-ctx.Done():
			t.Fatalf("a log was pruned %d times only", l.prunes.Load())
		}
	}
}

// held returns how many bytes of entries the log holds, as it lists them.
func (l *soakedLog) held() (bytes int64, err error) {
	l.mu.Lock()
	log := l.log
	l.mu.Unlock()
	state, err := log.State()
	if err != nil {
		return 0, err
	}
	for e, err := range log.Entries(state.Pruned.Index+1, state.Last.Index+1) {
		if errors.Is(err, logstore.ErrCompacted) {
			return l.held() // it was pruned meanwhile
		}
		if err != nil {
			return 0, err
		}
		bytes += int64(len(e.Data))
	}
	return bytes, nil
}

// sample is what one process uses at one moment, for all of its members.
type sample struct {
	at                      time.Duration
	commands                int64 // that were applied
	heap, resident          int64 // bytes; live, and of the process
	goroutines, descriptors int64
	held                    int64 // bytes of entries in the logs
	logs, snapshots         int64 // bytes of files
}

// soakSamples is how many there are.
const soakSamples = 40

// measure takes samples for so long. Taking them is part of the load.
func (s *soak) measure(whole time.Duration) (samples []sample) {
	began, next := time.Now(), time.NewTicker(whole/soakSamples)
	defer next.Stop()
	for len(samples) < soakSamples {
		<-next.C
		m, err := s.sample()
		if err != nil {
			s.t.Fatal(err)
		}
		m.at = time.Since(began)
		samples = append(samples, m)
	}
	return samples
}

func (s *soak) sample() (m sample, err error) {
	got, err := mosaik.Read(s.t.Context(), s.groups[0], mosaik.Weak, func(v *vault) (int64, error) { return v.Applied, nil })
	if err != nil {
		return m, err
	}
	m.commands = got.Value
	for i, log := range s.logs {
		held, err := log.held()
		if err != nil {
			return m, err
		}
		files, err := bytesBelow(filepath.Join(s.dirs[i], "log"))
		if err != nil {
			return m, err
		}
		snapshots, err := bytesBelow(filepath.Join(s.dirs[i], "snapshots"))
		if err != nil {
			return m, err
		}
		m.held, m.logs, m.snapshots = m.held+held, m.logs+files, m.snapshots+snapshots
	}
	runtime.GC()
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(heap)
	m.heap = int64(heap[0].Value.Uint64())
	m.goroutines = int64(runtime.NumGoroutine())
	m.resident, m.descriptors = ofProcess()
	return m, nil
}

// bytesBelow returns the length of all files below a directory, which may not
// exist.
func bytesBelow(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return unlessGone(err)
		}
		info, err := e.Info()
		if err == nil {
			bytes += info.Size()
		}
		return unlessGone(err)
	})
	return bytes, err
}

// unlessGone forgives files that were removed meanwhile.
func unlessGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// ofProcess returns the resident bytes of the process and its descriptors, 0 on
// systems that do not tell.
func ofProcess() (resident, descriptors int64) {
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		var size, pages int64
		if _, err := fmt.Sscan(string(text), &size, &pages); err == nil {
			resident = pages * int64(os.Getpagesize())
		}
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		descriptors = int64(len(open))
	}
	return resident, descriptors
}

// least returns the least of every measure.
func least(samples []sample) sample {
	m := samples[0]
	for _, o := range samples[1:] {
		m.heap, m.held = min(m.heap, o.heap), min(m.held, o.held)
		m.goroutines, m.descriptors = min(m.goroutines, o.goroutines), min(m.descriptors, o.descriptors)
		m.logs, m.snapshots = min(m.logs, o.logs), min(m.snapshots, o.snapshots)
	}
	return m
}
