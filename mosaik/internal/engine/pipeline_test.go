package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
)

// on makes a replica belong to a shard and use a machine.
func on(shard uint64, m StateMachine, change func(*ReplicaConfig)) func(*ReplicaConfig) {
	return func(c *ReplicaConfig) {
		c.Shard, c.Machine = shard, m
		if change != nil {
			change(c)
		}
	}
}

// shardOf is a shard with one voter on each node, whose machines share their holds.
type shardOf struct {
	replicas []*Replica
	machines []*held
}

// same makes the machines of all replicas alike.
func same(m held) func(int) held { return func(int) held { return m } }

// slowAt makes the machine of one replica hold the command "slow".
func slowAt(at int, h *hold) func(int) held {
	return func(i int) held {
		if i == at {
			return held{applies: map[string]*hold{"slow": h}}
		}
		return held{}
	}
}

// newShard starts a shard on the nodes. The first replica leads at first.
func newShard(t *testing.T, nodes []*node, shard uint64, machine func(i int) held, change func(*ReplicaConfig)) *shardOf {
	t.Helper()
	introduce(shard, nodes)
	s := &shardOf{}
	for i, n := range nodes {
		m := machine(i)
		m.recorder = newRecorder()
		s.machines = append(s.machines, &m)
		configure := on(shard, &m, change)
		if i == 0 {
			s.replicas = append(s.replicas, n.start(1, m.recorder, true, configure))
			elect(t, s.replicas[0], m.recorder)
			continue
		}
		s.replicas = append(s.replicas, join(t, s.replicas[0], n, uint64(i+1), m.recorder, configure))
	}
	return s
}

