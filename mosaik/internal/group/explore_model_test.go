package group

import (
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/sm"
)

// The model that explore_test.go explores: three members with logs in memory. The functions that
// decide are the real ones. Everything around them, Raft included, is a small value that can be
// compared.
//
// The model assumes that Raft is correct: an epoch's log is one list that only grows, while a
// majority of its voters runs and is in the epoch. Members apply it late, learn of each other late,
// and lose everything when they crash.
const (
	modelMembers = 3
	modelEpochs  = 3  // at most; a history that makes more is not followed
	modelEntries = 12 // of an epoch's log, at most
	modelLives   = 6  // incarnations of a member, at most
	modelNames   = 3  // identities of a member, at most
)

type entryKind uint8

const (
	entryBirth entryKind = iota + 1
	entryAdd
	entryPromote
	entryRemove
	entryOpen
	entrySeal
	entryCommand
)

// modelEntry is an entry of an epoch's log. Member, name and life identify a replica.
type modelEntry struct {
	kind               entryKind
	member, name, life uint8
}

// modelEpoch is an epoch.
type modelEpoch struct {
	rank   uint8 // its place in the order of epochs
	size   uint8
	leader uint8 // 1 + member, 0 for none
	heir   bool  // it continues another
	log    [modelEntries]modelEntry
}

// heard is the last announcement that a member received from a bonded peer.
type heard struct {
	bonded                 bool
	process, name, life    uint8
	in                     uint8
	phase                  Phase
	change                 uint8 // the last membership change that it applied
	votes, opened, counted bool
}

// modelMember is one member.
type modelMember struct {
	up       bool
	process  uint8 // counts its starts
	name     uint8 // counts its identities
	life     uint8 // its incarnation
	in       uint8 // 1 + epoch, 0 for none
	made     bool  // it made the epoch
	applied  uint8 // entries of the epoch's log
	caughtUp bool
	waited   bool                 // the bootstrap delay has passed
	stalled  bool                 // there has been no leader for longer than elections take
	ended    uint8                // epochs that it knows are over, a bit each
	told     uint8                // epochs about whose end a message is in flight
	missing  uint8                // peers missing for longer than the grace
	byes     [modelMembers]uint16 // replicas that sent goodbye, a bit for each life
	vacant   [modelMembers]uint16 // replicas whose addresses refuse or answer as another peer
	byeLast  [modelMembers]uint8  // the last change in the logs of replicas that sent goodbye
	peers    [modelMembers]heard
}

// world is a state of the model.
type world struct {
	members [modelMembers]modelMember
	epochs  [modelEpochs]modelEpoch
	made    uint8 // epochs
	crashes uint8
}

// membership is the membership by the first entries of a log. Replicas are member and life.
type membership struct {
	voters, nonVoting, removed   []modelEntry
	opened, sealed, holdsCommand bool
	dispensable                  bool // the given replica lost its vote, or other voters had a quorum while it voted
}

func (m *membership) drop(r modelEntry) {
	is := func(o modelEntry) bool { return o == r }
	m.voters = slices.DeleteFunc(m.voters, is)
	m.nonVoting = slices.DeleteFunc(m.nonVoting, is)
}

// read returns the membership after n entries, and the result of [engine.Indispensable] for a log
// that holds them.
func (e *modelEpoch) read(n uint8, about modelEntry) (m membership) {
	for _, x := range e.log[:n] {
		voted := slices.Contains(m.voters, about)
		r := modelEntry{member: x.member, name: x.name, life: x.life}
		switch x.kind {
		case entryBirth:
			m.voters = append(m.voters, r)
		case entryAdd:
			m.nonVoting = append(m.nonVoting, r)
		case entryPromote:
			m.drop(r)
			m.voters = append(m.voters, r)
		case entryRemove:
			m.drop(r)
			m.removed = append(m.removed, r)
		case entryOpen:
			m.opened = true
		case entrySeal:
			m.sealed = m.sealed || !m.holdsCommand
		case entryCommand:
			m.holdsCommand = true
		}
		votes := slices.Contains(m.voters, about)
		m.dispensable = m.dispensable || voted && !votes || votes && len(m.voters) > 2
	}
	return m
}

func (w *world) replica(p int) modelEntry {
	return modelEntry{member: uint8(p), name: w.members[p].name, life: w.members[p].life}
}

// lastChange returns the place of the last membership change among the first
// entries of a log.
func (e *modelEpoch) lastChange(n uint8) uint8 {
	for ; n > 0; n-- {
		switch e.log[n-1].kind {
		case entryBirth, entryAdd, entryPromote, entryRemove:
			return n
		}
	}
	return 0
}

