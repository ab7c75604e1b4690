package engine

import (
	"fmt"
	"iter"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/snapstore"
	"github.com/mosaik-go/mosaik/sm"
)

// What other packages need to read logs without a running replica.
type (
	// Identity names the replica that a log belongs to.
	Identity = raftlog.Identity
	// Past is what a log tells about the replica that it belongs to.
	Past = raftlog.Past
	// Entry is an entry of the log that a proposal made.
	Entry = raftlog.Entry
	// Membership is the membership of a shard after one change of it.
	Membership = raftlog.Membership
	// HeldMembership is the membership according to one replica's log.
	HeldMembership = raftlog.HeldMembership
)

// ErrStorage reports that the log of a replica could not be read or written.
var ErrStorage = raftlog.ErrStorage

// Proposals yields the proposals in a log, committed or not, oldest first, up to and
// including the entry at index through. The log's replica must not run. Callers must not
// change Data.
func Proposals(log logstore.Log, through sm.Index) iter.Seq2[Entry, error] {
	return raftlog.Proposals(log, through)
}

// Indispensable reports whether the log proves that every entry that its shard has
// committed, or can ever commit, was written to this log first. It is false for a replica
// without a vote and for a log whose beginning was pruned.
func Indispensable(log logstore.Log, replica uint64) (bool, error) {
	return raftlog.Indispensable(log, replica)
}

// MayVote reports whether a replica that restarts with the log may be a voter. It is true
// for a log whose beginning was pruned.
func MayVote(log logstore.Log, replica uint64) (bool, error) { return raftlog.MayVote(log, replica) }

// ReadPast returns what a log tells about its replica; ok is false if it belongs to none.
func ReadPast(log logstore.Log) (p Past, ok bool, err error) { return raftlog.ReadPast(log) }

// Claim empties a log, with its snapshots, and makes it that of the replica id. The claim
// survives restarts of the replica, and no other replica can start with the log. The level
// is one to which the replica's entries raise the schema at least, 0 if that is not known.
func Claim(log logstore.Log, id Identity, level uint32) error {
	err := raftlog.Claim(log, id, level)
	if err == nil {
		err = removeSnapshotsOf(log)
	}
	if err != nil {
		return fmt.Errorf("%w: claim it for replica %d of shard %d: %w", ErrStorage, id.Replica, id.Shard, err)
	}
	return nil
}

// Disclaim empties a log, with its snapshots, so that it belongs to no replica.
func Disclaim(log logstore.Log) error {
	err := raftlog.Disclaim(log)
	if err == nil {
		err = removeSnapshotsOf(log)
	}
	if err != nil {
		return fmt.Errorf("%w: clear it: %w", ErrStorage, err)
	}
	return nil
}

// removeSnapshotsOf removes the snapshots beside a log, if it has a directory for them.
func removeSnapshotsOf(log logstore.Log) error {
	if files, ok := logstore.SnapshotFiles(log); ok {
		return snapstore.RemoveAll(files)
	}
	return nil
}
