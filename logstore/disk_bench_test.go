package logstore

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
	"github.com/mosaik-go/mosaik/sm"
)

// countingFS counts the syncs of files.
type countingFS struct {
	vfs.FS
	syncs atomic.Int64
}

type countingFile struct {
	vfs.File
	fs *countingFS
}

func (c *countingFS) Create(name string) (vfs.File, error) {
	f, err := c.FS.Create(name)
	return countingFile{f, c}, err
}

func (f countingFile) Sync() error {
	f.fs.syncs.Add(1)
	return f.File.Sync()
}

// Save of one entry of 16 bytes, by several logs concurrently.
func BenchmarkDiskSave(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("logs=%d", n), func(b *testing.B) {
			fs := &countingFS{FS: vfs.OS}
			dir, logs := b.TempDir(), make([]*diskLog, n)
			for g := range logs {
				log, err := openDisk(diskConfig{fs: fs, segment: 64 << 20}, dir, sm.ID("network"), historyGroup(g))
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = log.Close() }()
				logs[g] = log
			}
			fs.syncs.Store(0)
			data := make([]byte, 16)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for g, log := range logs {
				wg.Go(func() {
					for i := range sm.Index((b.N + n - 1 - g) / n) {
						if err := log.Save(Batch{Entries: []Entry{{Index: i + 1, Term: 1, Data: data}}}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(fs.syncs.Load())/float64(b.N), "syncs/op")
		})
	}
}

// Opening a directory of 256 MiB with entries of 1 KiB.
func BenchmarkDiskOpen(b *testing.B) {
	const size = 256 << 20
	dir := b.TempDir()
	cfg := diskConfig{fs: vfs.OS, segment: 64 << 20}
	open := func() *diskLog {
		log, err := openDisk(cfg, dir, sm.ID("network"), historyGroup(0))
		if err != nil {
			b.Fatal(err)
		}
		return log
	}
	log := open()
	entries := make([]Entry, 256)
	for next := sm.Index(1); next < size>>10; {
		for i := range entries {
			entries[i] = Entry{Index: next, Term: 1, Data: make([]byte, 1<<10-entryHead)}
			next++
		}
		if err := log.Save(Batch{Entries: entries}); err != nil {
			b.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if err := open().Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// Reading 1024 entries of 1 KiB from disk.
func BenchmarkDiskEntries(b *testing.B) {
	log, err := openDisk(diskConfig{fs: vfs.OS, segment: 64 << 20}, b.TempDir(), sm.ID("network"), historyGroup(0))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	entries := make([]Entry, 1024)
	for i := range entries {
		entries[i] = Entry{Index: sm.Index(i + 1), Term: 1, Data: make([]byte, 1<<10)}
	}
	if err := log.Save(Batch{Entries: entries}); err != nil {
		b.Fatal(err)
	}
	log.group.tail.setLimit(0)
	b.SetBytes(1024 << 10)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range log.Entries(1, 1025) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 1024 {
			b.Fatalf("%d entries", n)
		}
	}
}
