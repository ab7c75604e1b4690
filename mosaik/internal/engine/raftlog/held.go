package raftlog

import (
	"fmt"
	"slices"

	"github.com/mosaik-go/mosaik/sm"
)

// Membership is the membership of a shard after one change of it.
type Membership struct {
	// ChangeID is the index of that change. The next change must quote it.
	ChangeID uint64
	Voters   map[uint64]sm.PeerID
	// NonVoting replicas receive the log but do not count.
	NonVoting map[uint64]sm.PeerID
	// Removed replicas can never come back.
	Removed map[uint64]struct{}
}

// NewMembership returns the membership of replicas at targets, the text forms of peer ids.
func NewMembership(changeID uint64, voters, nonVoting map[uint64]string, removed map[uint64]struct{}) (Membership, error) {
	m := Membership{ChangeID: changeID, Removed: removed}
	var err error
	if m.Voters, err = peersOf(voters); err != nil {
		return Membership{}, err
	}
	if m.NonVoting, err = peersOf(nonVoting); err != nil {
		return Membership{}, err
	}
	return m, nil
}

// peersOf translates the targets of replicas.
func peersOf(targets map[uint64]string) (map[uint64]sm.PeerID, error) {
	peers := make(map[uint64]sm.PeerID, len(targets))
	for replica, target := range targets {
		peer, err := sm.ParsePeerID(target)
		if err != nil {
			return nil, fmt.Errorf("replica %d: %w", replica, err)
		}
		peers[replica] = peer
	}
	return peers, nil
}

// HeldMembership is the membership according to one replica's log. It needs no leader and
// may be older than what other members know.
type HeldMembership struct {
	Membership // after the last change that is known to be committed
	// LastChange is where the log holds its last change, committed or not. Where that
	// entry is pruned, the term is that of a later one.
	LastChange sm.Cursor
	// Last is the last entry of the log.
	Last sm.Cursor
	// Promoted are the replicas that a change in the log makes voters which is not known
	// to be committed.
	Promoted []uint64
}

// Held returns the membership according to the log; ok is false while the log tells none.
func (l *Log) Held() (h HeldMembership, ok bool) {
	h, last, ok := l.membership.held()
	if !ok {
		return HeldMembership{}, false
	}
	return h, l.locate(&h, sm.Index(last)) == nil
}

// locate sets the cursors of the last entry and of the last change, which is at the index.
func (l *Log) locate(h *HeldMembership, change sm.Index) error {
	state, err := l.storage.State()
	if err != nil {
		return err
	}
	h.Last, h.LastChange = state.Last, sm.Cursor{Term: state.Pruned.Term, Index: change}
	if change <= state.Pruned.Index {
		return nil
	}
	for e, err := range l.storage.Entries(change, change+1) {
		if err != nil {
			return err
		}
		h.LastChange.Term = e.Term
	}
	return nil
}

// held returns the membership, without cursors, and the index of the last change.
func (t *tracker) held() (h HeldMembership, last uint64, ok bool) {
	v := t.current.Load()
	if v == nil || v.change == 0 {
		return HeldMembership{}, 0, false
	}
	removed := make(map[uint64]struct{}, len(v.removed))
	for replica := range v.removed {
		removed[replica] = struct{}{}
	}
	var err error
	if h.Membership, err = NewMembership(v.change, v.voters, v.nonVoting, removed); err != nil {
		return HeldMembership{}, 0, false
	}
	if len(v.open) == 0 {
		return h, v.change, true
	}
	for replica := range v.promoted {
		if _, votes := v.voters[replica]; !votes {
			h.Promoted = append(h.Promoted, replica)
		}
	}
	return h, max(v.change, slices.Max(v.open)), true
}
