package engine

import (
	"maps"
	"slices"
	"sync/atomic"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

// standing is what a replica is in its shard, as far as a log tells.
type standing uint8

const (
	unknown   standing = iota // not added, or added behind the end of the log
	nonVoting                 // receives the log and does not count
	voting                    // a voter, or about to become one
	gone                      // removed, which is for good
)

// members is the membership of a shard as one replica's log tells it: what is committed,
// and promotions that may be. Its own replica's log may end before a change that others
// have made, so it is never proof that a replica has no vote; that one was removed, it
// is.
//
// dragonboat tells the membership to calls that wait for a leader only. Here it is read
// from what dragonboat saves, by the rules of its rsm.membership.
type members struct {
	seen atomic.Pointer[roster] // of what the log holds now
}

// roster is a membership. It is not changed once it is seen.
type roster struct {
	change    uint64            // the index of the last change
	voters    map[uint64]string // replica → target
	nonVoting map[uint64]string
	removed   map[uint64]bool
	promoted  map[uint64]bool // whom an entry that is not known to be committed makes a voter
	open      []uint64        // the indices of changes that are not known to be committed
}

// standing returns what a replica is.
func (m *members) standing(replica uint64) standing {
	r := m.seen.Load()
	if r == nil {
		return unknown
	}
	if r.removed[replica] {
		return gone
	}
	if _, ok := r.voters[replica]; ok || r.promoted[replica] {
		return voting
	}
	if _, ok := r.nonVoting[replica]; ok {
		return nonVoting
	}
	return unknown
}

// restore replaces the membership by that of a snapshot.
func (m *members) restore(s *pb.Membership) {
	m.seen.Store(&roster{
		change: s.ConfigChangeId, voters: maps.Clone(s.Addresses),
		nonVoting: maps.Clone(s.NonVotings), removed: maps.Clone(s.Removed),
	})
}

// note takes into account what dragonboat saves and commits. It is called by one
// goroutine at a time.
func (m *members) note(u *pb.Update) {
	if !pb.IsEmptySnapshot(u.Snapshot) {
		m.restore(&u.Snapshot.Membership)
	}
	if now := m.seen.Load(); len(u.EntriesToSave) > 0 && now != nil && len(now.open) > 0 {
		m.cut(u.EntriesToSave[0].Index)
	}
	m.append(u.EntriesToSave)
	for i := range u.CommittedEntries {
		if e := &u.CommittedEntries[i]; e.Type == pb.ConfigChangeEntry {
			m.edit(e, (*roster).apply)
		}
	}
}

// append takes the changes among entries into account that may be committed later.
func (m *members) append(entries []pb.Entry) {
	for i := range entries {
		if e := &entries[i]; e.Type == pb.ConfigChangeEntry {
			m.edit(e, (*roster).expect)
		}
	}
}

// cut takes into account that entries from an index on are replaced.
func (m *members) cut(index uint64) {
	next := *m.seen.Load()
	next.open = slices.DeleteFunc(slices.Clone(next.open), func(i uint64) bool { return i >= index })
	m.seen.Store(&next)
}

// isOpen reports whether the log holds a change up to index through that is not known to
// be committed, unless it is at or before commit.
func (m *members) isOpen(commit, through uint64) bool {
	r := m.seen.Load()
	return r != nil && slices.ContainsFunc(r.open, func(i uint64) bool { return i > commit && i <= through })
}

// edit replaces the roster by a copy on which do was called.
func (m *members) edit(e *pb.Entry, do func(*roster, *pb.ConfigChange, uint64)) {
	var c pb.ConfigChange
	if err := wire.Unmarshal(&c, e.Cmd); err != nil {
		return // dragonboat would have panicked on it
	}
	next := &roster{}
	if now := m.seen.Load(); now != nil {
		*next = *now
	}
	for _, set := range []*map[uint64]string{&next.voters, &next.nonVoting} {
		if *set = maps.Clone(*set); *set == nil {
			*set = map[uint64]string{}
		}
	}
	for _, set := range []*map[uint64]bool{&next.removed, &next.promoted} {
		if *set = maps.Clone(*set); *set == nil {
			*set = map[uint64]bool{}
		}
	}
	do(next, &c, e.Index)
	m.seen.Store(next)
}

// expect notes a change that may be committed later. A leader may count on the vote of a
// replica as soon as that is.
func (r *roster) expect(c *pb.ConfigChange, index uint64) {
	if c.Type == pb.AddNode && index > r.change {
		r.promoted[c.ReplicaID] = true
	}
	r.open = append(slices.Clone(r.open), index)
}

// apply makes a committed change, unless it is one that every replica rejects.
func (r *roster) apply(c *pb.ConfigChange, index uint64) {
	r.open = slices.DeleteFunc(slices.Clone(r.open), func(i uint64) bool { return i <= index })
	if index <= r.change || r.rejects(c) {
		return
	}
	r.change = index
	switch c.Type {
	case pb.AddNode:
		delete(r.nonVoting, c.ReplicaID)
		r.voters[c.ReplicaID] = c.Address
	case pb.AddNonVoting:
		r.nonVoting[c.ReplicaID] = c.Address
	case pb.RemoveNode:
		delete(r.voters, c.ReplicaID)
		delete(r.nonVoting, c.ReplicaID)
		delete(r.promoted, c.ReplicaID)
		r.removed[c.ReplicaID] = true
	}
}

// rejects is dragonboat's membership.handleConfigChange, without witnesses.
func (r *roster) rejects(c *pb.ConfigChange) bool {
	if !c.Initialize && c.ConfigChangeId != r.change {
		return true
	}
	_, votes := r.voters[c.ReplicaID]
	target, listens := r.nonVoting[c.ReplicaID]
	if c.Type == pb.RemoveNode {
		return votes && len(r.voters) == 1
	}
	if r.removed[c.ReplicaID] || votes {
		return true
	}
	if listens {
		return c.Type == pb.AddNonVoting || target != c.Address
	}
	for _, known := range []map[uint64]string{r.voters, r.nonVoting} {
		for _, target := range known {
			if target == c.Address {
				return true
			}
		}
	}
	return false
}
