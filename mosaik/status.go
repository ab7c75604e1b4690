package mosaik

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/sm"
)

// Epoch names one life of a group. The member that forms the group draws it at random, and so
// does [Group.Recover]. Members of different epochs share nothing. The zero Epoch means none.
type Epoch = group.Epoch

// Incarnation tells the lives of one member apart. Later ones of one process, or of one
// directory, compare higher.
type Incarnation = group.Incarnation

// Ghost is a voter that counts for quorums although it cannot be reached. Its fields are Peer,
// a [PeerID]; Since, when its last bond with this member ended; Gone, how it is known that it
// does not come back as the replica that it was, "" if that is not known; and Cost, what that
// costs the group and what an operator can do. Gone and Cost are text for people.
type Ghost = group.Ghost

// Status is what a member knows about its group at one moment. A Status is a value of its own:
// the caller may keep and change it.
type Status struct {
	Epoch      Epoch  // zero before the group formed
	Recoveries int    // how often the group was recovered, see [Group.Recover]
	Leader     PeerID // zero for none; it may lead a group that is still forming
	Term       sm.Term
	Level      uint32 // the active level of the machine's schema, from 1; 0 before the group formed

	AcceptsCommands bool // the group has formed, and more than half of the expected members belong to it
	Online          bool // see [When.Online]
	Settled         bool // see [When.Settled]
	Stalled         bool // there is no leader, and none can be elected
	// Waits is what this member waits for to be online or settled, "" for nothing. It is text for
	// people and may change.
	Waits string

	// Diverged are other epochs of the group that hold commands, as this one does. They remain
	// separate until one is given up, see [Group.Yield].
	Diverged []Epoch
	// Members are those that belong to the group, voters first; empty until it has formed.
	Members []Member
	// Ghosts are voters that cannot be reached and count all the same: those that were missed
	// for longer than the grace or are known not to come back, and all missed voters while
	// there is no quorum.
	Ghosts []Ghost
	// LinkErrors says by peer what is wrong with the connections to peers that have a bond
	// with this member; nil for nothing. It is text for people and may change.
	LinkErrors map[PeerID]string
	// Refused are peers that have no bond with this member because one side refused it, with
	// the last reason; at most 32, since any process may try.
	Refused []RefusedError
	// Mismatch is not nil while connected peers are in other groups and none of them is in
	// this one. [When.Statuses] does not report changes of it alone.
	Mismatch *Mismatch

	// Poisoned is the panic of this member's machine, nil for none: an [ErrPoisoned].
	Poisoned error
	// SnapshotError is why this member's last snapshot failed, nil if it did not: the machine
	// could not write it, or the disk could not keep it. The member continues and tries again
	// when the next one is due; until one succeeds its log grows.
	SnapshotError error
	// Outdated is the [*OutdatedError] with which the group has ended on this member, nil for
	// none.
	Outdated error
	// SlowCalls are the calls of this member's machine that have been running for longer than a
	// second: at most one command, and at most 16 queries. Until they return, the member
	// applies no further command. Each is logged, but at most one a minute, and counted in the
	// metric mosaik.groups.machine.slow_calls.
	SlowCalls []SlowCall
	// Ended is why the group has ended on this member, or [ErrClosed] once this handle was
	// closed, for instance by [Group.Leave]; nil while the group runs.
	Ended error
}

// SlowCall is a call of the machine that has been running for longer than a second.
type SlowCall struct {
	Doing string // "apply" or "query"
	// Type is the type of the command or query, or the name of the function given to [Read];
	// "" if the command had returned when its type was asked for.
	Type string
	// Index is the command's index, or for a query the index of the last command that it
	// reflects. Where a machine applies batches, it is the first one of the log entry.
	Index sm.Index
	// Since is when the call was first seen. It began at most half a second before.
	Since time.Time
	// For is the time from Since to this status.
	For time.Duration
}

