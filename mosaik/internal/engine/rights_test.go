package engine

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// TestSingleMessagesDoNoLastingHarm has an admitted peer of each standing send, to a leader
// and to a follower, messages of which each did: dragonboat ends the process over some.
func TestSingleMessagesDoNoLastingHarm(t *testing.T) {
	t.Parallel()
	for _, standing := range []raftlog.Standing{raftlog.Unknown, raftlog.NonVoting, raftlog.Voter, raftlog.Removed} {
		t.Run(fmt.Sprint("standing=", standing), func(t *testing.T) {
			t.Parallel()
			g := newGroup(t, 3, nil)
			a := newAdversary(t, g.nodes[0])
			for _, n := range g.nodes {
				n.engine.Admit(shard, a.peer, 9)
			}
			switch standing {
			case raftlog.NonVoting:
				addNonVoting(t, g.replicas[0], &node{peer: a.peer}, 9)
			case raftlog.Voter:
				addNonVoting(t, g.replicas[0], &node{peer: a.peer}, 9)
				promote(t, g.replicas[0], a.peer, 9)
			case raftlog.Removed:
				addNonVoting(t, g.replicas[0], &node{peer: a.peer}, 9)
				remove(t, g.replicas[0], 9)
			}
			must(t, g.replicas[0], "before")
			members, err := g.replicas[0].Membership(enginetest.Within(t))
			if err != nil {
				t.Fatal(err)
			}
			_, term, _ := g.replicas[0].Leader()
			for _, m := range harmful(uint64(term), a.peer) {
				for i, victim := range g.nodes[:2] {
					m.ShardID, m.From, m.To = shard, 9, uint64(i+1)
					a.t, a.victim = t, victim
					c := a.dial(link.Raft)
					if err := c.WriteFrame(wire.FrameBatch, enginetest.Frame(m)); err != nil {
						t.Fatal(err)
					}
					c.WriteFrame(wire.FrameBatch, []byte("the end")) // so that the message was read
					enginetest.WantHangUp(t, c)
				}
			}
			g.unharmed(t, term, members)
		})
	}
}

// harmful returns messages of which each harmed a group for good.
func harmful(term uint64, peer sm.PeerID) map[string]pb.Message {
	entry := func(term, index uint64) pb.Entry { return pb.Entry{Term: term, Index: index} }
	proposal := func(e pb.Entry) pb.Message { return pb.Message{Type: pb.Propose, Entries: []pb.Entry{e}} }
	ghost := sm.PeerID{0xee}.String()
	foreign := enginetest.Change(pb.AddNonVoting, 9, ghost)
	foreign.Key = 0
	odd := enginetest.Change(pb.AddNonVoting, 77, ghost)
	odd.ClientID = 77
	all := map[string]pb.Message{
		"a commit index of an old term":   {Type: pb.Heartbeat, Term: 1, Commit: wire.MaxIndex},
		"a commit index":                  {Type: pb.Heartbeat, Term: term, Commit: 1 << 40},
		"a commit index behind the end":   {Type: pb.Replicate, Term: term, LogIndex: 1 << 40, Commit: 1 << 40},
		"entries behind the end":          {Type: pb.Replicate, Term: term, LogIndex: 1 << 40, Entries: []pb.Entry{entry(term, 1<<40+1)}},
		"an acknowledgment":               {Type: pb.ReplicateResp, Term: term, LogIndex: math.MaxUint64},
		"a transfer to nobody":            {Type: pb.LeaderTransfer},
		"a change of the membership":      proposal(enginetest.Change(pb.AddNode, 77, ghost)),
		"a removal":                       proposal(enginetest.Change(pb.RemoveNode, 3, "")),
		"a replica of another peer":       proposal(foreign),
		"a change that no log can hold":   proposal(odd),
		"an entry that no log can hold":   {Type: pb.Replicate, Term: term, LogIndex: 1, LogTerm: 1, Entries: []pb.Entry{{Term: term, Index: 2, RespondedTo: 1}}},
		"a second leader of the term":     {Type: pb.Replicate, Term: term, LogIndex: 1, LogTerm: 1, Entries: []pb.Entry{entry(1, 2), entry(1, 3)}, Commit: 3},
		"a read at an index":              {Type: pb.ReadIndexResp, Term: term, LogIndex: wire.MaxIndex},
		"a rejection":                     {Type: pb.ReplicateResp, Term: term, Reject: true, LogIndex: wire.MaxIndex, Hint: math.MaxUint64},
		"a vote for a candidate":          {Type: pb.RequestVote, Term: 1 << 50, LogTerm: 1 << 49, LogIndex: wire.MaxIndex},
		"a candidacy ahead of its leader": {Type: pb.RequestVote, Term: 1 << 50, Hint: 9},
	}
	for typ := pb.MessageType(0); typ < 64; typ++ {
		if wire.Travels(typ) && !wire.IsTermless(typ) {
			for _, term := range []uint64{math.MaxUint64, math.MaxUint64 - 1, 1 << 63, wire.MaxTerm, 1 << 40} {
				all[fmt.Sprintf("%s of term %d", typ, term)] = pb.Message{Type: typ, Term: term, Reject: true}
			}
		}
	}
	return all
}

