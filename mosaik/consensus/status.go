package consensus

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// Status is what a member knows about its group at one moment. A Status that Group.Status or a wait
// returned belongs to the caller and can be kept and changed.
type Status struct {
	Epoch      Epoch     // zero before the group formed
	Recoveries int       // how often the group was recovered (Group.Recover)
	Leader     sm.PeerID // zero for none; it may lead a group that is still forming
	Term       sm.Term   // of Raft
	Level      uint32    // the active level of the machine's schema, from 1; 0 before the group formed

	AcceptsCommands bool // the group has formed, and a majority of the expected members belongs to it
	Online          bool // this member can serve: see When.Online
	Settled         bool // the group is complete: see When.Settled
	Stalled         bool // there is no leader, and none can be elected
	// Waits is what this member waits for to be online or settled, "" for nothing. It is text for
	// people and may change.
	Waits string

	// Diverged are other epochs of the group that hold commands, as this one does. They remain
	// separate until one is given up by Group.Yield.
	Diverged []Epoch
	// Members are the members of the group, voters first; empty until it has formed.
	Members []Member
	// Ghosts are voters that cannot be reached and still count for quorums: those that were missed
	// for longer than the grace or are known not to come back, and all missed voters while
	// there is no quorum.
	Ghosts []Ghost
	// LinkErrors describes by peer what is wrong with the connections to peers that have a bond
	// with this member; nil for nothing. It is text for people and may change.
	LinkErrors map[sm.PeerID]string
	// Refused are peers that have no bond with this member because one side refused it, with
	// the last reason; at most 32, since any process may try.
	Refused []RefusedError
	// Mismatch is not nil while connected peers are in other groups and none of them is in
	// this one. When.Statuses does not report changes of it alone.
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
	// Ended is why the group has ended on this member, or mosaik.ErrClosed once the handle was
	// closed, for instance by Group.Leave; nil while the group runs.
	Ended error
}

// MarshalJSON implements [json.Marshaler]: an object of the fields, with ids, epochs, incarnations,
// codes and errors as text, and null for no error.
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

// Member is one member of a group, as the member that reports it knows it.
type Member struct {
	Peer        sm.PeerID
	Incarnation Incarnation // zero if it has not been reached yet
	Voter       bool        // counts for quorums; the others are spares or observers
	Observer    bool        // never becomes a voter
	Reluctant   bool        // leads only if no other member can
	Leaving     bool        // has asked to be removed
	CaughtUp    bool        // had applied as much as the leader when it last reported
	Bonded      bool        // can be reached, or is the reporting member itself
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

// Ghost is a voter that cannot be reached and still counts for quorums, because only the voters
// together can change the set of voters. Gone and Cost are text for people and may change.
type Ghost struct {
	Peer  sm.PeerID
	Since time.Time // when its last bond with the reporting member ended, or when it was first missed
	Gone  string    // how it is known that it does not come back as the same replica, "" if it is not known
	Cost  string    // what the group can bear while the ghost counts, and what an operator can do
}

// SlowCall is a call of the machine that has been running for longer than a second.
type SlowCall struct {
	Doing string // "apply" or "query"
	// Type is the type of the command or query, or the name of the function given to mosaik.Read;
	// "" if the command had returned when its type was asked for.
	Type string
	// Index is the command's index, or for a query the index of the last command that it
	// reflects. Where a machine applies batches, it is the first one of the log entry.
	Index sm.Index
	// Since is when the call was first seen. It began at most half a second before.
	Since time.Time
	// For is the time from Since to the status.
	For time.Duration
}

// Mismatch reports that connected peers are in other groups than this process, and that none of
// them is in this group. Often they differ in one of the things from which a group's id is derived.
// It is no error: the peers may be in other groups on purpose.
type Mismatch struct {
	Peers  int         // connected peers in groups that this process has not joined
	Groups []sm.Digest // these groups, ascending, at most 16
}

// mayDiffer names everything from which a group's id is derived.
const mayDiffer = "the group key, the machine (name, version, commands, snapshots), " +
	"the heartbeat settings of the consensus config, or the ticket validators and their order"

// String describes the mismatch for people, and names what may differ.
func (m Mismatch) String() string {
	groups := make([]string, len(m.Groups))
	for i, g := range m.Groups {
		groups[i] = g.Short()
	}
	return fmt.Sprintf("%d connected peers announce other groups (%s) and none announces this one; what may differ: %s",
		m.Peers, strings.Join(groups, ", "), mayDiffer)
}

// Bond is a live, authenticated connection to another member of the group, or to a peer that is
// about to become one.
type Bond struct {
	Peer  sm.PeerID
	Since time.Time
	// RTT is the last measured round-trip time, 0 before the first measurement.
	RTT time.Duration
}

// Leadership is a member's claim to lead.
type Leadership struct {
	Epoch Epoch
	// Token is the fencing token. It grows with each new leader of the group, also across
	// Group.Recover, and also when all members ended and others form the group again. A
	// leader should send it with everything that it does outside of the group, and the
	// resource should refuse a token below the highest one that it has seen: a leader that
	// was replaced does not know it at once.
	//
	// A group that forms again starts with the time of its founder's clock, in microseconds.
	// Where clocks may be wrong, give the members the highest token that the resource has
	// seen (GroupBuilder.WithTokenFloor). Tokens of two epochs that formed independently
	// cannot be compared until the epochs have met and one was given up. Tokens fit into 53
	// bits as long as clocks are right.
	Token uint64
}
