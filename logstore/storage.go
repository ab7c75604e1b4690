// Package logstore stores what Raft must not forget: the log, the vote, the identity of
// the replica and the record of its last snapshot.
//
// A group gets its [Storage] when it is joined. The storage is typed by the group's
// commands, so the log of one machine cannot be given to another. [Memory] is the
// default. Logs of [Disk] outlive the process.
//
// Other storages implement [Storage], [Log] and, if their logs share a disk, [FailureNotifier].
// The suite in testutil/storagetest tests them; examples/boltlog is one.
package logstore

import (
	"errors"
	"iter"
	"log/slog"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"
)

var (
	// ErrCompacted reports an index in the pruned prefix.
	ErrCompacted = errors.New("logstore: the entry was pruned")
	// ErrUnavailable reports an index after the last entry.
	ErrUnavailable = errors.New("logstore: there is no entry at this index yet")
	// ErrGap reports entries that do not continue the log, because an index is
	// missing before or among them, or a term is lower than the one before it.
	ErrGap = errors.New("logstore: entries do not continue the log")
	// ErrClosed reports a call on a closed log.
	ErrClosed = errors.New("logstore: the log is closed")
)

// Storage opens the logs of groups with commands of type C. Several groups may share a
// Storage; each has a log of its own.
type Storage[C any] interface {
	// Open opens the log of a group, or creates an empty one. It may be called
	// concurrently.
	Open(OpenOptions[C]) (Log, error)
}

// OpenOptions name the log that a [Storage] opens, and what it needs for that.
type OpenOptions[C any] struct {
	Network sm.Digest      // the network's id
	Group   sm.Digest      // the group's id
	Dir     string         // the network's directory, "" if it has none
	Codec   codec.Codec[C] // the codec of the group's commands
	Logger  *slog.Logger   // not nil when a group is joined
}

// Entry is an entry of Raft's log. Index and Term are those of Raft. Kind, Key and Data
// belong to the engine; a storage does not interpret them.
type Entry struct {
	Index sm.Index
	Term  sm.Term
	Kind  uint8
	Key   uint64
	Data  []byte
}

// HardState is the state that Raft must keep beside the log (Raft §5.1, figure 2).
type HardState struct {
	Term sm.Term
	Vote uint64 // the replica that got the vote in Term, 0 for none
	// Commit is a lower bound of the commit index: a higher one alone is not saved.
	Commit sm.Index
}

// Snapshot is the record of the last snapshot. The snapshot itself is in
// [Log.SnapshotDir]. The zero Snapshot means that there is none.
type Snapshot struct {
	Cursor sm.Cursor // the last entry that the snapshot covers
	Record []byte    // the engine's description of it
}

// State is the content of a log without its entries. Their indices are in
// [Pruned.Index+1, Last.Index+1).
type State struct {
	Meta     []byte    // the engine's description of the replica, nil for none
	Hard     HardState // zero before the first vote
	Snapshot Snapshot  // zero for none
	Pruned   sm.Cursor // the cursor before the first entry
	Last     sm.Cursor // the cursor of the last entry, or Pruned if there is none
}

// Batch is an atomic change of a log. Its parts take effect in the order of the fields.
type Batch struct {
	// Clear removes entries, hard state, snapshot record and metadata.
	Clear bool
	// Reset, if not nil, removes all entries. The log then continues after the
	// cursor, which may be before or after the entries that it held.
	Reset *sm.Cursor
	// Truncate, if not 0, removes the entries with indices in [Truncate, ∞). After
	// the last entry it removes nothing; in the pruned prefix it removes all.
	Truncate sm.Index
	// Entries are appended. Their indices are consecutive, and the log's entries
	// from the first of these indices on are removed. The error is [ErrGap] if they
	// do not continue the log, and [ErrCompacted] if the first is in the pruned
	// prefix. The log copies the entries, but may retain each Data, which the caller
	// must not change afterwards.
	Entries []Entry
	// Hard, if not nil, replaces the hard state.
	Hard *HardState
	// Snapshot, if not nil, replaces the snapshot record. The log is kept.
	Snapshot *Snapshot
	// Meta, if not nil, replaces the metadata.
	Meta []byte
}

// Log is the log of one group on one member. The engine calls its methods from one
// goroutine at a time, except that it may call State, Term and Entries concurrently
// with any other method.
//
// There is no entry with index 0; its term is 0.
type Log interface {
	// State returns the content of the log without its entries.
	State() (State, error)

	// Term returns the term of the entry at index i. The last pruned entry keeps its
	// term. Before it the error is [ErrCompacted], after the last entry
	// [ErrUnavailable].
	Term(i sm.Index) (sm.Term, error)

	// Entries yields the entries with indices in [lo, hi), lo ≥ 1, oldest first. It
	// stops at the last entry if hi is higher. If lo is pruned, it yields
	// [ErrCompacted]. The entries stay valid. Callers must not change their Data.
	Entries(lo, hi sm.Index) iter.Seq2[Entry, error]

	// Save applies the batch. When it returns nil, the whole batch is as durable as
	// the storage can make it. When it returns an error, no part of the batch is
	// visible, and the log rejects all writes until it is opened again.
	Save(Batch) error

	// Prune removes the entries with indices up to and including through, and keeps
	// the term of the last one. It does nothing if they are pruned; if through is
	// after the last entry, it prunes all entries. A crash may undo it until a later
	// Save has returned.
	Prune(through sm.Index) error

	// SnapshotDir returns the directory for the group's snapshot files, or "" to keep
	// snapshots in memory. If the log outlives the process, so must the directory.
	SnapshotDir() string

	// Close releases the resources of the log. A second call does nothing.
	Close() error
}

// FailureNotifier is implemented by a [Log] that can fail without a call of its own, because
// it shares a disk with other logs and one of those met the failure. The user of the log must
// learn that the log rejects all writes, and close it: the other logs cannot be opened again
// before that.
type FailureNotifier interface {
	// OnFailure registers a function that is called once, with the cause, when the
	// log has failed. It is called immediately if the log has failed before, and
	// never after Close has returned. Any goroutine may call report; report must
	// neither block nor call a log. A later call of OnFailure replaces the function.
	OnFailure(report func(cause error))
}