// runs reports whether the replica runs in the epoch.
func (w *world) runs(e int, r modelEntry) bool {
	m := &w.members[r.member]
	return m.up && m.in == uint8(e+1) && m.life == r.life && m.name == r.name
}

// quorum reports whether a majority of the epoch's voters runs.
func (w *world) quorum(e int) bool {
	m := w.all(e)
	n := 0
	for _, r := range m.voters {
		if w.runs(e, r) {
			n++
		}
	}
	return n > len(m.voters)/2
}

// gone reports whether a majority of the epoch's voters is lost for good.
func (w *world) gone(e int) bool {
	m := w.all(e)
	n := 0
	for _, r := range m.voters {
		if x := &w.members[r.member]; x.life == r.life && x.in == uint8(e+1) && x.up {
			n++
		}
	}
	return n <= len(m.voters)/2
}

func (w *world) all(e int) membership { return w.epochs[e].read(w.epochs[e].size, modelEntry{}) }

// own returns what the member has applied of its epoch.
func (w *world) own(p int) membership {
	m := &w.members[p]
	return w.epochs[m.in-1].read(m.applied, w.replica(p))
}

func (w *world) says(p int) heard {
	m := &w.members[p]
	h := heard{bonded: true, process: m.process, name: m.name, life: m.life, in: m.in, phase: Seeking}
	if m.in != 0 {
		own := w.own(p)
		h.phase = CatchingUp
		if m.caughtUp {
			h.phase = CaughtUp
		}
		h.votes = slices.Contains(own.voters, w.replica(p))
		h.opened, h.counted = own.opened, own.holdsCommand
		h.change = w.epochs[m.in-1].lastChange(m.applied)
	}
	return h
}

// The ids that the real functions receive, made of the model's numbers.

var modelStart = time.Unix(1_000_000, 0)

func modelPeer(p int, name uint8) sm.PeerID { return sm.PeerID{byte(p + 1), name} }

func (r modelEntry) peer() sm.PeerID { return modelPeer(int(r.member), r.name) }

func (w *world) epochID(in uint8) (e Epoch) {
	if in != 0 {
		e[0] = w.epochs[in-1].rank
	}
	return e
}

func modelLife(n uint8) Incarnation { return Incarnation{n} }

type replicaKey struct {
	member, name, life uint8
	epoch              Epoch
}

// replicaIDs caches the results of replicaID.
type replicaIDs map[replicaKey]uint64

func (ids replicaIDs) of(r modelEntry, e Epoch) uint64 {
	key := replicaKey{r.member, r.name, r.life, e}
	id, ok := ids[key]
	if !ok {
		id = replicaID(r.peer(), e, modelLife(r.life))
		ids[key] = id
	}
	return id
}

func (w *world) announcement(h heard, policy Policy) Announcement {
	a := Announcement{
		Phase: h.phase, Role: Role{}, Opened: h.opened, Votes: h.votes,
		ProcessInfo: ProcessInfo{Incarnation: modelLife(h.life)}, Epoch: w.epochID(h.in), Policy: policy, Change: uint64(h.change),
	}
	if h.counted {
		a.AppliedIndex = 1
	}
	return a
}

func (w *world) announcements(p int, policy Policy) map[sm.PeerID]Announcement {
	out := map[sm.PeerID]Announcement{}
	for q, h := range w.members[p].peers {
		if h.bonded {
			out[modelPeer(q, h.name)] = w.announcement(h, policy)
		}
	}
	return out
}

// bootstrapper returns what the member, which is in no epoch, knows.
func (w *world) bootstrapper(p int, policy Policy) bootstrapper {
	m := &w.members[p]
	s := bootstrapper{
		now: modelStart, self: modelPeer(p, m.name), role: Role{}, policy: policy, seekingSince: modelStart, delay: time.Second,
		endedEpochs: map[Epoch]sm.Index{}, peers: w.announcements(p, policy),
	}
	if m.waited {
		s.seekingSince = modelStart.Add(-time.Hour)
	}
	for e := range w.made {
		if m.ended&(1<<e) != 0 {
			s.endedEpochs[w.epochID(e+1)] = 0
		}
	}
	return s
}

