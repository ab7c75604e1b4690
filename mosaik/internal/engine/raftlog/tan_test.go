package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/plugin/tan"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/lni/vfs"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/logbridge"
	"github.com/mosaik-go/mosaik/sm"
)

// TestRouterAgainstTan compares the router on memory logs with dragonboat's own
// log database over random histories that Raft allows.
func TestRouterAgainstTan(t *testing.T) {
	t.Parallel()
	seeds, steps := uint64(30), 300
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			d := newDuel(t, seed)
			for d.step = range steps {
				d.act()
				d.compare(d.replicas[d.rng.IntN(len(d.replicas))])
			}
			for _, p := range d.replicas {
				d.compare(p)
			}
		})
	}
}

// duel runs the router and tan side by side.
type duel struct {
	*testing.T
	rng      *rand.Rand
	step     int
	router   *Router
	tan      raftio.ILogDB
	cfg      config.NodeHostConfig
	replicas []*duellist
	removed  bool // tan does not survive being reopened after RemoveNodeData
}

// duellist is one replica as dragonboat would know it: a model of LogReader.
type duellist struct {
	shard, replica uint64
	log            logstore.Log
	boot           bool
	state          pb.State
	promised       uint64 // commit index of the last state that has to outlive a restart
	snapshot       uint64
	marker         uint64 // entries are those with indices in [marker+1, last+1)
	terms          []uint64
	pruned         bool // through marker, or it is a snapshot's
}

func (d *duellist) last() uint64 { return d.marker + uint64(len(d.terms)) }

func newDuel(t *testing.T, seed uint64) *duel {
	logbridge.Install() // tan says much
	d := &duel{T: t, rng: rand.New(rand.NewPCG(seed, 1)), router: NewRouter(2)}
	d.cfg.Expert.FS = vfs.NewMem()
	d.cfg.Expert.LogDB = config.GetTinyMemLogDBConfig()
	d.cfg.Expert.LogDB.KVWriteBufferSize = 1 << 10
	d.openTan()
	t.Cleanup(func() { d.must(d.tan.Close()) })
	for i := range uint64(3) {
		p := &duellist{shard: 100 + i, replica: 10 + i, log: enginetest.MemoryLog(t)}
		d.replicas = append(d.replicas, p)
		d.register(p)
	}
	return d
}

func (d *duel) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatalf("step %d: %v", d.step, err)
	}
}

func (d *duel) register(p *duellist) {
	d.Helper()
	_, err := d.router.Register(p.shard, p.replica, p.log, nil, noFailure(d))
	d.must(err)
}

func (d *duel) openTan() {
	var err error
	d.tan, err = tan.Factory.Create(d.cfg, nil, []string{"/tan"}, []string{"/tan"})
	d.must(err)
}

// both makes the same call of both.
func (d *duel) both(call func(raftio.ILogDB) error) {
	d.Helper()
	d.must(call(d.router))
	d.must(call(d.tan))
}

func (d *duel) act() {
	p := d.replicas[d.rng.IntN(len(d.replicas))]
	if !p.boot {
		d.bootstrap(p)
		return
	}
	switch op := d.rng.IntN(100); {
	case op < 60:
		var updates []pb.Update
		for _, i := range d.rng.Perm(len(d.replicas))[:1+d.rng.IntN(len(d.replicas))] {
			if d.replicas[i].boot {
				updates = append(updates, d.update(d.replicas[i]))
			}
		}
		d.both(func(db raftio.ILogDB) error { return db.SaveRaftState(updates, 1+uint64(d.rng.IntN(4))) })
	case op < 75:
		d.takeSnapshot(p)
	case op < 90:
		d.prune(p)
	case op < 93:
		d.importSnapshot(p)
	case op < 95:
		d.remove(p)
	default:
		d.restart()
	}
}

func (d *duel) bootstrap(p *duellist) {
	boot := pb.Bootstrap{Join: d.rng.IntN(2) == 0, Type: pb.RegularStateMachine}
	if !boot.Join {
		boot.Addresses = map[uint64]string{p.replica: "here", 77: "there"}
	}
	d.both(func(db raftio.ILogDB) error { return db.SaveBootstrapInfo(p.shard, p.replica, boot) })
	p.boot = true
}

