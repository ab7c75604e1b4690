package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tick and electionTimeout are long enough for a slow machine.
const (
	tick            = 10 * time.Millisecond
	electionTimeout = 300 * time.Millisecond
)

const shard = enginetest.Shard

// node is an engine with its link.
type node struct {
	t      testing.TB
	peer   sm.PeerID
	link   *link.Link
	engine *Engine
	book   *enginetest.Book
}

// Connect implements [Network].
func (n *node) Connect(ctx context.Context, peer sm.PeerID, p link.Protocol) (*link.Conn, error) {
	addr, err := n.book.Get(peer)
	if err != nil {
		return nil, err
	}
	return n.link.Dial(ctx, addr, peer, p)
}

// open returns a serving node; it is closed with the test.
func open(t testing.TB, b *enginetest.Book, seed byte) *node {
	t.Helper()
	l, peer := enginetest.Listen(t, b, seed)
	n := &node{t: t, peer: peer, link: l, book: b}
	var err error
	n.engine, err = Open(Config{Self: peer, Tick: tick, Network: n, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l.Handle(link.Raft, n.engine.ServeRaft)
	l.Handle(link.Snapshot, n.engine.ServeSnapshot)
	l.Serve()
	t.Cleanup(n.close)
	return n
}

func (n *node) close() {
	if err := n.engine.Close(); err != nil {
		n.t.Errorf("close engine: %v", err)
	}
	if err := n.link.Close(); err != nil {
		n.t.Errorf("close link: %v", err)
	}
}

// cluster opens n nodes.
func cluster(t testing.TB, n int) []*node {
	t.Helper()
	return clusterOn(t, &enginetest.Book{}, n)
}

func clusterOn(t testing.TB, b *enginetest.Book, n int) []*node {
	t.Helper()
	var nodes []*node
	for i := range n {
		nodes = append(nodes, open(t, b, byte(i+1)))
	}
	return nodes
}

// introduce makes all nodes admit each other, node i with replica i+1.
func introduce(shard uint64, nodes []*node) {
	for _, a := range nodes {
		for i, b := range nodes {
			if a != b {
				a.engine.Admit(shard, b.peer, uint64(i+1))
			}
		}
	}
}

// recorder is a machine that remembers what it applied. It implements Events
// too.
type recorder struct {
	mu         sync.Mutex
	applied    []Entry
	snapshots  int
	restored   int
	frozen     bool  // no snapshots
	snapFails  error // what Snapshot returns
	snapPanics bool  // or panics with
	restores   error // what Restore returns
	panicsAt   string
	refuses    map[string]error // what Apply returns for an entry
	leaders    []leaderChanged
	members    int
	removed    int
	failures   []error
	snapErrors []error
	taken      int
	stalls     []bool
	lags       []bool
	changed    chan struct{}
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{})} }

// update changes the recorder under its lock and wakes the callers of wait.
func (r *recorder) update(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

// wait returns when cond, called under the lock, is true.
func (r *recorder) wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(enginetest.Patience)
	for {
		r.mu.Lock()
		ok, changed := cond(), r.changed
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("did not happen in time: %s", what)
		}
	}
}

// takeSnapshots proposes commands to the replica, which applies them to r, until it has taken count
// snapshots: one that is due while another is taken is skipped. It returns how many it proposed.
func (r *recorder) takeSnapshots(t *testing.T, count int, to *Replica) (proposed int) {
	t.Helper()
	for ctx := enginetest.Within(t); ; proposed++ {
		r.mu.Lock()
		taken := r.taken
		r.mu.Unlock()
		switch {
		case taken >= count:
			return proposed
		case ctx.Err() != nil:
			t.Fatalf("%d snapshots were taken in time, want %d", taken, count)
		}
		must(t, to, fmt.Sprint("for a snapshot ", proposed))
	}
}

