package transport

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/snapstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// The replicas of these tests. The own one, the leader and another one are voters; there is one
// of each other standing.
const (
	ownReplica, theLeader, aVoter, aSpare, aStranger, oneRemoved = 1, 2, 3, 4, 5, 6
	ownTerm                                                      = 7
)

// receiving is a replica that receives messages, with a clock.
type receiving struct {
	t      testing.TB
	ep     *Endpoint
	owner  *owner
	router *raftlog.Router
	now    time.Time
}

func newReceiving(t testing.TB) *receiving {
	t.Helper()
	b := &receiving{t: t, owner: &owner{}, router: raftlog.NewRouter(1), now: time.Now()}
	log, err := b.router.Register(enginetest.Shard, ownReplica, enginetest.MemoryLog(t), nil, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	b.ep = &Endpoint{Shard: enginetest.Shard, Replica: ownReplica, Election: time.Second, Log: log, Owner: b.owner}
	b.save(pb.Update{Snapshot: pb.Snapshot{Index: 9, Term: 3, Membership: pb.Membership{ConfigChangeId: 9,
		Addresses:  map[uint64]string{ownReplica: "a", theLeader: "b", aVoter: "c"},
		NonVotings: map[uint64]string{aSpare: "d"}, Removed: map[uint64]bool{oneRemoved: true}}}})
	b.save(pb.Update{State: pb.State{Term: ownTerm, Commit: 10}, EntriesToSave: []pb.Entry{{Index: 10, Term: 3}}})
	return b
}

// save saves an update as dragonboat does.
func (b *receiving) save(u pb.Update) {
	b.t.Helper()
	u.ShardID, u.ReplicaID = enginetest.Shard, ownReplica
	if err := b.router.SaveRaftState([]pb.Update{u}, 0); err != nil {
		b.t.Fatal(err)
	}
}

// follow makes the leader send a heartbeat.
func (b *receiving) follow() *receiving {
	b.takes(theLeader, pb.Message{Type: pb.Heartbeat, Term: ownTerm})
	return b
}

func (b *receiving) takes(from uint64, m pb.Message) bool {
	m.From = from
	return b.ep.accepts(sm.PeerID{byte(from)}, &m, b.now)
}

// TestTakes has replicas of each standing send each type of message, with older, current, later
// and distant terms, while there is a leader.
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

// TestTakesFromANewLeader has leaders send to a replica that knows less than they do.
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
	if err := b.router.RemoveNodeData(enginetest.Shard, ownReplica); err != nil {
		b.t.Fatal(err)
	}
	b.save(pb.Update{State: pb.State{Term: ownTerm}})
	return b
}

func changeEntry(c pb.ConfigChange, index uint64) pb.Entry {
	return pb.Entry{Type: pb.ConfigChangeEntry, Index: index, Term: ownTerm, Cmd: enginetest.Marshal(&c)}
}

// TestTermsOfReplicasWithoutAVote has a spare end terms while there is a leader. It may do so at
// intervals, because it may have believed a lie.
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
		b.ep.accepts(sm.PeerID{}, &vote, b.now)
		if vote.Hint != 0 {
			t.Errorf("round %d: its candidacy counts as one that the leader asked for", i)
		}
		b.wait(reliefEvery * b.ep.Election).follow()
	}
	leader := newReceiving(t)
	leader.owner.leader, leader.owner.term = ownReplica, ownTerm
	leader.takes(aSpare, noop)
	if leader.takes(aSpare, noop) {
		t.Error("a leader is deposed twice at once")
	}
	answer := pb.Message{Type: pb.HeartbeatResp, Term: ownTerm, From: aSpare, Hint: 5, HintHigh: 6}
	leader.ep.accepts(sm.PeerID{}, &answer, b.now)
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

// TestChangesBehindAnOpenOne has a leader send two membership changes of which neither is known to
// be committed. dragonboat panics when it becomes a leader with two.
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
		"behind one in flight":             {before: new(appendTo(10, 10, at(11))), m: appendTo(11, 10, at(12))},
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

