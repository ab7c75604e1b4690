package raftlog

import (
	"maps"
	"slices"
	"sync/atomic"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
)

// Standing is the part that a replica has in its shard, as far as a log tells.
type Standing uint8

// The standings of replicas.
const (
	Unknown   Standing = iota // not added, or added after the end of the log
	NonVoting                 // receives the log and does not count
	Voter                     // a voter, or a replica whose promotion may be committed
	Removed                   // removed for good
)

// tracker follows the membership of a shard through one replica's log: the changes that are
// committed, and the promotions that may be. The log may end before a change that others
// have made, so it proves that a replica was removed, and never that one has no vote.
//
// dragonboat reveals the membership only to calls that wait for a leader. So it is derived
// here from what dragonboat saves, by the rules of its rsm.membership.
type tracker struct {
	current atomic.Pointer[version] // nil while the log tells nothing
}

// version is a membership. It is not changed once it is current.
type version struct {
	change    uint64            // the index of the last committed change
	voters    map[uint64]string // replica → target
	nonVoting map[uint64]string
	removed   map[uint64]bool
	promoted  map[uint64]bool // replicas that an uncommitted entry makes voters
	open      []uint64        // the indices of changes that are not known to be committed
}

func (t *tracker) standing(replica uint64) Standing {
	v := t.current.Load()
	if v == nil {
		return Unknown
	}
	if v.removed[replica] {
		return Removed
	}
	if _, ok := v.voters[replica]; ok || v.promoted[replica] {
		return Voter
	}
	if _, ok := v.nonVoting[replica]; ok {
		return NonVoting
	}
	return Unknown
}

// restore replaces the membership by that of a snapshot.
func (t *tracker) restore(s *pb.Membership) {
	t.current.Store(&version{
		change: s.ConfigChangeId, voters: maps.Clone(s.Addresses),
		nonVoting: maps.Clone(s.NonVotings), removed: maps.Clone(s.Removed),
	})
}

func (t *tracker) clear() { t.current.Store(nil) }

// note follows an update that dragonboat saves. One goroutine at a time calls it.
func (t *tracker) note(u *pb.Update) {
	if !pb.IsEmptySnapshot(u.Snapshot) {
		t.restore(&u.Snapshot.Membership)
	}
	if now := t.current.Load(); len(u.EntriesToSave) > 0 && now != nil && len(now.open) > 0 {
		t.truncate(u.EntriesToSave[0].Index)
	}
	t.append(u.EntriesToSave)
	for i := range u.CommittedEntries {
		if e := &u.CommittedEntries[i]; e.Type == pb.ConfigChangeEntry {
			t.edit(e, (*version).apply)
		}
	}
}

// append notes the changes among entries, which may be committed later.
func (t *tracker) append(entries []pb.Entry) {
	for i := range entries {
		if e := &entries[i]; e.Type == pb.ConfigChangeEntry {
			t.edit(e, (*version).expect)
		}
	}
}

// truncate notes that the entries from an index on are replaced. Their promotions stay, to
// err on the side of a vote.
func (t *tracker) truncate(index uint64) {
	next := *t.current.Load()
	next.open = slices.DeleteFunc(slices.Clone(next.open), func(i uint64) bool { return i >= index })
	t.current.Store(&next)
}

// hasOpen reports whether the log holds a change in (commit, through] that is not known to
// be committed.
func (t *tracker) hasOpen(commit, through uint64) bool {
	v := t.current.Load()
	return v != nil && slices.ContainsFunc(v.open, func(i uint64) bool { return i > commit && i <= through })
}

// edit replaces the current version by a copy on which do was called.
func (t *tracker) edit(e *pb.Entry, do func(*version, *pb.ConfigChange, uint64)) {
	var c pb.ConfigChange
	if err := wire.Unmarshal(&c, e.Cmd); err != nil {
		return // dragonboat panics on such an entry before it saves it
	}
	next := &version{}
	if now := t.current.Load(); now != nil {
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
	t.current.Store(next)
}

// expect notes a change that may be committed later. A leader may count the vote of a
// promoted replica as soon as the promotion is committed.
func (v *version) expect(c *pb.ConfigChange, index uint64) {
	if c.Type == pb.AddNode && index > v.change {
		v.promoted[c.ReplicaID] = true
	}
	v.open = append(slices.Clone(v.open), index)
}

// apply makes a committed change, unless every replica rejects it.
func (v *version) apply(c *pb.ConfigChange, index uint64) {
	v.open = slices.DeleteFunc(slices.Clone(v.open), func(i uint64) bool { return i <= index })
	if index <= v.change || v.rejects(c) {
		return
	}
	v.change = index
	switch c.Type {
	case pb.AddNode:
		delete(v.nonVoting, c.ReplicaID)
		v.voters[c.ReplicaID] = c.Address
	case pb.AddNonVoting:
		v.nonVoting[c.ReplicaID] = c.Address
	case pb.RemoveNode:
		delete(v.voters, c.ReplicaID)
		delete(v.nonVoting, c.ReplicaID)
		delete(v.promoted, c.ReplicaID)
		v.removed[c.ReplicaID] = true
	}
}

// rejects is dragonboat's membership.handleConfigChange, without witnesses.
func (v *version) rejects(c *pb.ConfigChange) bool {
	if !c.Initialize && c.ConfigChangeId != v.change {
		return true
	}
	_, votes := v.voters[c.ReplicaID]
	target, listens := v.nonVoting[c.ReplicaID]
	if c.Type == pb.RemoveNode {
		return votes && len(v.voters) == 1
	}
	if v.removed[c.ReplicaID] || votes {
		return true
	}
	if listens {
		return c.Type == pb.AddNonVoting || target != c.Address
	}
	for _, known := range []map[uint64]string{v.voters, v.nonVoting} {
		for _, target := range known {
			if target == c.Address {
				return true
			}
		}
	}
	return false
}
