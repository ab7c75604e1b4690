package mosaik

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/sm"
)

// Epoch names one life of a group: whoever makes the group draws it at random,
// and so does [Group.Recover]. Members of different epochs share nothing. The
// zero Epoch means none.
type Epoch = group.Epoch

// Incarnation tells the lives of one member apart. Later ones of one process, or of
// one directory, compare higher.
type Incarnation = group.Incarnation

// Ghost is a voter that cannot be reached and counts all the same. Its fields are
// Peer, a [PeerID]; Since, when its last bond with this member ended; Gone, in words
// how it is known that it does not come back as what it was, "" if it is not known;
// and Cost, in words what that costs the group and what an operator can do.
type Ghost = group.Ghost

// Status is what a member knows about its group at one moment.
type Status struct {
	Epoch     Epoch  // zero before the group formed
	Recovered int    // how many epochs this one continues, see [Group.Recover]
	Leader    PeerID // zero for none
	Term      sm.Term
	Level     uint32 // the level of the machine's schema that is active, from 1; 0 before the group formed
	Accepts   bool   // commands are accepted, see [Policy.WithExpected]
	Online    bool   // see [When.Online]
	Settled   bool   // see [When.Settled]
	Stalled   bool   // there is no leader, and none can be elected
	// Waits says in words what this member waits for to be online or settled,
	// "" for nothing. It is for people: the words may change.
	Waits string
	// Apart are other epochs of the group that hold commands, as this one does.
	// Both go on apart until one is given up; see [Group.Yield].
	Apart []Epoch
	// Members are those that belong to the group, voters first; empty until it
	// has formed.
	Members []Member
	// Ghosts are voters that cannot be reached and count all the same: those that
	// were missed for longer than the grace or are known not to come back and, while
	// there is no quorum, all that are missed.
	Ghosts []Ghost
	// Links says in words, by peer, what is wrong with the connections between this member
	// and peers that have a bond with it; nil for nothing. It is for people: the words may
	// change.
	Links map[PeerID]string
	// Refused are peers that have no bond with this member because one side
	// refused it, with the last reason; at most 32, since anybody may try.
	Refused []RefusedError
	// Mismatch is not nil while connected peers are in other groups and none of
	// them is in this one. Changes of it alone are no news for [When.Statuses].
	Mismatch *Mismatch
	// Poisoned is the panic of this member's machine, nil for none.
	Poisoned error
	// Snapshot is why this member's last snapshot failed, nil if it did not: the
	// machine could not write it, or the disk could not keep it. The member goes
	// on and tries again when another one is due; until one succeeds its log grows.
	Snapshot error
	// Outdated is the [*OutdatedError] with which the group has ended on this member,
	// nil for none.
	Outdated error
	// Slow are the calls of this member's machine that have run for longer than a second
	// and still run: at most one command, and at most 16 queries. While one runs, the
	// member applies nothing else. Each is logged, but at most one a minute, and counted in
	// the metric mosaik.groups.machine.slow_calls.
	Slow []SlowCall
	// Ended is why this member's part in the group has ended, or [ErrClosed] once this
	// handle was closed, for instance by [Group.Leave]; nil while it continues.
	Ended error
}

// SlowCall is a call of the machine that runs long.
type SlowCall struct {
	Doing string // "apply" or "query"
	// Type is the type of the command or query, or the name of the function given to
	// [Read]; "" if the command was over when it was looked at.
	Type string
	// Index is the command's index, or of a query the index of the last command that it
	// reads. Where a machine applies batches, it is the first of the log entry.
	Index sm.Index
	// Since is when the call was first seen to run. It began at most half a second before.
	Since time.Time
	// For is how long the call had run by then: the time since Since.
	For time.Duration
}

// Member is one member of the group as this one sees it.
type Member struct {
	Peer        PeerID
	Incarnation Incarnation // zero if it was not reached yet
	Voter       bool        // counts for quorums; the others are spares or observers
	Observer    bool        // never becomes a voter
	Reluctant   bool        // leads only if nobody else can
	Leaving     bool        // wants to be removed
	CaughtUp    bool        // was level with the leader when it last said so
	Bonded      bool        // reachable from here, or this very member
	Durable     bool        // its log outlives its process; false while it is not bonded
	// Level is the highest level of the machine's schema that its program supports,
	// from 1; 0 while it is not bonded.
	Level uint32
	// LastSeen is when the last bond with it ended, zero while it is reachable
	// and if it never was.
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
		Poisoned, Snapshot, Outdated, Ended *string
	}{fields(s), text(s.Poisoned), text(s.Snapshot), text(s.Outdated), text(s.Ended)})
}

// Status returns what this member knows about the group now. Once the handle was
// closed, that is only Ended.
func (g *Group[C, M]) Status() Status { return g.joined.describe(g.status()) }

// Members returns the members that belong to the group: voters first, then the
// others. It is empty until the group has formed.
func (g *Group[C, M]) Members() []Member { return g.Status().Members }

// Statuses yields the status, then each later one. Round-trip times,
// addresses and links alone are no change. It ends with ctx or with the group. A consumer
// that is slow misses statuses in between, never the last.
func (w When) Statuses(ctx context.Context) iter.Seq[Status] {
	return func(yield func(Status) bool) {
		for s := range w.joined.core.Status().All(ctx) {
			if w.closed.Load() || !yield(w.joined.describe(s)) {
				return
			}
		}
	}
}

// describe adds what the network knows about the members.
func (j *joined) describe(s group.Status) Status {
	out := Status{
		Epoch: s.Epoch, Recovered: s.Recovered, Leader: s.Leader, Term: s.Term, Level: s.Level, Accepts: s.Opened,
		Online: s.Online, Settled: s.Settled, Stalled: s.Stalled,
		Waits: s.Waits, Apart: slices.Clone(s.Apart), Refused: slices.Clone(s.Refused), Poisoned: s.Poisoned, Snapshot: s.Snapshot, Outdated: s.Outdated,
		Mismatch: j.mismatch(), Ended: s.Ended,
	}
	out.Ghosts = slices.Clone(s.Ghosts)
	for _, c := range s.Slow {
		out.Slow = append(out.Slow, SlowCall{c.Doing, c.Type, c.Index, c.Since, time.Since(c.Since)})
	}
	if out.Mismatch != nil && out.Waits != "" {
		out.Waits += "; " + out.Mismatch.String()
	}
	out.Links = j.links(s)
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
			Peer: m.Peer, Incarnation: m.Incarnation, Voter: m.Voter, Observer: m.Observer, Reluctant: m.Reluctant,
			Leaving: m.Leaving, CaughtUp: m.CaughtUp, Bonded: m.Bonded, Durable: m.Durable, Level: m.Level, LastSeen: m.LastSeen,
			RTT: rtts[m.Peer], Addrs: slices.Clone(j.net.entry(m.Peer).Addrs),
		}
	}
	return out
}

// entry returns what is known of a peer, this one included.
func (n *Network) entry(peer PeerID) discovery.Signed {
	if self := n.catalog.Self(); self.Peer == peer {
		return self
	}
	e, _ := n.bonds.Entry(peer)
	return e
}