// TestHungMachinesHangAlone runs shards on the same three engines. In some of them, on all members,
// an Apply or a view never returns. The others commit commands, transfer leadership and
// take snapshots, many times more often than there are workers.
func TestHungMachinesHangAlone(t *testing.T) {
	t.Parallel()
	nodes := cluster(t, 3)
	for _, n := range nodes {
		n.engine.patience = patience{freeze: 10 * tick, write: 10 * tick}
	}
	often := func(c *ReplicaConfig) { c.SnapshotEvery = 5 }
	apply, view, pause := newHold(), newHold(), newHold()
	// Before the engines close, which waits for the machines.
	defer apply.release()
	defer view.release()
	defer pause.release()
	hung := []*shardOf{
		newShard(t, nodes, 101, same(held{applies: map[string]*hold{"hang": apply}}), often),
		newShard(t, nodes, 102, same(held{writes: view}), often),
		newShard(t, nodes, 103, same(held{writes: pause, pauses: true}), often),
	}
	var well []*shardOf
	for i := range 4 { // on all workers
		well = append(well, newShard(t, nodes, uint64(104+i), same(held{}), often))
	}
	for _, s := range hung[1:] {
		for i := range 5 {
			must(t, s.replicas[0], fmt.Sprint(i))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lost, err := hung[0].replicas[0].StartProposal(ctx, []byte("hang"))
	if err != nil {
		t.Fatal(err)
	}
	apply.await(t)
	view.await(t)
	pause.await(t)
	for i, s := range well {
		for n := range 30 {
			must(t, s.replicas[n%3], fmt.Sprint(n))
		}
		target := uint64(2 + i%2)
		lead(t, s.replicas[0], target)
		must(t, s.replicas[0], "led by another")
		for _, m := range s.machines {
			m.takeSnapshots(t, 2, s.replicas[0])
		}
	}
	if settled, err := lost.Wait(ctx, closedNow); settled {
		t.Errorf("the command that hangs is settled: %v", err)
	}
	// A view that is concurrent does not keep its machine from applying.
	must(t, hung[1].replicas[0], "beside the view")
	for _, s := range hung[1:] {
		for _, m := range s.machines {
			m.wait(t, "SnapshotFailed", func() bool { return len(m.snapErrors) > 0 })
		}
	}
}

// takeSnapshots proposes commands until the machine's replica has taken so many snapshots, since one
// that is due while another is taken is skipped. It returns the commands.
func (h *held) takeSnapshots(t *testing.T, count int, r *Replica) (commands []string) {
	t.Helper()
	for ctx := enginetest.Within(t); ; {
		h.mu.Lock()
		taken := h.taken
		h.mu.Unlock()
		switch {
		case taken >= count:
			return commands
		case ctx.Err() != nil:
			t.Fatalf("%d snapshots were taken in time, want %d", taken, count)
		}
		commands = append(commands, fmt.Sprintf("for snapshot %d: %d", count, len(commands)))
		must(t, r, commands[len(commands)-1])
	}
}

// closedNow is ready at once.
var closedNow = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// TestSnapshotHoldsWhatCameBefore applies commands while views are written, and restarts from
// every snapshot: no command is missing or applied twice.
func TestSnapshotHoldsWhatCameBefore(t *testing.T) {
	t.Parallel()
	for _, pauses := range []bool{false, true} {
		t.Run(fmt.Sprint("pauses=", pauses), func(t *testing.T) {
			t.Parallel()
			log := enginetest.LogWithDir{Log: enginetest.MemoryLog(t), Dir: filepath.Join(t.TempDir(), "snapshots")}
			m := &held{recorder: newRecorder(), pauses: pauses}
			keep := func(c *ReplicaConfig) { c.Log, c.SnapshotEvery, c.Machine = log, 3, m }
			r := alone(t, m.recorder, keep)
			var want []string
			for round := range 5 {
				done := make(chan struct{})
				for i := range 8 {
					command := fmt.Sprint(round, ".", i)
					want = append(want, command)
					go func() {
						defer func() { done <- struct{}{} }()
						must(t, r, command)
					}()
				}
				for range 8 {
					<-done
				}
				want = append(want, m.takeSnapshots(t, round+1, r)...)
				before := m.entries()
				if err := r.Stop(); err != nil {
					t.Fatal(err)
				}
				m = &held{recorder: newRecorder(), pauses: pauses}
				m.taken = round + 1
				var err error
				if r, err = r.again(m.recorder, keep); err != nil {
					t.Fatal(err)
				}
				if err := r.ReadIndex(enginetest.Within(t)); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(before, m.entries()); diff != "" {
					t.Fatalf("after restart %d (-before +after):\n%s", round, diff)
				}
			}
			got := data(m.entries())
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

// TestConcurrentViewIsNoPause applies commands while a view is held.
func TestConcurrentViewIsNoPause(t *testing.T) {
	t.Parallel()
	m := &held{recorder: newRecorder(), writes: newHold()}
	defer m.writes.release()
	log := enginetest.LogWithDir{Log: enginetest.MemoryLog(t), Dir: t.TempDir()}
	keep := func(c *ReplicaConfig) { c.Log, c.SnapshotEvery, c.Machine = log, 5, m }
	r := alone(t, m.recorder, keep)
	for i := range 5 {
		must(t, r, fmt.Sprint(i))
	}
	m.writes.await(t)
	frozen := len(m.entries())
	for i := range 20 {
		must(t, r, fmt.Sprint("beside ", i))
	}
	last := m.entries()
	m.writes.release()
	m.wait(t, "SnapshotTaken", func() bool { return m.taken > 0 })
	st, err := log.State()
	if err != nil {
		t.Fatal(err)
	}
	// The index of the snapshot is that of the last entry in the view, or of one that is not a
	// proposal behind it.
	if at := st.Snapshot.Cursor.Index; at < last[frozen-1].Index || at >= last[frozen].Index {
		t.Errorf("the snapshot of the first %d entries is at %d, want [%d, %d)", frozen, at, last[frozen-1].Index, last[frozen].Index)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	m = &held{recorder: newRecorder()}
	r.restart(t, m.recorder, keep)
	if diff := cmp.Diff(last, m.entries()); diff != "" {
		t.Errorf("after the restart (-before +after):\n%s", diff)
	}
}

// TestReadWaitsForTheMachine reads while a command is being applied: the read must see it, though
// dragonboat counts it as applied.
func TestReadWaitsForTheMachine(t *testing.T) {
	t.Parallel()
	slow := newHold()
	m := &held{recorder: newRecorder(), applies: map[string]*hold{"slow": slow}}
	defer slow.release()
	r := alone(t, m.recorder, func(c *ReplicaConfig) { c.Machine = m })
	p, err := r.StartProposal(enginetest.Within(t), []byte("slow"))
	if err != nil {
		t.Fatal(err)
	}
	slow.await(t)
	short, cancel := context.WithTimeout(t.Context(), 20*tick)
	defer cancel()
	if err := r.ReadIndex(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read while the command is being applied: %v; want DeadlineExceeded", err)
	}
	if err := p.handedOver(t); err != nil {
		t.Errorf("a command that is being applied: %v", err)
	}
	if entries, bytes := r.Backlog(); entries != 1 || bytes != 4 {
		t.Errorf("the backlog is %d entries, %d bytes; want 1 and 4", entries, bytes)
	}
	slow.release()
	if err := r.ReadIndex(enginetest.Within(t)); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"slow"}, data(m.entries())); diff != "" {
		t.Errorf("applied before the read returned (-want +got):\n%s", diff)
	}
	if settled, err := p.Wait(enginetest.Within(t), nil); !settled || err != nil {
		t.Errorf("the command: settled=%t, %v; want true and no error", settled, err)
	}
}

// TestReadOfAReplicaThatFails lets a replica fail while a read waits for a command that is being
// applied. The replica skips what follows, so the read must not succeed.
func TestReadOfAReplicaThatFails(t *testing.T) {
	t.Parallel()
	slow := newHold()
	m := &held{recorder: newRecorder(), applies: map[string]*hold{"slow": slow}}
	defer slow.release()
	r := alone(t, m.recorder, func(c *ReplicaConfig) { c.Machine = m })
	if _, err := r.StartProposal(enginetest.Within(t), []byte("slow")); err != nil {
		t.Fatal(err)
	}
	slow.await(t)
	read := make(chan error, 1)
	go func() { read <- r.ReadIndex(enginetest.Within(t)) }()
	q := &r.applier.queue
	waits := func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.waiters) > 0
	}
	for ctx := enginetest.Within(t); !waits(); time.Sleep(time.Millisecond) { // there is no event
		if ctx.Err() != nil {
			t.Fatal("the read does not wait for the machine")
		}
	}
	r.failure.Store(new(error)) // without the end of the replica, which ends the read as well
	slow.release()
	if err := <-read; !errors.Is(err, ErrClosed) {
		t.Errorf("read: %v; want ErrClosed", err)
	}
}

// TestOnlyTheLatestSnapshotIsKept hands over two snapshots while the machine is busy.
func TestOnlyTheLatestSnapshotIsKept(t *testing.T) {
	t.Parallel()
	slow := newHold()
	m := &held{recorder: newRecorder(), applies: map[string]*hold{"slow": slow}}
	defer slow.release()
	r := alone(t, m.recorder, func(c *ReplicaConfig) { c.Machine = m })
	if _, err := r.StartProposal(enginetest.Within(t), []byte("slow")); err != nil {
		t.Fatal(err)
	}
	slow.await(t)
	snapshot := func(data string) *bytes.Buffer {
		b := new(bytes.Buffer)
		if err := writeEntries(b, []Entry{{Index: 1, Term: 1, Data: []byte(data)}}); err != nil {
			t.Fatal(err)
		}
		return b
	}
	earlier, later := snapshot("earlier"), snapshot("later")
	for _, b := range []*bytes.Buffer{earlier, later} {
		if err := r.applier.RecoverFromSnapshot(b, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	slow.release()
	if err := r.ReadIndex(enginetest.Within(t)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"later"}, data(m.entries())); diff != "" || m.restored != 1 || earlier.Len() == 0 {
		t.Errorf("%d snapshots were restored, %d bytes of the earlier one are not read; the state (-want +got):\n%s", m.restored, earlier.Len(), diff)
	}
}

// TestCloseDuringARestore closes the engine while a replica starts whose machine does not return
// from Restore.
func TestCloseDuringARestore(t *testing.T) {
	t.Parallel()
	r, _, keep := stoppedWithSnapshot(t)
	m := &held{recorder: newRecorder(), restores: newHold()}
	defer m.restores.release()
	started, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := r.again(m.recorder, func(c *ReplicaConfig) { keep(c); c.Machine = m })
		started <- err
	}()
	m.restores.await(t)
	go func() { closed <- r.engine.Close() }()
	select {
	case err := <-started:
		if !errors.Is(err, ErrClosed) {
			t.Errorf("start: %v; want ErrClosed", err)
		}
	case <-enginetest.Within(t).Done():
		t.Error("Start waits for the machine although the engine closes")
	}
	m.restores.release()
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestPausingViewIsAPause proposes a command while a view that is not concurrent is held.
func TestPausingViewIsAPause(t *testing.T) {
	t.Parallel()
	m := &held{recorder: newRecorder(), writes: newHold(), pauses: true}
	defer m.writes.release()
	r := alone(t, m.recorder, func(c *ReplicaConfig) { c.SnapshotEvery, c.Machine = 5, m })
	for i := range 5 {
		must(t, r, fmt.Sprint(i))
	}
	m.writes.await(t)
	frozen := len(m.entries())
	p, err := r.StartProposal(enginetest.Within(t), []byte("during the pause"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.handedOver(t); err != nil {
		t.Fatal(err)
	}
	if n := len(m.entries()); n != frozen {
		t.Errorf("%d entries were applied during the pause", n-frozen)
	}
	m.writes.release()
	if settled, err := p.Wait(enginetest.Within(t), nil); !settled || err != nil {
		t.Errorf("the command: settled=%t, %v; want true and no error", settled, err)
	}
}

// handedOver waits until dragonboat has handed over the entry of a proposal.
func (p *Proposal) handedOver(t *testing.T) error {
	for ctx := enginetest.Within(t); p.applied == nil; time.Sleep(time.Millisecond) { // there is no event
		if settled, err := p.Wait(ctx, closedNow); settled {
			return fmt.Errorf("it is settled: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// TestRemovalComesAfterWhatIsApplied reports a removal while the machine is busy: the owner learns
// of it when everything before it is applied.
func TestRemovalComesAfterWhatIsApplied(t *testing.T) {
	t.Parallel()
	slow := newHold()
	m := &held{recorder: newRecorder(), applies: map[string]*hold{"slow": slow}}
	r := alone(t, m.recorder, func(c *ReplicaConfig) { c.Machine = m })
	defer slow.release()
	if _, err := r.StartProposal(enginetest.Within(t), []byte("slow")); err != nil {
		t.Fatal(err)
	}
	slow.await(t)
	l := listener{r.engine}
	info := raftio.NodeInfo{ShardID: shard, ReplicaID: r.id}
	m.mu.Lock()
	members := m.members
	m.mu.Unlock()
	l.NodeDeleted(info)
	l.MembershipChanged(info)
	m.wait(t, "the event behind the removal", func() bool { return m.members > members })
	m.mu.Lock()
	removed := m.removed
	m.mu.Unlock()
	if removed != 0 {
		t.Error("the removal was reported before the command ahead of it was applied")
	}
	slow.release()
	m.wait(t, "Removed", func() bool { return m.removed == 1 })
	if diff := cmp.Diff([]string{"slow"}, data(m.entries())); diff != "" {
		t.Errorf("applied before the removal (-want +got):\n%s", diff)
	}
}

// TestBacklogIsReadFromTheLog holds a machine until the queue has had to leave entries in the log.
func TestBacklogIsReadFromTheLog(t *testing.T) {
	t.Parallel()
	slow := newHold()
	defer slow.release()
	m := &held{recorder: newRecorder(), applies: map[string]*hold{"slow": slow}}
	const limit = 1000
	r := alone(t, m.recorder, func(c *ReplicaConfig) { c.Machine, c.MaxBacklog = m, limit })
	var last *Proposal
	want := []string{"slow"}
	for i := range 60 {
		if i > 0 {
			want = append(want, fmt.Sprint(i, strings.Repeat(".", i)))
		}
		p, err := r.StartProposal(enginetest.Within(t), []byte(want[i]))
		if err != nil {
			t.Fatal(err)
		}
		last = p
	}
	slow.await(t)
	q := &r.applier.queue
	m.wait(t, "Lagging", func() bool { return slices.Equal(m.lags, []bool{true}) })
	for entries := 0; entries < 60; {
		if entries, _ = r.Backlog(); entries < 60 {
			time.Sleep(time.Millisecond) // no event shows what dragonboat has handed over
		}
	}
	q.mu.Lock()
	inMemory := q.held
	q.mu.Unlock()
	if inMemory > limit {
		t.Errorf("%d bytes of entries are in memory, want at most %d", inMemory, limit)
	}
	slow.release()
	if settled, err := last.Wait(enginetest.Within(t), nil); !settled || err != nil {
		t.Fatalf("the last command: settled=%t, %v; want true and no error", settled, err)
	}
	if diff := cmp.Diff(want, data(m.entries())); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	for _, e := range m.entries() {
		if e.Term == 0 {
			t.Errorf("entry %d has no term", e.Index)
		}
	}
	m.wait(t, "the end of the lag", func() bool { return slices.Equal(m.lags, []bool{true, false}) })
	if entries, bytes := r.Backlog(); entries != 0 || bytes != 0 {
		t.Errorf("the backlog is %d entries, %d bytes in the end; want none", entries, bytes)
	}
}

// TestFarBehindFollower holds a follower's machine while the group commits many times what its
// queue may hold. The follower stays a member, and catches up when the machine returns.
func TestFarBehindFollower(t *testing.T) {
	t.Parallel()
	for _, snapshots := range []bool{false, true} {
		t.Run(fmt.Sprint("snapshots=", snapshots), func(t *testing.T) {
			t.Parallel()
			slow := newHold()
			defer slow.release()
			const limit = 10_000
			s := newShard(t, cluster(t, 3), shard, slowAt(2, slow), func(c *ReplicaConfig) {
				c.MaxBacklog = limit
				if snapshots {
					c.SnapshotEvery = 20
				}
			})
			must(t, s.replicas[0], "first")
			m := s.machines[2]
			must(t, s.replicas[0], "slow")
			slow.await(t)
			leaders := func() int {
				m.mu.Lock()
				defer m.mu.Unlock()
				return len(m.leaders)
			}
			before := leaders()
			const count = 400
			for i := range count {
				must(t, s.replicas[1], fmt.Sprint(i, strings.Repeat(".", 1000)))
			}
			m.wait(t, "Lagging", func() bool { return len(m.lags) > 0 })
			// What was in flight when the limit was reached is accepted, on a busy machine more.
			if _, bytes := s.replicas[2].Backlog(); bytes > 15*limit {
				t.Errorf("the backlog is %d bytes, want about %d", bytes, limit)
			}
			if now := leaders(); now != before {
				t.Errorf("the follower saw %d changes of the leader while its machine was busy", now-before)
			}
			if snapshots {
				s.machines[0].takeSnapshots(t, 3, s.replicas[0])
			}
			slow.release()
			if err := s.replicas[2].ReadIndex(enginetest.Within(t)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(data(s.machines[0].entries()), data(m.entries())); diff != "" {
				t.Errorf("the follower's machine (-leader +follower):\n%s", diff)
			}
		})
	}
}

// TestFarBehindLeader holds the leader's machine while a follower proposes: the leader refuses its
// proposals beyond its bound, keeps leading, and accepts them again once its machine returns.
func TestFarBehindLeader(t *testing.T) {
	t.Parallel()
	slow := newHold()
	defer slow.release()
	const limit = 10_000
	s := newShard(t, cluster(t, 3), shard, slowAt(0, slow), func(c *ReplicaConfig) { c.MaxBacklog = limit })
	m := s.machines[0]
	must(t, s.replicas[1], "slow")
	slow.await(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	isBehind := func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.lags) > 0
	}
	for i := 0; !isBehind(); i++ {
		try, end := context.WithTimeout(ctx, electionTimeout)
		_ = s.replicas[1].Propose(try, []byte(fmt.Sprint(i, strings.Repeat(".", 1000)))) // the last one is refused
		end()
	}
	try, end := context.WithTimeout(ctx, electionTimeout)
	defer end()
	if err := s.replicas[1].Propose(try, []byte("refused")); !errors.Is(err, ErrUnknown) {
		t.Errorf("propose to a leader that is far behind: %v; want ErrUnknown", err)
	}
	if leader, _, _ := s.replicas[2].Leader(); leader != 1 {
		t.Errorf("replica %d leads, want 1", leader)
	}
	if _, bytes := s.replicas[0].Backlog(); bytes > 2*limit {
		t.Errorf("the backlog is %d bytes, want about %d", bytes, limit)
	}
	slow.release()
	must(t, s.replicas[1], "after")
	if err := s.replicas[0].ReadIndex(enginetest.Within(t)); err != nil {
		t.Fatal(err)
	}
	if got := data(m.entries()); got[0] != "slow" || !slices.Contains(got, "after") || slices.Contains(got, "refused") {
		t.Errorf("the leader applied %.300q; want slow first, after, and not refused", got)
	}
}

// TestSnapshotReplacesTheBacklog sends a snapshot to a replica whose machine is busy, and whose
// queue has left entries in the log that the snapshot replaces.
func TestSnapshotReplacesTheBacklog(t *testing.T) {
	t.Parallel()
	slow := newHold()
	defer slow.release()
	nodes := cluster(t, 3)
	s := newShard(t, nodes, shard, slowAt(2, slow), func(c *ReplicaConfig) { c.MaxBacklog, c.SnapshotEvery = 1000, 10 })
	r, m := s.replicas[2], s.machines[2]
	q := &r.applier.queue
	q.mu.Lock()
	q.start = math.MaxUint64 // as if the log had held everything that follows
	q.mu.Unlock()
	must(t, s.replicas[0], "slow")
	slow.await(t)
	long := strings.Repeat(".", 400)
	for i := range 10 {
		must(t, s.replicas[0], fmt.Sprint(i, long))
	}
	log := r.applier.log
	until := func(what string, cond func() bool) {
		t.Helper()
		for ctx := enginetest.Within(t); !cond(); time.Sleep(time.Millisecond) { // there is no event
			if ctx.Err() != nil {
				t.Fatalf("did not happen in time: %s", what)
			}
		}
	}
	until("entries left in the log", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.bytes > q.held+len(long)
	})
	for _, n := range nodes[:2] {
		n.engine.Expel(shard, nodes[2].peer)
	}
	for i := range 50 {
		must(t, s.replicas[0], fmt.Sprint("missed ", i))
	}
	_, last := log.Span()
	s.machines[0].takeSnapshots(t, 4, s.replicas[0])
	for _, n := range nodes[:2] {
		n.engine.Admit(shard, nodes[2].peer, 3)
	}
	until("a log that a snapshot replaced", func() bool { first, _ := log.Span(); return first > last })
	slow.release()
	if err := r.ReadIndex(enginetest.Within(t)); err != nil {
		t.Fatal(err)
	}
	if m.restored == 0 {
		t.Error("no snapshot was restored")
	}
	if diff := cmp.Diff(data(s.machines[0].entries()), data(m.entries())); diff != "" {
		t.Errorf("the replica's machine (-leader +replica):\n%s", diff)
	}
}

// TestNothingIsAppliedBehindAGap loses entries that a received snapshot has replaced in the log: the
// machine gets nothing, and nobody who waits is told, before the snapshot is restored.
func TestNothingIsAppliedBehindAGap(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	r := alone(t, rec, nil)
	must(t, r, "before")
	a, q := &r.applier, &r.applier.queue
	q.mu.Lock()
	first, _ := a.log.Span()
	q.tasks = append(q.tasks, task{ticket: q.handed + 1, entry: Entry{Index: first - 1}, through: first, count: 1})
	q.entries++
	q.handed++
	q.mu.Unlock()
	behind := q.push(Entry{Index: 99, Data: []byte("behind the gap")})
	done := make(chan struct{})
	q.call(func() { close(done) })
	<-done
	if diff := cmp.Diff([]string{"before"}, data(rec.entries())); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	w := q.await(behind)
	if w == nil {
		t.Fatal("an entry that was skipped counts as applied")
	}
	s, err := a.PrepareSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SaveSnapshot(s, io.Discard, nil, nil); !errors.Is(err, statemachine.ErrSnapshotAborted) {
		t.Errorf("a snapshot behind the gap: %v; want ErrSnapshotAborted", err)
	}
	var b bytes.Buffer
	if err := writeEntries(&b, []Entry{{Index: 99, Data: []byte("restored")}}); err != nil {
		t.Fatal(err)
	}
	if err := a.RecoverFromSnapshot(&b, nil, nil); err != nil {
		t.Fatal(err)
	}
	<-w.done
	if diff := cmp.Diff([]string{"restored"}, data(rec.entries())); diff != "" {
		t.Errorf("applied after the snapshot (-want +got):\n%s", diff)
	}
}