// reconciler returns what the leader of the epoch knows.
func (w *world) reconciler(p int, policy Policy, ids replicaIDs) reconciler {
	m := &w.members[p]
	own, id := w.own(p), w.epochID(m.in)
	s := reconciler{
		now: modelStart, self: modelPeer(p, m.name), opened: own.opened, empty: !own.holdsCommand, epoch: id, policy: policy,
		members: engine.Membership{Voters: map[uint64]sm.PeerID{}, NonVoting: map[uint64]sm.PeerID{}, Removed: map[uint64]struct{}{}},
		peers:   w.announcements(p, policy), lastSeen: map[sm.PeerID]time.Time{}, gone: map[uint64]string{},
	}
	s.peers[s.self] = w.announcement(w.says(p), policy)
	for _, r := range own.voters {
		s.members.Voters[ids.of(r, id)] = r.peer()
	}
	for _, r := range own.nonVoting {
		s.members.NonVoting[ids.of(r, id)] = r.peer()
	}
	for _, r := range own.removed {
		s.members.Removed[ids.of(r, id)] = struct{}{}
	}
	for _, r := range slices.Concat(own.voters, own.nonVoting) {
		if w.ended(p, r) {
			s.gone[ids.of(r, id)] = "gone"
		}
		if _, bonded := s.peers[r.peer()]; bonded {
			continue
		}
		s.lastSeen[r.peer()] = modelStart
		if m.missing&(1<<r.member) != 0 {
			s.lastSeen[r.peer()] = modelStart.Add(-time.Hour)
		}
	}
	return s
}

// bondedTo reports whether the member has a bond with the replica's peer, in any incarnation.
func (m *modelMember) bondedTo(r modelEntry) bool {
	h := m.peers[r.member]
	return h.bonded && h.name == r.name
}

// superseded reports whether the replica's peer has a later incarnation.
func (m *modelMember) superseded(r modelEntry) bool {
	return m.bondedTo(r) && m.peers[r.member].life > r.life
}

// ended reports whether the member has proof that the replica no longer runs.
func (w *world) ended(p int, r modelEntry) bool {
	m := &w.members[p]
	bit := uint16(1) << r.life
	return m.byes[r.member]&bit != 0 || m.vacant[r.member]&bit != 0 && !m.bondedTo(r) || m.superseded(r)
}

// leastStored returns how many entries of its epoch's log the member certainly holds: those that it
// applied, and those that could not be committed without it.
func (w *world) leastStored(p int) uint8 {
	m := &w.members[p]
	epoch := &w.epochs[m.in-1]
	for n := epoch.size; n > m.applied; n-- {
		others, voters := 0, epoch.read(n-1, modelEntry{}).voters
		for _, r := range voters {
			if r != w.replica(p) {
				others++
			}
		}
		if others <= len(voters)/2 {
			return n
		}
	}
	return m.applied
}

// survivor returns what the member knows when it decides whether to continue alone, if its log
// holds a number of entries of its epoch.
func (w *world) survivor(p int, stored uint8, x *explorer) (*Group, *localReplica) {
	m := &w.members[p]
	epoch, id := &w.epochs[m.in-1], w.epochID(m.in)
	g := &Group{peers: w.announcements(p, x.policy), stalled: m.stalled}
	g.cfg.Commandless, g.cfg.Policy = x.elects, x.policy
	l := &localReplica{epoch: id, id: x.ids.of(w.replica(p), id), remotes: map[uint64]*remoteReplica{}}
	g.local = l
	cursor := func(n uint8) sm.Cursor { return sm.Cursor{Term: 1, Index: sm.Index(n)} }
	committed, log := w.own(p), epoch.read(stored, modelEntry{})
	held := engine.HeldMembership{Last: cursor(stored), LastChange: cursor(epoch.lastChange(stored))}
	held.Voters = map[uint64]sm.PeerID{}
	for _, r := range committed.voters {
		held.Voters[x.ids.of(r, id)] = r.peer()
	}
	for _, r := range log.voters {
		if _, votes := held.Voters[x.ids.of(r, id)]; !votes {
			held.Promoted = append(held.Promoted, x.ids.of(r, id))
		}
	}
	l.held = func() (engine.HeldMembership, bool) { return held, true }
	for _, r := range slices.Concat(committed.voters, log.voters) {
		h := m.peers[r.member]
		bye := m.byes[r.member]&(1<<r.life) != 0
		if bye || m.superseded(r) || m.bondedTo(r) && h.in == m.in && h.life == r.life {
			n := &remoteReplica{peer: r.peer(), goodbye: bye, superseded: m.superseded(r), vacant: m.vacant[r.member]&(1<<r.life) != 0}
			if bye {
				n.change = cursor(m.byeLast[r.member])
				for _, v := range epoch.read(m.byeLast[r.member], modelEntry{}).voters {
					n.voters = append(n.voters, x.ids.of(v, id))
				}
			}
			l.remotes[x.ids.of(r, id)] = n
		}
	}
	return g, l
}