// Member is one member of the group, as this member knows it.
type Member struct {
	Peer        PeerID
	Incarnation Incarnation // zero if it has not been reached yet
	Voter       bool        // counts for quorums; the others are spares or observers
	Observer    bool        // never becomes a voter
	Reluctant   bool        // leads only if no other member can
	Leaving     bool        // has asked to be removed
	CaughtUp    bool        // had applied as much as the leader when it last reported
	Bonded      bool        // can be reached from here, or is this member
	Durable     bool        // its log outlives its process; false while it is not bonded
	// Level is the highest level of the machine's schema that its program supports, from 1; 0
	// while it is not bonded.
	Level uint32
	// LastSeen is when the last bond with it ended, zero while it is bonded and if it never
	// was.
	LastSeen time.Time `json:",omitzero"`
	// RTT is the last measured round-trip time to it, 0 if there is none.
	RTT time.Duration
	// Addrs are the addresses that it advertises, empty if they are not known.
	Addrs []string
}

// MarshalJSON implements [json.Marshaler]: an object of the fields, with ids, epochs,
// incarnations, codes and errors as text, and null for no error.
func (s Status) MarshalJSON() ([]byte, error) {
	type fields Status // without this method
	text := func(err error) *string {
		if err == nil {
			return nil
		}
		message := err.Error()
		return &message
	}
	return json.Marshal(struct {
		fields
		Poisoned, SnapshotError, Outdated, Ended *string
	}{fields(s), text(s.Poisoned), text(s.SnapshotError), text(s.Outdated), text(s.Ended)})
}

// Status returns what this member knows about the group now. Of a handle that was closed it
// says only Ended. [When.Until] waits for a status.
func (g *Group[C, M]) Status() Status { return g.joined.describe(g.status()) }

// describe adds what the network knows about the members.
func (j *joined) describe(s group.Status) Status {
	out := Status{
		Epoch: s.Epoch, Recoveries: s.Recovered, Leader: s.Leader, Term: s.Term, Level: s.Level,
		AcceptsCommands: s.Opened, Online: s.Online, Settled: s.Settled, Stalled: s.Stalled, Waits: s.Waits,
		Diverged: slices.Clone(s.Diverged), Ghosts: slices.Clone(s.Ghosts), LinkErrors: j.linkErrors(s),
		Refused: slices.Clone(s.Refused), Mismatch: j.mismatch(),
		Poisoned: j.named(s.Poisoned), SnapshotError: j.named(s.Snapshot),
		Outdated: j.named(s.Outdated), Ended: j.named(s.Ended),
	}
	for _, c := range s.Slow {
		out.SlowCalls = append(out.SlowCalls, SlowCall{c.Doing, c.Type, c.Index, c.Since, time.Since(c.Since)})
	}
	if out.Mismatch != nil && out.Waits != "" {
		out.Waits += "; " + out.Mismatch.String()
	}
	if len(s.Members) == 0 {
		return out
	}
	rtts := map[PeerID]time.Duration{}
	for _, b := range j.core.Bonds() {
		rtts[b.Peer] = b.RTT
	}
	out.Members = make([]Member, len(s.Members))
	for i, m := range s.Members {
		out.Members[i] = Member{
			Peer: m.Peer, Incarnation: m.Incarnation, Voter: m.Voter, Observer: m.Observer,
			Reluctant: m.Reluctant, Leaving: m.Leaving, CaughtUp: m.CaughtUp, Bonded: m.Bonded,
			Durable: m.Durable, Level: m.Level, LastSeen: m.LastSeen,
			RTT: rtts[m.Peer], Addrs: slices.Clone(j.net.entry(m.Peer).Addrs),
		}
	}
	return out
}

// named returns an error of the group with its name, nil for none.
func (j *joined) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mosaik: group %s: %w", j.id.Short(), err)
}

// entry returns what is known of a peer, this one included.
func (n *Network) entry(peer PeerID) discovery.Signed {
	if self := n.catalog.Self(); self.Peer == peer {
		return self
	}
	e, _ := n.bonds.Entry(peer)
	return e
}