func (r *recorder) Apply(e Entry) error {
	if r.panicsAt != "" && string(e.Data) == r.panicsAt {
		panic("recorder: " + r.panicsAt)
	}
	if err := r.refuses[string(e.Data)]; err != nil {
		return err
	}
	e.Data = slices.Clone(e.Data)
	r.update(func() { r.applied = append(r.applied, e) })
	return nil
}

func (r *recorder) CanSnapshot() bool { return !r.frozen }

func (r *recorder) Freeze() (sm.View, bool, error) { return r, false, nil }

func (r *recorder) Close() error { return nil }

func (r *recorder) Snapshot(w io.Writer) error {
	r.mu.Lock()
	entries, err := slices.Clone(r.applied), r.snapFails
	r.mu.Unlock()
	if err != nil {
		w.Write([]byte("half of a snapshot"))
		if r.snapPanics {
			panic(err)
		}
		return err
	}
	if err := writeEntries(w, entries); err != nil {
		return err
	}
	r.update(func() { r.snapshots++ })
	return nil
}

// writeEntries writes what Restore reads.
func writeEntries(w io.Writer, entries []Entry) error {
	for _, e := range entries {
		var head [24]byte
		binary.LittleEndian.PutUint64(head[0:], uint64(e.Index))
		binary.LittleEndian.PutUint64(head[8:], uint64(e.Term))
		binary.LittleEndian.PutUint64(head[16:], uint64(len(e.Data)))
		if _, err := w.Write(append(head[:], e.Data...)); err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) Restore(rd io.Reader) error {
	r.mu.Lock()
	err := r.restores
	r.mu.Unlock()
	if err != nil {
		return err
	}
	var entries []Entry
	for {
		var head [24]byte
		if _, err := io.ReadFull(rd, head[:]); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		e := Entry{
			Index: sm.Index(binary.LittleEndian.Uint64(head[0:])),
			Term:  sm.Term(binary.LittleEndian.Uint64(head[8:])),
			Data:  make([]byte, binary.LittleEndian.Uint64(head[16:])),
		}
		if _, err := io.ReadFull(rd, e.Data); err != nil {
			return err
		}
		entries = append(entries, e)
	}
	r.update(func() { r.applied = entries; r.restored++ })
	return nil
}

func (r *recorder) LeaderChanged(leader uint64, term sm.Term) {
	r.update(func() { r.leaders = append(r.leaders, leaderChanged{leader, term}) })
}
func (r *recorder) MembershipChanged() { r.update(func() { r.members++ }) }
func (r *recorder) Removed()           { r.update(func() { r.removed++ }) }
func (r *recorder) Failed(err error)   { r.update(func() { r.failures = append(r.failures, err) }) }
func (r *recorder) LogStalled(stalled bool, _ time.Duration) {
	r.update(func() { r.stalls = append(r.stalls, stalled) })
}
func (r *recorder) Lagging(behind bool, _, _ int) {
	r.update(func() { r.lags = append(r.lags, behind) })
}
func (r *recorder) SnapshotTaken() { r.update(func() { r.taken++ }) }
func (r *recorder) SnapshotFailed(err error) {
	r.update(func() { r.snapErrors = append(r.snapErrors, err) })
}

// entries returns the entries that were applied.
func (r *recorder) entries() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.applied)
}

// data returns the applied commands as text.
func data(entries []Entry) []string {
	out := []string{}
	for _, e := range entries {
		out = append(out, string(e.Data))
	}
	return out
}

