package logstore

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
	"github.com/mosaik-go/mosaik/sm"
)

// A log with more segments than the limit on open files is read from end to end.
func TestDiskManySegments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *diskLog {
		t.Helper()
		log, err := openDisk(diskConfig{fs: vfs.OS, segment: 1 << 10}, dir, sm.ID("network"), historyGroup(0))
		if err != nil {
			t.Fatal(err)
		}
		return log
	}
	log := open()
	for i := sm.Index(1); i <= 100; i++ {
		if err := log.Save(Batch{Entries: []Entry{{Index: i, Term: 1, Data: make([]byte, 700)}}}); err != nil {
			t.Fatal(err)
		}
	}
	want := hold(log)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log = open()
	defer func() { _ = log.Close() }()
	if n := log.store.wal.Newest(); n < 60 {
		t.Fatalf("%d segments, want more", n)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got, err := tryHold(log); err != nil || !got.equal(want) {
				t.Errorf("read %d entries, %v; want %d", len(got.Entries), err, len(want.Entries))
			}
		})
	}
	wg.Wait()
}

// Entries are read while they move to other segments and their old segments are
// removed.
func TestDiskReadWhileMoving(t *testing.T) {
	t.Parallel()
	cfg := diskConfig{fs: faultfs.New(), segment: 16 << 10}
	idle, err := openHistory(cfg, 0)
	if err != nil {
		t.Fatal(err)
	}
	busy, err := openHistory(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	var entries []Entry
	for i := range sm.Index(50) {
		entries = append(entries, Entry{Index: i + 1, Term: 1, Data: []byte{byte(i)}})
	}
	if err := idle.Save(Batch{Entries: entries}); err != nil {
		t.Fatal(err)
	}
	want := hold(idle)
	idle.group.mu.Lock()
	idle.group.tail.setLimit(0) // so that all is read from disk
	idle.group.mu.Unlock()
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				if got, err := tryHold(idle); err != nil || !got.equal(want) {
					t.Errorf("read %d entries, %v; want %d", len(got.Entries), err, len(want.Entries))
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := sm.Index(1); i <= 3000; i++ {
		if err := errors.Join(busy.Save(Batch{Entries: []Entry{{Index: i, Term: 1, Data: make([]byte, 500)}}}), busy.Prune(i)); err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	readers.Wait()
	if n := busy.store.wal.Oldest(); n < 20 {
		t.Errorf("the oldest segment is %d: no entry moved", n)
	}
	if err := errors.Join(idle.Close(), busy.Close()); err != nil {
		t.Fatal(err)
	}
}

// The cache of a log must stay within its limit and hold the end of the log,
// regardless of how much is saved.
func TestTailCache(t *testing.T) {
	t.Parallel()
	cache := tailCache{limit: 10 * entryCost}
	cache.reset(1)
	for i := sm.Index(1); i < 100; i++ {
		cache.append([]Entry{{Index: i, Term: 1}})
		if i%7 == 0 {
			cache.truncate(i)
			cache.append([]Entry{{Index: i, Term: 2}})
		}
		first, end := cache.entries.first, cache.entries.end()
		if cache.size != int(end-first)*entryCost || cache.size > cache.limit || end != i+1 {
			t.Fatalf("after %d: %d bytes for the entries [%d, %d)", i, cache.size, first, end)
		}
	}
	last := slices.Concat(cache.entries.view(99, 100)...)
	if len(last) != 1 || last[0].Index != 99 {
		t.Errorf("the last entry is %v", last)
	}
	cache.append([]Entry{{Index: 500, Term: 3, Data: make([]byte, 5000)}})
	if cache.entries.count != 0 || cache.size != 0 {
		t.Errorf("an entry above the limit is cached: %d bytes", cache.size)
	}
}

// Reading an entry that the disk changed while its log is open must fail with an error
// that names the file.
func TestDiskReadsDamage(t *testing.T) {
	t.Parallel()
	fs := faultfs.New()
	cfg := diskConfig{fs: fs, segment: 1 << 10}
	save := func(log *diskLog) {
		if err := log.Save(Batch{Entries: []Entry{{Index: 1, Term: 1, Data: []byte("entry")}}}); err != nil {
			t.Fatal(err)
		}
	}
	log, err := openHistory(cfg, 0)
	if err != nil {
		t.Fatal(err)
	}
	save(log)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if log, err = openHistory(cfg, 0); err != nil { // its cache is empty
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	at, _ := log.group.at(1)
	name := historyDir + "/log/0000000000000001.log"
	file, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte{0}, int64(at.offset)+entryHead); err != nil {
		t.Fatal(err)
	}
	if _, err := tryHold(log); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), name) {
		t.Errorf("reading it: %v, want %v and %s", err, ErrCorrupt, name)
	}
}
