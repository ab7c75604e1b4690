package engine

import "github.com/mosaik-go/mosaik/sm"

// HeldMembership is the membership of a shard as one replica's log tells it,
// which needs no leader and may be older than what the others know.
type HeldMembership struct {
	Membership // of the last change that is known to be committed
	// LastChange is the index of the last change in the log, committed or not. It
	// is Membership.ChangeID where the log holds no other.
	LastChange uint64
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
		return l.members.held()
	}
}

// held returns the membership without what cannot be read.
func (m *members) held() (HeldMembership, bool) {
	r := m.seen.Load()
	if r == nil || r.change == 0 {
		return HeldMembership{}, false
	}
	h := HeldMembership{
		Membership: Membership{
			ChangeID: r.change, Voters: map[uint64]sm.PeerID{}, NonVoting: map[uint64]sm.PeerID{},
			Removed: make(map[uint64]struct{}, len(r.removed)),
		},
		LastChange: r.change,
	}
	for _, side := range []struct {
		from map[uint64]string
		to   map[uint64]sm.PeerID
	}{{r.voters, h.Voters}, {r.nonVoting, h.NonVoting}} {
		for replica, target := range side.from {
			peer, err := sm.ParsePeerID(target)
			if err != nil {
				return HeldMembership{}, false
			}
			side.to[replica] = peer
		}
	}
	for replica := range r.removed {
		h.Removed[replica] = struct{}{}
	}
	for _, index := range r.open {
		h.LastChange = max(h.LastChange, index)
	}
	return h, true
}
