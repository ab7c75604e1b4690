package snapstore

import (
	"errors"
	"fmt"
	"sync"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// ErrRefused reports a snapshot that its receiver does not want, or no longer wants. The
// sender learns of it by the end of the connection.
var ErrRefused = errors.New("engine: the snapshot is not wanted")

// Incoming is the copy on disk of a snapshot while it arrives. It is complete and durable
// before dragonboat is given the last chunk, which tells Raft of the snapshot. Then
// [Log.Save] names the file, unless Raft does not use the snapshot because its log has
// advanced meanwhile.
//
// It belongs to the goroutine of the connection, which must call Close. [Log.Finish]
// closes it, too.
type Incoming struct {
	log   *Log
	from  uint64 // the replica that sends it
	index sm.Index
	size  uint64 // of the snapshot, in bytes

	mu       sync.Mutex // held while a chunk is written; guards the fields below
	next     uint64     // the number of the next chunk
	draft    *logstore.PendingFile
	content  *fileWriter
	closed   bool
	unsynced int // bytes written since the last sync
}

// syncEvery is how many bytes of a snapshot are synced at once. Nothing is read from the
// connection meanwhile; the transport's deadlines allow for that.
const syncEvery = 8 << 20

// DiskError reports that the disk does not keep a snapshot that arrives.
type DiskError struct {
	Index sm.Index
	Err   error
}

// Error implements error.
func (e *DiskError) Error() string {
	return fmt.Sprintf("keep received snapshot at %d: %v", e.Index, e.Err)
}

// Unwrap returns the cause.
func (e *DiskError) Unwrap() error { return e.Err }

// Receive begins the copy of a snapshot with its first chunk, which it does not write.
func (l *Log) Receive(first *pb.Chunk) *Incoming {
	in := &Incoming{log: l, from: first.From, index: sm.Index(first.Index), size: first.FileSize}
	l.mu.Lock()
	defer l.mu.Unlock()
	if in.closed = l.closed; !in.closed {
		l.incoming[in] = true
	}
	return in
}

// BelongsTo reports whether the snapshot is received for a log.
func (in *Incoming) BelongsTo(l *Log) bool { return in.log == l }

// Add writes a chunk and then calls deliver, which hands the chunk to dragonboat. It returns
// [ErrRefused] for a chunk that is not the next one of this snapshot, a [*DiskError] if the
// disk fails, and the error of deliver.
func (in *Incoming) Add(chunk *pb.Chunk, deliver func() error) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed || chunk.From != in.from || sm.Index(chunk.Index) != in.index || chunk.FileSize != in.size || chunk.ChunkId != in.next {
		return ErrRefused
	}
	in.next++
	last := in.next == chunk.ChunkCount
	if err := in.write(chunk.Data, last); err != nil {
		return &DiskError{in.index, err}
	}
	if last {
		return in.finish(deliver)
	}
	return deliver()
}

// write writes the data of a chunk, and makes the file durable with the last one.
func (in *Incoming) write(b []byte, last bool) (err error) {
	if in.draft == nil {
		if in.draft, err = in.log.disk.Create(FileName(in.index)); err != nil {
			return err
		}
		if in.content, err = newFileWriter(in.draft, in.index); err != nil {
			return err
		}
	}
	if _, err := in.content.Write(b); err != nil {
		return err
	}
	if in.unsynced += len(b); in.unsynced >= syncEvery {
		in.unsynced = 0
		if err := in.draft.Sync(); err != nil {
			return err
		}
	}
	if !last {
		return nil
	}
	if err := in.content.end(); err != nil {
		return err
	}
	return in.draft.Finish()
}

// finish hands the last chunk on. Save finds the file if dragonboat accepts the chunk. Of
// two complete copies one waits for the other; of the same snapshot the first one counts,
// in dragonboat as here.
func (in *Incoming) finish(deliver func() error) error {
	l := in.log
	l.delivering.Lock()
	defer l.delivering.Unlock()
	offered, err := in.offer()
	if err != nil {
		return err
	}
	if err = deliver(); !offered {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if refused := err != nil && l.received[in.index] == in.draft; refused {
		delete(l.received, in.index)
	} else {
		in.draft = nil // it belongs to the log now
	}
	return err
}

// offer lets Save find the file, unless Save cannot need it.
func (in *Incoming) offer() (offered bool, err error) {
	l := in.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false, ErrRefused
	}
	if in.index <= l.kept || l.received[in.index] != nil {
		return false, nil
	}
	l.received[in.index] = in.draft
	return true, nil
}

// Close ends the copy and removes its file unless the log owns it. It waits for a chunk
// that is being written. Closing again does nothing.
func (in *Incoming) Close() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.log.mu.Lock()
	delete(in.log.incoming, in)
	in.log.mu.Unlock()
	if in.draft == nil {
		return nil
	}
	draft := in.draft
	in.draft = nil
	return discard(draft)
}
