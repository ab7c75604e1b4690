package engine

import (
	"slices"

	"github.com/mosaik-go/mosaik/sm"
)

// HeldMembership is the membership of a shard as one replica's log tells it,
// which needs no leader and may be older than what the others know.
type HeldMembership struct {
	Membership // of the last change that is known to be committed
	// LastChange is where the log holds its last change, committed or not. Where
	// that entry is pruned the term is that of a later one.
	LastChange sm.Cursor
	// Last is the last entry of the log.
	Last sm.Cursor
	// Promoted are the replicas that a change in the log makes voters which is not
	// known to be committed.
	Promoted []uint64
}

// Held returns a function that reads the membership from the replica's log. The
// function may be called concurrently, and after [Replica.Stop], when its answer
// is final. It reports false while the log tells nothing.
func (r *Replica) Held() func() (HeldMembership, bool) {
	l := r.engine.router.find(r.shard, r.id)
	return func() (HeldMembership, bool) {
		if l == nil {
			return HeldMembership{}, false
		}
		h, last, ok := l.members.held()
		if !ok {
			return HeldMembership{}, false
		}
		return h, l.locate(&h, sm.Index(last)) == nil
	}
}

// locate sets the cursors of the last entry and of the last change, which is at the
// index.
func (l *replicaLog) locate(h *HeldMembership, change sm.Index) error {
	state, err := l.log.State()
	if err != nil {
		return err
	}
	h.Last, h.LastChange = state.Last, sm.Cursor{Term: state.Pruned.Term, Index: change}
	if change <= state.Pruned.Index {
		return nil
	}
	for e, err := range l.log.Entries(change, change+1) {
		if err != nil {
			return err
		}
		h.LastChange.Term = e.Term
	}
	return nil
}

// held returns the membership, and the index of the last change.
func (m *members) held() (h HeldMembership, last uint64, ok bool) {
	r := m.seen.Load()
	if r == nil || r.change == 0 {
		return HeldMembership{}, 0, false
	}
	h = HeldMembership{
		Membership: Membership{
			ChangeID: r.change, Voters: map[uint64]sm.PeerID{}, NonVoting: map[uint64]sm.PeerID{},
			Removed: make(map[uint64]struct{}, len(r.removed)),
		},
	}
	for _, side := range []struct {
		from map[uint64]string
		to   map[uint64]sm.PeerID
	}{{r.voters, h.Voters}, {r.nonVoting, h.NonVoting}} {
		for replica, target := range side.from {
			peer, err := sm.ParsePeerID(target)
			if err != nil {
				return HeldMembership{}, 0, false
			}
			side.to[replica] = peer
		}
	}
	for replica := range r.removed {
		h.Removed[replica] = struct{}{}
	}
	if len(r.open) == 0 {
		return h, r.change, true
	}
	for replica := range r.promoted {
		if _, votes := r.voters[replica]; !votes {
			h.Promoted = append(h.Promoted, replica)
		}
	}
	return h, max(r.change, slices.Max(r.open)), true
}
