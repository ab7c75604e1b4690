package engine

import (
	"fmt"
	"sync"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// receipt is the copy on disk of a snapshot that comes in, as long as it does. It is
// complete and durable before dragonboat is given the last chunk, by which Raft
// hears of the snapshot. What becomes of it then is decided elsewhere: Save names
// it, unless Raft does without, because its log has gone further meanwhile.
//
// It belongs to the goroutine of the connection, which closes it. The replica's end
// closes it, too.
type receipt struct {
	log   *durableLog
	from  uint64 // the replica that sends it
	index sm.Index
	size  uint64 // of the snapshot, in bytes

	mu      sync.Mutex // held while it is written; guards what follows
	next    uint64     // the number of the next chunk
	draft   *logstore.Draft
	content *snapshotWriter
	over    bool

	unsynced int // how many bytes were written since the last sync
}

// syncEvery is how many bytes of a snapshot are synced at once. Nothing is read
// meanwhile, which the sender bears for [stallTimeout], and after the last of them for
// [doneTimeout].
const syncEvery = 8 << 20

// receiptError reports that the disk does not keep what comes in.
type receiptError struct {
	index sm.Index
	err   error
}

func (e *receiptError) Error() string {
	return fmt.Sprintf("keep received snapshot at %d: %v", e.index, e.err)
}

func (e *receiptError) Unwrap() error { return e.err }

// receive begins the receipt of the snapshot that a first chunk is of.
func (d *durableLog) receive(first *pb.Chunk) *receipt {
	r := &receipt{log: d, from: first.From, index: sm.Index(first.Index), size: first.FileSize}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.over = d.closed; !r.over {
		d.receipts[r] = true
	}
	return r
}

// take writes a chunk, and has it handed on to dragonboat. Its error is a
// [receiptError] if the disk is the cause.
func (r *receipt) take(chunk *pb.Chunk, hand func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || chunk.From != r.from || sm.Index(chunk.Index) != r.index || chunk.FileSize != r.size || chunk.ChunkId != r.next {
		return errRefused
	}
	r.next++
	last := r.next == chunk.ChunkCount
	if err := r.write(chunk.Data, last); err != nil {
		return &receiptError{r.index, err}
	}
	if last {
		return r.deliver(hand)
	}
	return hand()
}

// write writes what a chunk holds, and makes the file durable with the last one.
func (r *receipt) write(b []byte, last bool) (err error) {
	if r.draft == nil {
		if r.draft, err = r.log.disk.Draft(snapshotFile(r.index)); err != nil {
			return err
		}
		if r.content, err = newSnapshotWriter(r.draft, r.index); err != nil {
			return err
		}
	}
	if _, err := r.content.Write(b); err != nil {
		return err
	}
	if r.unsynced += len(b); r.unsynced >= syncEvery {
		r.unsynced = 0
		if err := r.draft.Sync(); err != nil {
			return err
		}
	}
	if !last {
		return nil
	}
	if err := r.content.end(); err != nil {
		return err
	}
	return r.draft.Finish()
}

// deliver hands the end of the snapshot on, and has Save find the file if dragonboat
// takes it. Of two that are complete one waits for the other: of the same snapshot
// the first counts, here as there.
func (r *receipt) deliver(hand func() error) error {
	d := r.log
	d.handing.Lock()
	defer d.handing.Unlock()
	offered, err := r.offer()
	if err != nil {
		return err
	}
	if err = hand(); !offered {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if refused := err != nil && d.received[r.index] == r.draft; refused {
		delete(d.received, r.index)
	} else {
		r.draft = nil // not ours any more
	}
	return err
}

// offer lets Save find the file, unless it could have no use for it.
func (r *receipt) offer() (offered bool, err error) {
	d := r.log
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false, errRefused
	}
	if r.index <= d.kept || d.received[r.index] != nil {
		return false, nil
	}
	d.received[r.index] = r.draft
	return true, nil
}

// close ends the receipt and removes what is still its own. It waits for a chunk
// that is being written.
func (r *receipt) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.log.mu.Lock()
	delete(r.log.receipts, r)
	r.log.mu.Unlock()
	if r.draft == nil {
		return nil
	}
	draft := r.draft
	r.draft = nil
	return discard(draft)
}
