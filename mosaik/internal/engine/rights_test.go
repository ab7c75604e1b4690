package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// The replicas of the unit tests of rights: the own one is a voter, as are the leader and
// another; there is one of each other kind.
const (
	ownReplica, theLeader, aVoter, aSpare, aStranger, oneRemoved = 1, 2, 3, 4, 5, 6
	ownTerm                                                      = 7
)

// receiving is a replica that receives messages, with a clock.
type receiving struct {
	t      testing.TB
	r      *Replica
	router *raftlog.Router
	l      *raftlog.Log
	now    time.Time
}

func newReceiving(t testing.TB) *receiving {
	t.Helper()
	b := &receiving{t: t, r: &Replica{id: ownReplica, election: time.Second}, router: raftlog.NewRouter(1), now: time.Now()}
	b.r.leader.reign = make(chan struct{})
	var err error
	if b.l, err = b.router.Register(shard, ownReplica, enginetest.MemoryLog(t), nil, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	b.save(pb.Update{Snapshot: pb.Snapshot{Index: 9, Term: 3, Membership: pb.Membership{ConfigChangeId: 9,
		Addresses:  map[uint64]string{ownReplica: "a", theLeader: "b", aVoter: "c"},
		NonVotings: map[uint64]string{aSpare: "d"}, Removed: map[uint64]bool{oneRemoved: true}}}})
	b.save(pb.Update{State: pb.State{Term: ownTerm, Commit: 10}, EntriesToSave: []pb.Entry{{Index: 10, Term: 3}}})
	return b
}

// save saves what dragonboat would.
func (b *receiving) save(u pb.Update) {
	b.t.Helper()
	u.ShardID, u.ReplicaID = shard, ownReplica
	if err := b.router.SaveRaftState([]pb.Update{u}, 0); err != nil {
		b.t.Fatal(err)
	}
}

// follow makes the leader speak.
func (b *receiving) follow() *receiving {
	b.takes(theLeader, pb.Message{Type: pb.Heartbeat, Term: ownTerm})
	return b
}

func (b *receiving) takes(from uint64, m pb.Message) bool {
	m.From = from
	return b.r.takes(b.l, sm.PeerID{byte(from)}, &m, b.now)
}

// TestTakes has replicas of each standing send each type of message with terms of each
// kind, while there is a leader.
func TestTakes(t *testing.T) {
	t.Parallel()
	everybody := []uint64{theLeader, aVoter, aSpare, aStranger, oneRemoved}
	members := []uint64{theLeader, aVoter, aSpare, aStranger}
	voters := []uint64{theLeader, aVoter}
	const soon, far = ownTerm + 1, ownTerm + maxTermStep + 1
	for typ := pb.MessageType(0); typ < 64; typ++ {
		for _, term := range []uint64{0, ownTerm - 1, ownTerm, soon, far} {
			if !wire.Travels(typ) || (term == 0) != wire.IsTermless(typ) {
				continue
			}
			want := members
			switch {
			case typ == pb.LeaderTransfer:
				want = voters
			case term == far:
				want = nil
			case isFromLeader(typ) && term == ownTerm:
				want = []uint64{theLeader}
			case isFromLeader(typ) && term == soon:
				want = voters
			}
			var got []uint64
			for _, from := range everybody {
				if newReceiving(t).follow().takes(from, pb.Message{Type: typ, Term: term}) {
					got = append(got, from)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s of term %d is taken from (-want +got):\n%s", typ, term, diff)
			}
		}
	}
}

// TestTakesFromANewLeader has leaders speak to a replica that knows less than they.
func TestTakesFromANewLeader(t *testing.T) {
	t.Parallel()
	heartbeat := func(term uint64) pb.Message { return pb.Message{Type: pb.Heartbeat, Term: term} }
	for what, c := range map[string]struct {
		b    *receiving
		from uint64
		term uint64
	}{
		"after a restart, the leader of its term":            {newReceiving(t), theLeader, ownTerm},
		"after a restart, one promoted since":                {newReceiving(t), aSpare, ownTerm},
		"after a restart, one added since":                   {newReceiving(t), aStranger, ownTerm + 100},
		"while another leads, a voter of the next term":      {newReceiving(t).follow(), aVoter, ownTerm + 1},
		"when the leader is silent, one promoted since":      {newReceiving(t).follow().wait(time.Second), aSpare, ownTerm + 1},
		"when the leader is silent, one added since":         {newReceiving(t).follow().wait(time.Second), aStranger, ownTerm + 1},
		"a voter, after one without a vote claimed its term": {newReceiving(t).claim(aSpare), theLeader, ownTerm},
		"another, when the one that claimed it is silent":    {newReceiving(t).claim(aVoter).wait(time.Second), theLeader, ownTerm},
		"anybody, to one that knows no members":              {newReceiving(t).blank(), aStranger, ownTerm},
	} {
		if !c.b.takes(c.from, heartbeat(c.term)) {
			t.Errorf("%s: refused", what)
		}
		if !c.b.takes(c.from, heartbeat(c.term)) {
			t.Errorf("%s: refused when it speaks again", what)
		}
	}
	// A promotion that the log holds and that is not committed counts.
	b := newReceiving(t).follow()
	promotion := changeEntry(pb.ConfigChange{Type: pb.AddNode, ReplicaID: aSpare, Address: "d", ConfigChangeId: 9}, 11)
	b.save(pb.Update{EntriesToSave: []pb.Entry{promotion}})
	if !b.takes(aSpare, heartbeat(ownTerm+1)) {
		t.Error("one that is about to be promoted: refused")
	}
}

func (b *receiving) wait(d time.Duration) *receiving { b.now = b.now.Add(d); return b }
func (b *receiving) claim(by uint64) *receiving {
	b.takes(by, pb.Message{Type: pb.Heartbeat, Term: ownTerm})
	return b
}

// blank empties the log.
func (b *receiving) blank() *receiving {
	if err := b.router.RemoveNodeData(shard, ownReplica); err != nil {
		b.t.Fatal(err)
	}
	b.save(pb.Update{State: pb.State{Term: ownTerm}})
	return b
}

func changeEntry(c pb.ConfigChange, index uint64) pb.Entry {
	return pb.Entry{Type: pb.ConfigChangeEntry, Index: index, Term: ownTerm, Cmd: enginetest.Marshal(&c)}
}

// TestTermsOfReplicasWithoutAVote has a spare end terms while there is a leader: now and
// then it may, since it may have believed a lie.
func TestTermsOfReplicasWithoutAVote(t *testing.T) {
	t.Parallel()
	b := newReceiving(t).follow()
	noop := pb.Message{Type: pb.NoOP, Term: ownTerm + 1}
	vote := pb.Message{Type: pb.RequestVote, Term: ownTerm + 1, From: aSpare, Hint: aSpare}
	for i := range 3 {
		if !b.takes(aSpare, noop) {
			t.Errorf("round %d: it is not freed", i)
		}
		if b.takes(aSpare, noop) || b.takes(aStranger, noop) {
			t.Errorf("round %d: another term is ended at once", i)
		}
		if !b.takes(aVoter, noop) {
			t.Errorf("round %d: a voter is refused", i)
		}
		b.r.takes(b.l, sm.PeerID{}, &vote, b.now)
		if vote.Hint != 0 {
			t.Errorf("round %d: its candidacy counts as one that the leader asked for", i)
		}
		b.wait(reliefEvery * b.r.election).follow()
	}
	leader := newReceiving(t)
	leader.r.leader.set(ownReplica, ownTerm)
	leader.takes(aSpare, noop)
	if leader.takes(aSpare, noop) {
		t.Error("a leader is deposed twice at once")
	}
	answer := pb.Message{Type: pb.HeartbeatResp, Term: ownTerm, From: aSpare, Hint: 5, HintHigh: 6}
	leader.r.takes(leader.l, sm.PeerID{}, &answer, b.now)
	if answer.Hint != 0 || answer.HintHigh != 0 {
		t.Error("a replica without a vote confirms a read")
	}
}

// TestDistantTerms has peers send terms that are too far ahead.
func TestDistantTerms(t *testing.T) {
	t.Parallel()
	const far = wire.MaxTerm - 5
	heartbeat := pb.Message{Type: pb.Heartbeat, Term: far}
	b := newReceiving(t).follow()
	for range 3 {
		if b.takes(aVoter, heartbeat) {
			t.Fatal("one peer's word is taken")
		}
	}
	b.takes(theLeader, pb.Message{Type: pb.NoOP, Term: far / 2})
	if b.takes(aVoter, heartbeat) {
		t.Fatal("the word of another with another term is taken for a confirmation")
	}
	b.takes(theLeader, pb.Message{Type: pb.NoOP, Term: far + 2})
	if !b.takes(aVoter, heartbeat) {
		t.Error("two peers' word is not taken")
	}
}

// TestChangesBehindAnOpenOne has a leader say of two membership changes at once that they
// may not be committed. dragonboat panics on becoming leader with two.
func TestChangesBehindAnOpenOne(t *testing.T) {
	t.Parallel()
	at := func(index uint64) pb.Entry {
		return changeEntry(pb.ConfigChange{Type: pb.AddNonVoting, ReplicaID: 50 + index, Address: fmt.Sprint(index)}, index)
	}
	appendTo := func(index, commit uint64, entries ...pb.Entry) pb.Message {
		return pb.Message{Type: pb.Replicate, Term: ownTerm, LogIndex: index, LogTerm: ownTerm, Commit: commit, Entries: entries}
	}
	for what, c := range map[string]struct {
		before *pb.Message
		saved  []pb.Entry
		m      pb.Message
		want   bool
	}{
		"one":                              {m: appendTo(10, 10, at(11)), want: true},
		"two, the first committed":         {m: appendTo(10, 11, at(11), at(12)), want: true},
		"two":                              {m: appendTo(10, 10, at(11), at(12))},
		"behind one on its way":            {before: new(appendTo(10, 10, at(11))), m: appendTo(11, 10, at(12))},
		"behind one that is now committed": {before: new(appendTo(10, 10, at(11))), m: appendTo(11, 11, at(12)), want: true},
		"behind a saved one":               {saved: []pb.Entry{at(11)}, m: appendTo(11, 10, at(12))},
		"in place of a saved one":          {saved: []pb.Entry{at(11)}, m: appendTo(10, 10, at(11)), want: true},
		"the same again":                   {before: new(appendTo(10, 10, at(11))), m: appendTo(10, 10, at(11)), want: true},
	} {
		b := newReceiving(t).follow()
		if c.before != nil {
			b.takes(theLeader, *c.before)
		}
		if c.saved != nil {
			b.save(pb.Update{EntriesToSave: c.saved})
		}
		if got := b.takes(theLeader, c.m); got != c.want {
			t.Errorf("%s: taken: %v, want %v", what, got, c.want)
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
	l := r.engine.router.Find(shard, 1)
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

// TestSnapshotsAreTheLeaders has peers send the beginning of a snapshot, which a replica
// with a disk keeps, to be taken by Raft in any term and from anybody.
func TestSnapshotsAreTheLeaders(t *testing.T) {
	t.Parallel()
	r := alone(t, newRecorder(), func(c *ReplicaConfig) { c.Log = enginetest.LogWithDir{Log: c.Log, Dir: t.TempDir()} })
	e, peer := r.engine, sm.PeerID{9}
	e.Admit(shard, peer, 9)
	chunk := enginetest.Chunk(peer)
	for what, c := range map[string]struct {
		leader uint64
		spoil  func(*pb.Chunk)
		want   bool
	}{
		"from the leader":             {9, func(*pb.Chunk) {}, true},
		"while another leads":         {2, func(*pb.Chunk) {}, false},
		"while nobody leads":          {0, func(*pb.Chunk) {}, false},
		"of a later term":             {9, func(c *pb.Chunk) { c.Term = 1 << 20 }, false},
		"that takes a voter's vote":   {9, func(c *pb.Chunk) { c.Membership.NonVotings = map[uint64]string{1: e.self.String()} }, false},
		"with the replica of another": {9, func(c *pb.Chunk) { c.Membership.Addresses = map[uint64]string{1: peer.String()} }, false},
	} {
		r.believe(c.leader)
		in := intake{engine: e, from: peer}
		bad := chunk
		c.spoil(&bad)
		if err := in.receive(bad); err == nil { // the content is no snapshot
			t.Errorf("%s: dragonboat takes it", what)
		}
		if got := in.receipt != nil; got != c.want {
			t.Errorf("%s: kept: %v, want %v", what, got, c.want)
		}
		in.close()
	}
}

// TestLimitCommit has heartbeats commit more than is known to be committed.
func TestLimitCommit(t *testing.T) {
	t.Parallel()
	b := newReceiving(t).follow()
	b.save(pb.Update{EntriesToSave: []pb.Entry{{Index: 11, Term: ownTerm}}})
	for commit, want := range map[uint64]*pb.Message{
		9: nil, 10: nil, 12: nil, wire.MaxIndex: nil,
		11: {Type: pb.Replicate, ShardID: shard, From: theLeader, To: ownReplica, Term: ownTerm, LogIndex: 11, LogTerm: ownTerm, Commit: 11},
	} {
		m := pb.Message{Type: pb.Heartbeat, ShardID: shard, From: theLeader, To: ownReplica, Term: ownTerm, Commit: commit}
		a, ok := b.r.limitCommit(b.l, sm.PeerID{}, &m)
		if ok != (want != nil) || ok && !bytes.Equal(enginetest.Marshal(&a), enginetest.Marshal(want)) || m.Commit != min(commit, 10) {
			t.Errorf("a heartbeat that commits %d becomes one of %d and %+v, want %+v", commit, m.Commit, a, want)
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
// what dragonboat does. No more than one voter is dead at a time, or no change would be
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