// TestSnapshotsAreTheLeaders has peers send the beginning of a snapshot, which a replica
// with a disk keeps, to be accepted by Raft in any term and from any member.
func TestSnapshotsAreTheLeaders(t *testing.T) {
	t.Parallel()
	s := newSender(t)
	peer, self := sm.PeerID{9}, sm.PeerID{1}
	s.Admit(enginetest.Shard, peer, 9)
	s.Bind(enginetest.Shard, 1, self)
	storage := enginetest.LogWithDir{Log: enginetest.MemoryLog(t), Dir: t.TempDir()}
	var err error
	if s.ep.Snapshots, err = snapstore.NewFS().OpenLog(storage, enginetest.Shard, 1, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	saved := pb.Update{ShardID: enginetest.Shard, ReplicaID: 1, State: pb.State{Term: 7}, Snapshot: pb.Snapshot{Index: 9, Term: 3,
		Membership: pb.Membership{ConfigChangeId: 9, Addresses: map[uint64]string{1: self.String()}}}}
	if err := s.router.SaveRaftState([]pb.Update{saved}, 0); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		leader uint64
		spoil  func(*pb.Chunk)
		want   bool
	}{
		"from the leader":             {9, func(*pb.Chunk) {}, true},
		"while another leads":         {2, func(*pb.Chunk) {}, false},
		"while nobody leads":          {0, func(*pb.Chunk) {}, false},
		"of a later term":             {9, func(c *pb.Chunk) { c.Term = 1 << 20 }, false},
		"that takes a voter's vote":   {9, func(c *pb.Chunk) { c.Membership.NonVotings = map[uint64]string{1: self.String()} }, false},
		"with the replica of another": {9, func(c *pb.Chunk) { c.Membership.Addresses = map[uint64]string{1: peer.String()} }, false},
	} {
		claims := &s.ep.claims
		claims.term, claims.leader, claims.heard = s.ep.Log.Term(), c.leader, time.Now()
		r := snapshotReceiver{transport: s.Transport, from: peer}
		chunk := enginetest.Chunk(peer)
		c.spoil(&chunk)
		before := s.chunks
		if err := r.receive(chunk); err == nil { // dragonboat refuses it in any case
			t.Errorf("%s: accepted", what)
		}
		if kept, handed := r.incoming != nil, s.chunks > before; kept != c.want || handed != c.want {
			t.Errorf("%s: kept: %v, handed to dragonboat: %v, want both %v", what, kept, handed, c.want)
		}
		r.close()
	}
	if err := s.ep.Snapshots.Finish(); err != nil {
		t.Error(err)
	}
}

// TestLimitCommit has heartbeats carry a commit index above the one in the log.
func TestLimitCommit(t *testing.T) {
	t.Parallel()
	b := newReceiving(t).follow()
	b.save(pb.Update{EntriesToSave: []pb.Entry{{Index: 11, Term: ownTerm}}})
	for commit, want := range map[uint64]*pb.Message{
		9: nil, 10: nil, 12: nil, wire.MaxIndex: nil,
		11: {Type: pb.Replicate, ShardID: enginetest.Shard, From: theLeader, To: ownReplica, Term: ownTerm, LogIndex: 11, LogTerm: ownTerm, Commit: 11},
	} {
		m := pb.Message{Type: pb.Heartbeat, ShardID: enginetest.Shard, From: theLeader, To: ownReplica, Term: ownTerm, Commit: commit}
		a, ok := b.ep.limitCommit(sm.PeerID{}, &m)
		if ok != (want != nil) || ok && !bytes.Equal(enginetest.Marshal(&a), enginetest.Marshal(want)) || m.Commit != min(commit, 10) {
			t.Errorf("a heartbeat that commits %d becomes one of %d and %+v, want %+v", commit, m.Commit, a, want)
		}
	}
}
