package raftlog

import (
	"fmt"
	"iter"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// Entry is an entry of the log that a proposal made. Index and Term are Raft's.
type Entry struct {
	Index sm.Index
	Term  sm.Term
	Data  []byte
}

// Proposals yields the proposals in a log, committed or not, oldest first, up to and
// including the entry at index through. The log's replica must not run. Callers must not
// change Data.
func Proposals(log logstore.Log, through sm.Index) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for e, err := range entriesIn(log, through) {
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

// Indispensable reports whether the log proves that every entry that its shard has
// committed, or can ever commit, was written to this log first. That is so if there was at
// most one other voter at any time since the replica became a voter, including changes that
// may still be committed. It is false for a replica without a vote and for a log whose
// beginning was pruned.
func Indispensable(log logstore.Log, replica uint64) (bool, error) {
	state, err := log.State()
	if err != nil {
		return false, fmt.Errorf("engine: read the log: %w", err)
	}
	if state.Pruned.Index > 0 {
		return false, nil
	}
	voters := map[uint64]bool{}
	for c, err := range changesIn(log, state.Last.Index) {
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

// MayVote reports whether a replica that restarts with the log may be a voter. It is true
// for a log whose beginning was pruned.
func MayVote(log logstore.Log, replica uint64) (bool, error) {
	state, err := log.State()
	if err != nil {
		return false, fmt.Errorf("engine: read the log: %w", err)
	}
	if state.Pruned.Index > 0 || state.Snapshot.Cursor.Index > 0 {
		return true, nil
	}
	for c, err := range changesIn(log, state.Last.Index) {
		if err != nil {
			return false, err
		}
		if c.Type == pb.AddNode && c.ReplicaID == replica {
			return true, nil
		}
	}
	return false, nil
}

// changesIn yields the membership changes in a log, up to and including index through.
func changesIn(log logstore.Log, through sm.Index) iter.Seq2[pb.ConfigChange, error] {
	return func(yield func(pb.ConfigChange, error) bool) {
		for e, err := range entriesIn(log, through) {
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

// entriesIn yields the entries of a log, up to and including index through.
func entriesIn(log logstore.Log, through sm.Index) iter.Seq2[pb.Entry, error] {
	return func(yield func(pb.Entry, error) bool) {
		state, err := log.State()
		if err != nil {
			yield(pb.Entry{}, fmt.Errorf("engine: read the log: %w", err))
			return
		}
		for stored, err := range log.Entries(state.Pruned.Index+1, through+1) {
			var e pb.Entry
			if err == nil {
				e, err = fromStored(&stored)
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