// update draws an update that Raft allows: entries that replace no committed ones, a state, a
// snapshot ahead of the commit index; any of them may be missing.
func (d *duel) update(p *duellist) pb.Update {
	u := pb.Update{ShardID: p.shard, ReplicaID: p.replica}
	term := max(p.state.Term, 1) + uint64(d.rng.IntN(3)/2)
	commit := p.state.Commit
	if d.rng.IntN(15) == 0 {
		commit += 1 + uint64(d.rng.IntN(30))
		// tan keeps what a snapshot should void, so one that falls within the
		// log comes with an entry that replaces the rest.
		inside := commit < p.last()
		u.Snapshot = d.snapshotOf(p, commit, term)
		p.snapshot, p.marker, p.pruned, p.terms = commit, commit, false, nil
		if inside {
			d.append(p, &u, term, commit+1, 1)
		}
	}
	if n := d.rng.IntN(6); n > 0 && len(u.EntriesToSave) == 0 {
		lo := p.last() + 1
		if floor := max(commit, p.marker) + 1; d.rng.IntN(4) == 0 && floor < lo {
			lo = floor + d.rng.Uint64N(lo-floor)
			term++
		}
		d.append(p, &u, term, lo, uint64(n))
	}
	commit += d.rng.Uint64N(p.last() - commit + 1)
	st := pb.State{Term: term, Vote: uint64(d.rng.IntN(3)), Commit: commit}
	if len(u.EntriesToSave) > 0 || u.Snapshot.Index > 0 || d.rng.IntN(2) == 0 {
		if len(u.EntriesToSave) > 0 || u.Snapshot.Index > 0 || st.Term != p.state.Term || st.Vote != p.state.Vote {
			p.promised = st.Commit
		}
		u.State, p.state = st, st
	}
	return u
}

func (d *duel) append(p *duellist, u *pb.Update, term, lo, n uint64) {
	u.EntriesToSave = raftEntries(term, lo, lo+n)
	p.terms = slices.Clone(p.terms[:lo-p.marker-1])
	for range n {
		p.terms = append(p.terms, term)
	}
}

func (d *duel) snapshotOf(p *duellist, index, term uint64) pb.Snapshot {
	return pb.Snapshot{
		Index: index, Term: term, ShardID: p.shard, Type: pb.RegularStateMachine,
		Filepath: fmt.Sprintf("/snapshots/%d", index), FileSize: d.rng.Uint64(), Checksum: []byte{1, 2, 3},
		Membership: pb.Membership{
			ConfigChangeId: index, Addresses: map[uint64]string{1: "a", 2: "b"}, Removed: map[uint64]bool{3: true},
			NonVotings: map[uint64]string{4: "d"}, Witnesses: map[uint64]string{},
		},
		Files: []*pb.SnapshotFile{{Filepath: "/file", FileSize: 9, FileId: 2, Metadata: []byte("m")}},
	}
}

// takeSnapshot saves the record of a snapshot at a committed entry.
func (d *duel) takeSnapshot(p *duellist) {
	if p.state.Commit <= p.snapshot || p.state.Commit <= p.marker {
		return
	}
	index := max(p.snapshot, p.marker) + 1 + d.rng.Uint64N(p.state.Commit-max(p.snapshot, p.marker))
	s := d.snapshotOf(p, index, p.terms[index-p.marker-1])
	d.both(func(db raftio.ILogDB) error {
		return db.SaveSnapshots([]pb.Update{{ShardID: p.shard, ReplicaID: p.replica, Snapshot: s}})
	})
	p.snapshot = index
}

// prune drops entries before the snapshot, as dragonboat does.
func (d *duel) prune(p *duellist) {
	if p.snapshot <= p.marker+1 {
		return
	}
	to := p.marker + 1 + d.rng.Uint64N(p.snapshot-p.marker-1)
	d.both(func(db raftio.ILogDB) error { return db.RemoveEntriesTo(p.shard, p.replica, to) })
	p.marker, p.pruned, p.terms = to, true, p.terms[to-p.marker:]
}

func (d *duel) importSnapshot(p *duellist) {
	term := p.state.Term + 1
	s := d.snapshotOf(p, p.last()+uint64(d.rng.IntN(5))+1, term)
	d.both(func(db raftio.ILogDB) error { return db.ImportSnapshot(s, p.replica) })
	p.snapshot, p.marker, p.pruned, p.terms = s.Index, s.Index, false, nil
	p.state, p.promised = pb.State{Term: term, Commit: s.Index}, s.Index
}

func (d *duel) remove(p *duellist) {
	d.both(func(db raftio.ILogDB) error { return db.RemoveNodeData(p.shard, p.replica) })
	*p = duellist{shard: p.shard, replica: p.replica, log: p.log}
	d.removed = true
}