// start starts a replica; change may be nil.
func (n *node) start(id uint64, rec *recorder, bootstrap bool, change func(*ReplicaConfig)) *Replica {
	n.t.Helper()
	cfg := ReplicaConfig{
		Shard: shard, Replica: id, Bootstrap: bootstrap, ElectionTimeout: electionTimeout,
		Log: enginetest.MemoryLog(n.t), Machine: rec, Events: rec,
	}
	if change != nil {
		change(&cfg)
	}
	r, err := n.engine.Start(cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

// elect makes a lone replica leader.
func elect(t testing.TB, r *Replica, rec *recorder) {
	t.Helper()
	rec.wait(t, "the bootstrap to be applied", func() bool { return rec.members > 0 })
	if err := r.Campaign(); err != nil {
		t.Fatal(err)
	}
	rec.wait(t, "a leader", func() bool { return len(rec.leaders) > 0 && rec.leaders[len(rec.leaders)-1].leader != 0 })
}

// oneTry bounds one try of a request that may be lost before it reaches a leader.
const oneTry = 2 * time.Second

// must proposes until the proposal is applied, which may apply it twice.
func must(t testing.TB, r *Replica, data string) {
	t.Helper()
	repeat(t, r, fmt.Sprintf("propose %.20q", data), func(ctx context.Context) error {
		return r.Propose(ctx, []byte(data))
	})
}

// repeat calls do until it returns nil.
func repeat(t testing.TB, r *Replica, what string, do func(context.Context) error) {
	t.Helper()
	ctx := enginetest.Within(t)
	for {
		changed := r.changes.next().Done()
		short, cancel := context.WithTimeout(ctx, oneTry)
		err := do(short)
		cancel()
		if err == nil {
			return
		}
		if errors.Is(err, ErrClosed) || ctx.Err() != nil {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-changed:
		case <-time.After(tick): // a new leader that has not committed yet drops proposals without a sign
		}
	}
}

// join adds a replica of the shard on a node, brings it up and promotes it.
func join(t testing.TB, leader *Replica, n *node, id uint64, rec *recorder, change func(*ReplicaConfig)) *Replica {
	t.Helper()
	addNonVoting(t, leader, n, id)
	r := n.start(id, rec, false, change)
	if err := r.ReadIndex(enginetest.Within(t)); err != nil {
		t.Fatalf("catch up: %v", err)
	}
	repeat(t, leader, "promote", func(ctx context.Context) error {
		m, err := leader.Membership(ctx)
		if _, ok := m.Voters[id]; ok || err != nil {
			return err
		}
		lead(t, leader, leader.id)
		return leader.Promote(ctx, m.ChangeID, id, n.peer)
	})
	return r
}

func addNonVoting(t testing.TB, leader *Replica, n *node, id uint64) {
	t.Helper()
	repeat(t, leader, "add", func(ctx context.Context) error {
		m, err := leader.Membership(ctx)
		if _, ok := m.NonVoting[id]; ok || err != nil {
			return err
		}
		lead(t, leader, leader.id)
		return leader.AddNonVoting(ctx, m.ChangeID, id, n.peer)
	})
}

// remove removes a replica.
func remove(t testing.TB, r *Replica, id uint64) {
	t.Helper()
	repeat(t, r, "remove", func(ctx context.Context) error {
		m, err := r.Membership(ctx)
		if _, ok := m.Removed[id]; ok || err != nil {
			return err
		}
		lead(t, r, r.id)
		return r.Remove(ctx, m.ChangeID, id)
	})
}

// group is a shard with one voter on each node; the first leads at first.
type group struct {
	nodes    []*node
	replicas []*Replica
	recs     []*recorder
}

func newGroup(t testing.TB, n int, change func(*ReplicaConfig)) *group {
	t.Helper()
	return groupOn(t, cluster(t, n), change)
}

func groupOn(t testing.TB, nodes []*node, change func(*ReplicaConfig)) *group {
	t.Helper()
	g := &group{nodes: nodes}
	introduce(shard, g.nodes)
	for i, node := range g.nodes {
		rec := newRecorder()
		g.recs = append(g.recs, rec)
		if i == 0 {
			g.replicas = append(g.replicas, node.start(1, rec, true, change))
			elect(t, g.replicas[0], rec)
			continue
		}
		g.replicas = append(g.replicas, join(t, g.replicas[0], node, uint64(i+1), rec, change))
	}
	return g
}
