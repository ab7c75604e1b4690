// Package logstore is where groups keep what Raft must not forget: the log,
// the vote, the identity of the replica and the record of its last snapshot.
//
// A [Storage] is chosen per group when it is joined and typed by the group's
// commands, so that a log written for one machine cannot be given to another.
// [Memory] is the default, what [Disk] keeps outlives the process. Whoever
// writes another storage implements [Storage] and [Log], perhaps [Failing], and
// proves it with the suite in testutil/storagetest; examples/boltlog does.
package logstore

import (
	"errors"
	"iter"
	"log/slog"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"
)

var (
	// ErrCompacted reports an index at or before the pruned prefix.
	ErrCompacted = errors.New("logstore: the entry was pruned")
	// ErrUnavailable reports an index after the last entry.
	ErrUnavailable = errors.New("logstore: there is no entry at this index yet")
	// ErrGap reports entries that do not continue the log: a hole before the
	// first or between two of them, or a term that goes backwards.
	ErrGap = errors.New("logstore: entries do not continue the log")
	// ErrClosed reports a call on a closed log.
	ErrClosed = errors.New("logstore: the log is closed")
)

// Storage opens the logs of groups whose commands are of type C. One Storage
// value may be given to several groups; each gets a log of its own. Open may
// be called concurrently.
type Storage[C any] interface {
	Open(Opening[C]) (Log, error)
}

// Opening says which log to open.
type Opening[C any] struct {
	Network sm.Digest      // the network's id
	Group   sm.Digest      // the group's id
	Dir     string         // the network's directory, "" when it has none
	Codec   codec.Codec[C] // the codec of the group's commands
	Logger  *slog.Logger   // never nil where a group is joined
}

// Entry is one entry of Raft's log. Index and Term are Raft's. Kind, Key and
// Data belong to the engine; a storage keeps them as they are.
type Entry struct {
	Index sm.Index
	Term  sm.Term
	Kind  uint8
	Key   uint64
	Data  []byte
}

// HardState is what Raft must remember beside the log (Raft §5.1, figure 2).
type HardState struct {
	Term sm.Term
	Vote uint64 // the replica voted for in Term, 0 for none
	// Commit is as it was when something else had to be saved.
	Commit sm.Index
}

// Snapshot is the record of the last snapshot: what it covers, and the
// engine's description of it. The snapshot itself lies in [Log.SnapshotDir].
// The zero Snapshot means that there is none.
type Snapshot struct {
	Cursor sm.Cursor
	Record []byte
}

// State is everything a log holds beside its entries. The entries it holds are
// those with indices in [Pruned.Index+1, Last.Index+1).
type State struct {
	Meta     []byte    // the engine's description of the replica, nil for none
	Hard     HardState // zero before the first vote
	Snapshot Snapshot  // zero for none
	Pruned   sm.Cursor // the position before the first entry
	Last     sm.Cursor // the position of the last entry, Pruned when there is none
}

// Batch is one change of a log. Its parts take effect in the order of the
// fields, all of them or none.
type Batch struct {
	// Clear forgets everything first: entries, hard state, snapshot, metadata.
	Clear bool
	// Reset, if not nil, drops all entries and makes the log continue after
	// the cursor, which may lie before or behind what the log held.
	Reset *sm.Cursor
	// Truncate, if not 0, drops the entries with indices in [Truncate, ∞).
	// Past the end it drops nothing; at or before the pruned prefix it drops
	// all entries.
	Truncate sm.Index
	// Entries are appended. They are consecutive, and the first replaces what
	// the log holds from its index on; [ErrGap] otherwise, or [ErrCompacted] if
	// it lies in the pruned prefix. The log copies what it keeps of the slice,
	// but may keep every Data, which nobody changes any more.
	Entries []Entry
	// Hard, if not nil, replaces the hard state.
	Hard *HardState
	// Snapshot, if not nil, replaces the snapshot record. The log is kept.
	Snapshot *Snapshot
	// Meta, if not nil, replaces the metadata.
	Meta []byte
}

// Log is the log of one group on one member. The engine calls its methods from
// one goroutine at a time, except State, Term and Entries, which may run beside
// any other call.
//
// Index 0 never exists and has term 0.
type Log interface {
	// State returns what the log holds beside its entries.
	State() (State, error)

	// Term returns the term of the entry at index i. The pruned boundary keeps
	// its term; before it the error is [ErrCompacted], after the last entry
	// [ErrUnavailable].
	Term(i sm.Index) (sm.Term, error)

	// Entries yields the entries with indices in [lo, hi), lo ≥ 1, oldest
	// first. A hi past the end is clamped; a pruned lo yields [ErrCompacted].
	// The yielded entries stay valid and unchanged for as long as they are
	// held, their Data must not be changed.
	Entries(lo, hi sm.Index) iter.Seq2[Entry, error]

	// Save applies the batch. When it returns nil the whole batch is as durable
	// as the storage gets; when it returns an error none of it can be seen and
	// the log accepts nothing any more until it is opened again.
	Save(Batch) error

	// Prune drops the entries with indices up to and including through, and
	// keeps the boundary's term. Pruning what is pruned does nothing; an index
	// past the end prunes all there is and moves no further. A crash may bring
	// back what was pruned, until a Save that follows has returned.
	Prune(through sm.Index) error

	// SnapshotDir returns the directory in which the engine keeps the group's
	// snapshot files, or "" to keep them in memory. A log that outlives the
	// process names a directory that does too.
	SnapshotDir() string

	// Close releases what the log holds. Closing twice does nothing.
	Close() error
}

// Failing is what a [Log] implements, too, if it can fail while nobody calls it:
// it shares what it is kept on with other logs, and one of those met the failure.
// Who only keeps such a log open would otherwise not learn that it accepts
// nothing any more, and might keep the others from being opened again.
type Failing interface {
	// OnFailure has tell called with the cause, once, when the log has failed:
	// at once, if it has already, and not after Close has returned. It is called
	// from whichever goroutine met the failure, and must neither block nor call
	// a log. Of several calls of OnFailure the last one counts.
	OnFailure(tell func(cause error))
}