// restart opens both on their saved state. The replicas start from their snapshots.
func (d *duel) restart() {
	if !d.removed {
		d.must(d.tan.Close())
		d.openTan()
	}
	for _, p := range d.replicas {
		d.router.Unregister(p.shard, p.replica)
		d.register(p)
		if p.snapshot > p.marker {
			p.terms = p.terms[p.snapshot-p.marker:]
			p.marker, p.pruned = p.snapshot, false
		}
		d.forgetCommit(p)
	}
}

// forgetCommit makes tan forget a commit index that was saved alone, as the router does.
func (d *duel) forgetCommit(p *duellist) {
	if pb.IsEmptyState(p.state) {
		return
	}
	p.state.Commit = max(p.promised, p.snapshot)
	d.must(d.tan.SaveRaftState([]pb.Update{{ShardID: p.shard, ReplicaID: p.replica, State: p.state}}, 1))
}

var pbEqual = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(pb.Snapshot{})}

// agree checks that both return the same.
func (d *duel) agree(what string, ask func(raftio.ILogDB) (any, error)) {
	d.Helper()
	want, wantErr := ask(d.tan)
	got, gotErr := ask(d.router)
	if !errors.Is(gotErr, wantErr) {
		d.Fatalf("step %d: %s: error %v, tan's is %v", d.step, what, gotErr, wantErr)
	}
	if diff := cmp.Diff(want, got, pbEqual); diff != "" {
		d.Fatalf("step %d: %s (-tan +router):\n%s", d.step, what, diff)
	}
}

func (d *duel) compare(p *duellist) {
	d.agree("ListNodeInfo", func(db raftio.ILogDB) (any, error) {
		nodes, err := db.ListNodeInfo()
		slices.SortFunc(nodes, func(a, b raftio.NodeInfo) int { return int(a.ShardID) - int(b.ShardID) })
		return nodes, err
	})
	d.agree("GetBootstrapInfo", func(db raftio.ILogDB) (any, error) { return db.GetBootstrapInfo(p.shard, p.replica) })
	d.agree("GetSnapshot", func(db raftio.ILogDB) (any, error) { return db.GetSnapshot(p.shard, p.replica) })
	d.agree("ReadRaftState", func(db raftio.ILogDB) (any, error) { return db.ReadRaftState(p.shard, p.replica, p.snapshot) })
	for i, term := range p.terms {
		index := p.marker + 1 + uint64(i)
		if got := d.router.Find(p.shard, p.replica).TermAt(sm.Index(index)); uint64(got) != term {
			d.Fatalf("step %d: the term of entry %d is %d, want %d", d.step, index, got, term)
		}
	}
	low := p.marker + 1 + d.rng.Uint64N(uint64(len(p.terms))+1)
	high := low + d.rng.Uint64N(p.last()+2-low)
	d.iterate(p, low, high, []uint64{0, 1, 200, 1000, 1 << 40}[d.rng.IntN(5)])
	d.iterate(p, p.marker+1, p.last()+1, 0)
	d.iterate(p, p.marker+1, p.last()+5, 1<<30) // clamped
	d.iterate(p, p.last()+1, p.last()+5, 0)     // past the end: nothing
	if p.pruned {
		d.iterate(p, p.marker, p.last()+1, 0) // nothing
	}
}

func (d *duel) iterate(p *duellist, low, high, maxSize uint64) {
	d.Helper()
	iterate := func(db raftio.ILogDB) ([]pb.Entry, uint64) {
		entries, size, err := db.IterateEntries(nil, 17, p.shard, p.replica, low, high, maxSize)
		d.must(err)
		return entries, size
	}
	want, wantSize := iterate(d.tan)
	got, gotSize := iterate(d.router)
	if gotSize != wantSize || !slices.EqualFunc(want, got, sameEntry) {
		d.Fatalf("step %d: IterateEntries(%d, %d, %d): size %d, tan's is %d; entries (-tan +router):\n%s",
			d.step, low, high, maxSize, gotSize, wantSize, cmp.Diff(want, got, pbEqual))
	}
}

// sameEntry replaces cmp, which would take most of the test's time.
func sameEntry(a, b pb.Entry) bool {
	same := bytes.Equal(a.Cmd, b.Cmd)
	a.Cmd, b.Cmd = nil, nil
	return same && reflect.DeepEqual(a, b)
}