// promote makes a voter of a replica that has not caught up.
func promote(t testing.TB, leader *Replica, peer sm.PeerID, id uint64) {
	t.Helper()
	m, err := leader.Membership(enginetest.Within(t))
	if err != nil {
		t.Fatal(err)
	}
	lead(t, leader, leader.id)
	if err := leader.Promote(enginetest.Within(t), m.ChangeID, id, peer); err != nil {
		t.Fatal(err)
	}
}

// TestMembersAreThoseOfDragonboat makes changes of which some are rejected, and compares
// what the log tells with what dragonboat does.
func TestMembersAreThoseOfDragonboat(t *testing.T) {
	t.Parallel()
	r := alone(t, newRecorder(), func(c *ReplicaConfig) { c.SnapshotEvery = 7 })
	l := r.engine.logs.Find(shard, 1)
	peer := func(i uint64) sm.PeerID { return sm.PeerID{byte(i)} }
	ctx, accepted := enginetest.Within(t), 0
	for i := range uint64(120) {
		m, err := r.Membership(ctx)
		if err != nil {
			t.Fatal(err)
		}
		held, ok := l.Held()
		if !ok {
			t.Fatalf("after %d changes the log tells no membership", i)
		}
		for id := range uint64(8) {
			want := raftlog.Unknown
			if _, ok := m.Removed[id]; ok {
				want = raftlog.Removed
			} else if _, ok := m.Voters[id]; ok {
				want = raftlog.Voter
			} else if _, ok := m.NonVoting[id]; ok {
				want = raftlog.NonVoting
			}
			if got := l.Standing(id); got != want {
				t.Fatalf("after %d changes replica %d has standing %d, want %d", i, id, got, want)
			}
		}
		if held.ChangeID != m.ChangeID {
			t.Fatalf("after %d changes the last is at %d, want %d", i, held.ChangeID, m.ChangeID)
		}
		id, stale := 2+i%6, m.ChangeID-i%2*(i%5)
		switch (i * 7 / 3) % 3 {
		case 0:
			err = r.AddNonVoting(ctx, stale, id, peer(id-i%4/3))
		case 1:
			err = r.Remove(ctx, stale, id-i%3/2)
		case 2:
			must(t, r, "between changes")
		}
		if err == nil {
			accepted++
		}
	}
	if accepted < 40 || accepted == 120 {
		t.Errorf("of 120 changes %d are accepted, want some and not all", accepted)
	}
}

// TestCommitOfTruncatedEntries has a leader that a joiner believes replace entries, and
// commit the last of those that were replaced: dragonboat ends the process over that.
func TestCommitOfTruncatedEntries(t *testing.T) {
	t.Parallel()
	n := cluster(t, 1)[0]
	rec, there := newRecorder(), make(chan struct{})
	r := n.start(1, rec, false, func(c *ReplicaConfig) { c.Log = reaching{c.Log, 20, there} })
	a := newAdversary(t, n)
	n.engine.Admit(shard, a.peer, 9)
	c := a.dial(link.Raft)
	appends := func(term, last uint64) pb.Message {
		m := pb.Message{Type: pb.Replicate, ShardID: shard, From: 9, To: 1, Term: term}
		for i := range last {
			m.Entries = append(m.Entries, pb.Entry{Index: i + 1, Term: term})
		}
		return m
	}
	if err := c.WriteFrame(wire.FrameBatch, enginetest.Frame(appends(5, 20))); err != nil {
		t.Fatal(err)
	}
	<-there
	commit := pb.Message{Type: pb.Heartbeat, ShardID: shard, From: 9, To: 1, Term: 6, Commit: 20}
	if err := c.WriteFrame(wire.FrameBatch, enginetest.Frame(appends(6, 1), commit)); err != nil {
		t.Fatal(err)
	}
	// A replica that still answers has taken what came before.
	c.WriteFrame(wire.FrameBatch, []byte("the end"))
	enginetest.WantHangUp(t, c)
	if err := r.settle(); err != nil {
		t.Fatal(err)
	}
}

