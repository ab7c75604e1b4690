package raftlog

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// Log is the Raft log of one replica on its group's storage. It remembers everything but
// the entries, so that only reading entries can fail, and that dragonboat sees a
// consistent log after the storage has failed.
//
// A fenced log does not use its storage again. Saving succeeds without effect, and reads
// yield blank entries of the right indices and terms, which keep dragonboat running until
// the replica is stopped. Nothing of a replica with a fenced log may leave the process, be
// applied or be acknowledged.
//
// The exported methods may be called concurrently.
type Log struct {
	key     raftio.NodeInfo
	storage logstore.Log
	failed  func(error)
	levelOf func(data []byte) uint32 // nil: no entry raises the level
	fenced  atomic.Bool              // the storage has failed, or was abandoned
	terms   termTable
	cuts    cuts

	// The last saved state, for the goroutines that receive messages. dragonboat's own
	// state may be newer.
	term, commit atomic.Uint64
	membership   tracker

	mu       sync.Mutex // held during writes to storage; guards the fields below
	meta     metadata
	hard     pb.State
	kept     pb.State // what the storage holds of hard
	snapshot logstore.Snapshot

	buf []logstore.Entry // scratch space of save
}

// openLog reads storage and checks that dragonboat can continue from it.
func openLog(key raftio.NodeInfo, storage logstore.Log, levelOf func([]byte) uint32, failed func(error)) (*Log, error) {
	l := &Log{key: key, storage: storage, levelOf: levelOf, failed: failed}
	err := Guard(func() error {
		st, err := storage.State()
		if err != nil {
			return err
		}
		if err := l.restore(st); err != nil {
			return err
		}
		if err := l.terms.load(storage, st); err != nil {
			return err
		}
		return l.readChanges(st)
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Log) restore(st logstore.State) error {
	snapshot, err := fromRecord(st.Snapshot)
	if err != nil {
		return err
	}
	meta := &metadata{id: Identity{Shard: l.key.ShardID, Replica: l.key.ReplicaID}}
	if st.Meta != nil {
		if meta, err = parseMetadata(st.Meta); err != nil {
			return err
		}
	}
	used := st.Last.Index > 0 || st.Hard != logstore.HardState{} || snapshot.Index > 0
	switch {
	case meta.id.Shard != l.key.ShardID || meta.id.Replica != l.key.ReplicaID:
		return fmt.Errorf("it is the log of replica %d of shard %d", meta.id.Replica, meta.id.Shard)
	case used && meta.boot == nil:
		return errors.New("the log is used but lacks bootstrap info")
	case st.Pruned.Index > sm.Index(snapshot.Index):
		return fmt.Errorf("the log is pruned through %d, which its snapshot at %d does not cover", st.Pruned.Index, snapshot.Index)
	case st.Last.Index < sm.Index(snapshot.Index):
		return fmt.Errorf("the log ends at %d, before its snapshot at %d", st.Last.Index, snapshot.Index)
	case st.Hard.Commit > st.Last.Index:
		return fmt.Errorf("the log ends at %d, before its commit index %d", st.Last.Index, st.Hard.Commit)
	}
	l.meta, l.kept, l.snapshot = *meta, fromHard(st.Hard), st.Snapshot
	l.setHard(fromHard(st.Hard))
	if snapshot.Index > 0 {
		l.membership.restore(&snapshot.Membership)
	}
	return nil
}

// readChanges reads the membership changes in the log that may be committed later.
// dragonboat repeats those that are committed, from the snapshot on.
func (l *Log) readChanges(st logstore.State) error {
	if st.Hard.Commit >= st.Last.Index {
		return nil
	}
	for e, err := range l.storage.Entries(max(st.Hard.Commit, st.Pruned.Index)+1, st.Last.Index+1) {
		if err != nil {
			return err
		}
		restored, err := fromStored(&e)
		if err != nil {
			return err
		}
		l.membership.append([]pb.Entry{restored})
	}
	return nil
}

// Fenced reports whether the log is fenced. A nil log, one that is not registered, is.
func (l *Log) Fenced() bool { return l == nil || l.fenced.Load() }

// Term returns the term that was saved last.
func (l *Log) Term() uint64 { return l.term.Load() }

// Commit returns the commit index that was saved last.
func (l *Log) Commit() uint64 { return l.commit.Load() }

// Span returns the indices of the log's entries, [first, last+1).
func (l *Log) Span() (first, last sm.Index) { return l.terms.span() }

// TermAt returns the term of an entry that the log holds or that is being applied, 0 if it
// is not known.
func (l *Log) TermAt(i sm.Index) sm.Term {
	if l == nil {
		return 0
	}
	return l.terms.at(i)
}

// WasCut reports whether a recent read of the log ended with the entry at an index because
// the read had yielded enough.
func (l *Log) WasCut(index uint64) bool { return l.cuts.has(index) }

// Standing returns the standing of a replica of the shard, as far as the log tells.
func (l *Log) Standing(replica uint64) Standing { return l.membership.standing(replica) }

// HasOpenChange reports whether the log holds a membership change in (commit, through] that
// is not known to be committed.
func (l *Log) HasOpenChange(commit, through uint64) bool {
	return l.membership.hasOpen(commit, through)
}

// Abandon notes a level in the log, if it is higher than the one noted before, and fences
// the log: a newer program continues from what the storage holds.
func (l *Log) Abandon(level uint32) {
	_ = l.write("note the level in", func(b *logstore.Batch) error { return l.noteLevel(b, level) })
	l.fenced.Store(true)
}

// Guard runs f and turns its panic into an error: storages are the user's code.
func Guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the log panicked: %v", r)
		}
	}()
	return f()
}

// IsEmpty reports whether saving a batch would change nothing.
func IsEmpty(b *logstore.Batch) bool {
	return !b.Clear && b.Reset == nil && len(b.Entries) == 0 && b.Hard == nil && b.Snapshot == nil && b.Meta == nil
}

// write calls build, which changes what l remembers and describes the change in a batch,
// and saves the batch unless the log is fenced.
func (l *Log) write(doing string, build func(*logstore.Batch) error) error {
	l.mu.Lock()
	var b logstore.Batch
	err := build(&b)
	if err == nil && !l.fenced.Load() && !IsEmpty(&b) {
		err = Guard(func() error { return l.storage.Save(b) })
	}
	return l.unlock(doing, err)
}

// unlock unlocks l.mu. An error is that of the storage: the first one fences the log, is
// reported to the owner, and is returned.
func (l *Log) unlock(doing string, err error) error {
	first := err != nil && !l.fenced.Swap(true)
	l.mu.Unlock()
	if !first {
		return nil
	}
	err = fmt.Errorf("%w: %s the log of replica %d of shard %d: %w", ErrStorage, doing, l.key.ReplicaID, l.key.ShardID, err)
	l.failed(err)
	return err
}
