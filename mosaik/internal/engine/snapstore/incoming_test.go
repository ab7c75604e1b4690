package snapstore

import (
	"bytes"
	"errors"
	"os"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/sm"
)

// receiver receives snapshots of two chunks.
type receiver struct {
	*Log
	t    *testing.T
	log  enginetest.LogWithDir
	text string // of the first chunk
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	log := enginetest.LogWithDir{Log: enginetest.MemoryLog(t), Dir: t.TempDir()}
	d, err := NewFS().OpenLog(log, 1, 2, func(err error) { t.Errorf("reported %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	return &receiver{d, t, log, "half "}
}

// halves returns the chunks of a snapshot at an index.
func (r *receiver) halves(index sm.Index) (first, last *pb.Chunk) {
	first = &pb.Chunk{From: 9, Index: uint64(index), ChunkCount: 2, FileSize: 8, Data: []byte(r.text)}
	last = &pb.Chunk{From: 9, Index: uint64(index), ChunkCount: 2, FileSize: 8, Data: []byte("end"), ChunkId: 1}
	return first, last
}

func taken() error { return nil }

func refused() error { return ErrRefused }

// half receives the first half of a snapshot.
func (r *receiver) half(index sm.Index) (in *Incoming, last *pb.Chunk) {
	r.t.Helper()
	first, last := r.halves(index)
	in = r.Receive(first)
	if err := in.Add(first, taken); err != nil {
		r.t.Fatal(err)
	}
	return in, last
}

// whole receives a snapshot, to whose last chunk dragonboat answers as deliver does.
func (r *receiver) whole(index sm.Index, deliver func() error) {
	r.t.Helper()
	in, last := r.half(index)
	var want error
	err := in.Add(last, func() error { want = deliver(); return want })
	if err != want {
		r.t.Errorf("the last chunk: %v, want %v", err, want)
	}
	if err := in.Close(); err != nil {
		r.t.Error(err)
	}
}

// install replaces the log by a snapshot, and waits for the goroutines of the log.
func (r *receiver) install(index sm.Index) {
	r.t.Helper()
	at := sm.Cursor{Term: 1, Index: index}
	if err := r.Save(logstore.Batch{Snapshot: &logstore.Snapshot{Cursor: at}, Reset: &at}); err != nil {
		r.t.Fatal(err)
	}
	r.running.Wait()
}

func (r *receiver) end() {
	r.t.Helper()
	if err := r.Finish(); err != nil {
		r.t.Error(err)
	}
}

// wantWhole fails the test unless the snapshot at an index is all that is there.
func (r *receiver) wantWhole(index sm.Index) {
	r.t.Helper()
	enginetest.WantFiles(r.t, r.log.Dir, FileName(index))
	content, err := readSnapshot(r.disk, index)
	if err != nil {
		r.t.Fatal(err)
	}
	if got := all(r.t, content); !bytes.Equal(got, []byte("half end")) {
		r.t.Errorf("the snapshot is %q", got)
	}
}

// TestReceiptIsCompleteBeforeRaftHears installs a snapshot within the call that tells Raft of it.
// dragonboat's file system has no copy of it, so nothing may be copied.
func TestReceiptIsCompleteBeforeRaftHears(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.whole(20, func() error { r.install(20); return nil })
	r.wantWhole(20)
	r.end()
	r.wantWhole(20)
}

// A snapshot that does not replace the log leaves no file behind.
func TestReceiptsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	for name, play := range map[string]func(*receiver){
		"refused by dragonboat": func(r *receiver) { r.whole(20, refused) },
		"given up by its sender": func(r *receiver) {
			in, _ := r.half(20)
			if err := in.Close(); err != nil {
				r.t.Error(err)
			}
		},
		"Raft does not use it": func(r *receiver) {
			r.whole(10, taken)
			r.whole(20, taken)
			r.whole(20, taken) // of another sender
			r.whole(30, taken)
			r.install(30)
			r.wantWhole(30)
			r.whole(30, taken) // late
			r.whole(25, taken)
			r.wantWhole(30)
		},
		"superseded while it comes in": func(r *receiver) {
			in, last := r.half(20)
			r.whole(30, taken)
			r.install(30)
			if err := in.Add(last, taken); err != nil {
				r.t.Error(err)
			}
			if err := in.Close(); err != nil {
				r.t.Error(err)
			}
			r.wantWhole(30)
		},
		"the replica stops": func(r *receiver) {
			in, last := r.half(20)
			r.whole(30, taken)
			r.end()
			if err := in.Add(last, taken); !errors.Is(err, ErrRefused) {
				r.t.Errorf("the last chunk after the end: %v, want %v", err, ErrRefused)
			}
			first, _ := r.halves(40)
			if err := r.Receive(first).Add(first, taken); !errors.Is(err, ErrRefused) {
				r.t.Errorf("the first chunk after the end: %v, want %v", err, ErrRefused)
			}
			if err := in.Close(); err != nil {
				r.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			play(r)
			r.end()
			if kept := r.kept; kept > 0 {
				r.wantWhole(kept)
			} else {
				enginetest.WantFiles(t, r.log.Dir)
			}
		})
	}
}

// Of two copies of one snapshot, the one that dragonboat accepts counts.
func TestOneOfTwoCopiesCounts(t *testing.T) {
	t.Parallel()
	for _, takes := range []int{0, 1} {
		r := newReceiver(t)
		for i := range 2 {
			if i == takes {
				r.text = "half "
				r.whole(20, taken)
			} else {
				r.text = "junk "
				r.whole(20, refused)
			}
		}
		r.install(20)
		r.wantWhole(20)
		r.end()
	}
}

// A copy accepts the chunks of one snapshot, in order.
func TestChunksMustBeInOrder(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*pb.Chunk){
		"the first again":      func(c *pb.Chunk) { c.ChunkId = 0 },
		"the one after next":   func(c *pb.Chunk) { c.ChunkId = 2 },
		"of another snapshot":  func(c *pb.Chunk) { c.Index++ },
		"of another sender":    func(c *pb.Chunk) { c.From++ },
		"of another long file": func(c *pb.Chunk) { c.FileSize++ },
	} {
		r := newReceiver(t)
		in, last := r.half(20)
		spoil(last)
		err := in.Add(last, func() error { t.Errorf("%s: handed on", name); return nil })
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want %v", name, err, ErrRefused)
		}
		r.end()
		enginetest.WantFiles(t, r.log.Dir)
	}
}

// The error of a disk differs from the refusal of a snapshot.
func TestDiskErrorIsNoRefusal(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	if err := errors.Join(os.Remove(r.log.Dir), os.WriteFile(r.log.Dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	first, _ := r.halves(20)
	in := r.Receive(first)
	err := in.Add(first, func() error { t.Error("handed on"); return nil })
	if failure := (*DiskError)(nil); !errors.As(err, &failure) {
		t.Errorf("a chunk without a disk: %v, want a DiskError", err)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}