// TestPromotionsAreThoseOfDragonboat draws changes of a group of three, promotions and
// removals of voters that never start among them, and compares what each log tells with
// what dragonboat does. At most one voter is dead at a time, so that changes can be
// committed.
func TestPromotionsAreThoseOfDragonboat(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3, nil)
	leader := g.replicas[0]
	peer := func(i uint64) sm.PeerID { return sm.PeerID{200, byte(i)} }
	r := rand.New(rand.NewPCG(1, 2))
	outcomes := map[string]int{}
	for i := range 150 {
		must(t, leader, fmt.Sprint("change ", i)) // so that all changes before it are applied here
		m, err := leader.Membership(enginetest.Within(t))
		if err != nil {
			t.Fatal(err)
		}
		first := 4 + uint64(i)/12 // removed replicas never come back
		id, change := first+r.Uint64N(4), m.ChangeID
		if r.IntN(6) == 0 {
			change -= r.Uint64N(3)
		}
		lead(t, leader, 1)
		what := "add"
		switch op := r.IntN(5); {
		case op < 2:
			err = leader.AddNonVoting(enginetest.Within(t), change, id, peer(id))
		case op < 4 && len(m.Voters) == 3:
			what = "promote"
			err = leader.Promote(enginetest.Within(t), change, id, peer(id))
		default:
			what = "remove"
			err = leader.Remove(enginetest.Within(t), change, id)
		}
		switch {
		case err == nil:
			outcomes[what+" accepted"]++
		case errors.Is(err, ErrRejected):
			outcomes[what+" rejected"]++
		}
		must(t, leader, fmt.Sprint("after change ", i))
		if m, err = leader.Membership(enginetest.Within(t)); err != nil {
			t.Fatal(err)
		}
		held, ok := leader.Held()()
		if !ok {
			t.Fatalf("after change %d the log tells no membership", i)
		}
		if diff := cmp.Diff(m, held.Membership); diff != "" {
			t.Fatalf("after change %d, %s of replica %d at %d (%v), the log tells (-want +got):\n%s", i, what, id, change, err, diff)
		}
	}
	for _, what := range []string{"add accepted", "add rejected", "promote accepted", "promote rejected", "remove accepted", "remove rejected"} {
		if outcomes[what] == 0 {
			t.Errorf("nothing was drawn whose outcome is %q: %v", what, outcomes)
		}
	}
}

// unharmed checks that a group is as it was: its members, its commands and about its term.
func (g *group) unharmed(t *testing.T, term sm.Term, members Membership) {
	t.Helper()
	for i, r := range g.replicas {
		must(t, r, fmt.Sprint("after ", i))
		if err := r.ended(); err != nil {
			t.Errorf("replica %d ended: %v", i+1, err)
		}
	}
	now, err := g.replicas[0].Membership(enginetest.Within(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(members, now); diff != "" {
		t.Errorf("the membership changed (-before +after):\n%s", diff)
	}
	for i, r := range g.replicas {
		if _, now, _ := r.Leader(); now > term+1000 {
			t.Errorf("replica %d is in term %d, after %d", i+1, now, term)
		}
	}
}

// reaching is a log that tells when it holds an entry.
type reaching struct {
	logstore.Log
	index sm.Index
	there chan struct{}
}

func (r reaching) Save(b logstore.Batch) error {
	err := r.Log.Save(b)
	if n := len(b.Entries); n > 0 && b.Entries[n-1].Index == r.index {
		close(r.there)
	}
	return err
}
