package engine

import (
	"fmt"
	"iter"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// Proposals yields the proposals that a log holds, up to and including the entry
// at index through, oldest first, committed or not. It is for logs whose replica
// does not run. Their Data must not be changed.
func Proposals(log logstore.Log, through sm.Index) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for e, err := range held(log, through) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if e.ClientID != wire.ProposalClient {
				continue
			}
			data, err := wire.Payload(&e)
			if !yield(Entry{Index: sm.Index(e.Index), Term: sm.Term(e.Term), Data: data}, err) || err != nil {
				return
			}
		}
	}
}

// Indispensable reports whether the log proves that nothing was committed in its
// shard, or ever can be, that this replica has not written down: since the
// replica became a voter there was, and in all that may yet be committed there
// is, at most one voter beside it. It is false also for a replica without a vote
// and for a log whose beginning was pruned.
func Indispensable(log logstore.Log, replica uint64) (bool, error) {
	state, err := log.State()
	if err != nil {
		return false, fmt.Errorf("engine: read the log: %w", err)
	}
	if state.Pruned.Index > 0 {
		return false, nil
	}
	voters := map[uint64]bool{}
	for c, err := range heldChanges(log, state.Last.Index) {
		if err != nil {
			return false, err
		}
		voted := voters[replica]
		switch c.Type {
		case pb.AddNode:
			voters[c.ReplicaID] = true
		case pb.RemoveNode:
			delete(voters, c.ReplicaID)
		}
		if voted && !voters[replica] || voters[replica] && len(voters) > 2 {
			return false, nil
		}
	}
	return voters[replica], nil
}

// MayVote reports whether a log that its replica came back with says that it may
// be a voter. It is true also for a log whose beginning was pruned.
func MayVote(log logstore.Log, replica uint64) (bool, error) {
	state, err := log.State()
	if err != nil {
		return false, fmt.Errorf("engine: read the log: %w", err)
	}
	if state.Pruned.Index > 0 || state.Snapshot.Cursor.Index > 0 {
		return true, nil
	}
	for c, err := range heldChanges(log, state.Last.Index) {
		if err != nil {
			return false, err
		}
		if c.Type == pb.AddNode && c.ReplicaID == replica {
			return true, nil
		}
	}
	return false, nil
}

// heldChanges yields the membership changes that a log holds, as held does.
func heldChanges(log logstore.Log, through sm.Index) iter.Seq2[pb.ConfigChange, error] {
	return func(yield func(pb.ConfigChange, error) bool) {
		for e, err := range held(log, through) {
			var c pb.ConfigChange
			if err == nil && e.Type != pb.ConfigChangeEntry {
				continue
			}
			if err == nil {
				if err = wire.Unmarshal(&c, e.Cmd); err != nil {
					err = fmt.Errorf("engine: read membership change at %d: %w", e.Index, err)
				}
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// held yields the entries of a log up to and including index through.
func held(log logstore.Log, through sm.Index) iter.Seq2[pb.Entry, error] {
	return func(yield func(pb.Entry, error) bool) {
		state, err := log.State()
		if err != nil {
			yield(pb.Entry{}, fmt.Errorf("engine: read the log: %w", err))
			return
		}
		for stored, err := range log.Entries(state.Pruned.Index+1, through+1) {
			var e pb.Entry
			if err == nil {
				e, err = fromLog(&stored)
			}
			if err != nil {
				err = fmt.Errorf("engine: read the log: %w", err)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
