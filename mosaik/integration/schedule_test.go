package integration_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

var (
	scheduleSeed  = flag.Uint64("seed", 1, "the first seed of the tests of schedules")
	scheduleSeeds = flag.Int("seeds", 4, "how many seeds TestSchedules and TestLinearizable run, one after the other number; TestDurableLinearizable runs half of them")
	scheduleSteps = flag.Int("steps", 250, "how many steps a schedule of TestSchedules has; others have a quarter")
)

// TestSchedules forms groups of 3 to 7 members on memory logs, and draws at
// random what happens to them: crashes, restarts as the same peer and as another one,
// links that are cut, slow and healed, newcomers, members that leave, commands from
// everywhere. Some members advertise addresses at which nobody answers. What the group
// promises is checked meanwhile and when the faults have ended. The seed draws
// the steps; how the group answers them depends on the machine, too, so that a
// seed that failed may have to be run several times:
//
//	go test ./mosaik/integration -run TestSchedules -seed 17 -seeds 1 -steps 1000
func TestSchedules(t *testing.T) {
	if testing.Short() {
		t.Skip("a campaign")
	}
	t.Parallel()
	for i := range *scheduleSeeds {
		seed := *scheduleSeed + uint64(i)
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			s := newSchedule(t, seed, inMemory, func(a *audit) workload { return tills{a} })
			s.begin()
			for range *scheduleSteps {
				s.step()
			}
			s.end()
		})
	}
}

// member is a handle of any machine's group.
type member interface {
	When() mosaik.When
	Status() consensus.Status
	AppliedIndex() sm.Index
	Leave(context.Context) error
	TransferLeadership(context.Context, sm.PeerID) error
}

// workload is what the members of a schedule are asked to do, and what is held
// against their answers beyond the audit.
type workload interface {
	// join lets a node become a member; the machine and the storage are its own.
	join(*testutil.Node, consensus.Policy) member
	// round returns what a new client with that number does at each order.
	round(id int64, g member) func(ctx context.Context, commands int)
	// history returns the numbers of all applied commands, by a strong read.
	history(context.Context, member) ([]int64, error)
	// check is called once everything has ended.
	check()
}

// mostNodes is how many nodes a schedule has at most, newcomers included.
const mostNodes = 9

// logs says where the members of a schedule keep their logs.
type logs bool

const (
	inMemory logs = false // a crash makes a member forget everything
	onDisk   logs = true
)

// schedule is what happens to one cluster.
type schedule struct {
	t      *testing.T
	logs   logs
	seed   uint64
	draw   *rand.Rand
	c      *testutil.Cluster
	policy consensus.Policy
	actors []*actor // by the number of their node
	kinds  []chance
	taken  []string // the steps
	slow   slowLinks
	audit  *audit
	work   workload
	early  bool // somebody crashed before commands were seen to be let in
	formed bool // on disk: members may crash now
}

// actor is a node with the handle that it has, if any, and the clients that call
// it.
type actor struct {
	node    *testutil.Node
	down    bool
	out     bool   // left in an orderly way
	group   member // nil while it is in no group
	clients []*client
}

func newSchedule(t *testing.T, seed uint64, logs logs, work func(*audit) workload) *schedule {
	draw := rand.New(rand.NewPCG(seed, 0))
	n := 3 + draw.IntN(5)
	grace := []time.Duration{300 * time.Millisecond, time.Second, 30 * time.Second}[draw.IntN(3)]
	policy := consensus.Policy{Expected: n, Grace: grace}
	s := &schedule{
		t: t, logs: logs, seed: seed, draw: draw, policy: policy,
		audit: newAudit(t, policy),
	}
	s.c = testutil.NewCluster(t, 0, s.nodeOptions())
	for range n {
		s.c.Add()
	}
	s.kinds, s.work = s.chances(), work(s.audit)
	t.Cleanup(func() {
		if t.Failed() {
			s.report()
		}
		for _, a := range s.actors {
			s.crash(a)
		}
		s.audit.watchers.Wait()
	})
	for i := range n {
		s.actors = append(s.actors, &actor{node: s.c.Node(i), out: true})
	}
	return s
}

// nodeOptions gives each node the addresses and the directory that it keeps, if it has any.
func (s *schedule) nodeOptions() testutil.ClusterOption {
	dirs, addrs := map[int]string{}, newAddresses(s.t, s.seed)
	return testutil.WithNodeOptions(func(node int) []mosaik.Option {
		options := []mosaik.Option{addrs.of(s.c.Node(node))}
		if s.logs == inMemory {
			return options
		}
		if dirs[node] == "" {
			dirs[node] = s.t.TempDir()
		}
		return append(options, mosaik.WithDir(dirs[node]))
	})
}

// begin lets the members join one after the other, some of them apart from
// others; the steps begin while they form the group.
func (s *schedule) begin() {
	s.t.Logf("seed %d: %d nodes, %v", s.seed, s.c.Len(), s.policy)
	for range s.draw.IntN(s.c.Len()) {
		s.take(s.cut())
	}
	for _, i := range s.draw.Perm(s.c.Len()) {
		s.take(s.join(s.actors[i]))
		if s.draw.IntN(3) == 0 {
			s.take(s.await())
		}
	}
}

// chance is a kind of step, and how often it is drawn.
type chance struct {
	share int
	do    func() string
}

// chances returns the kinds of steps, with shares of about 100. Members with logs on
// disk may all crash at once, and neither leave nor join late: those who never
// were in the epoch could be enough to form another one while they are cut off.
func (s *schedule) chances() []chance {
	some := []chance{
		{35, s.pay}, {15, s.await}, {8, s.cut}, {5, s.cutOneWay}, {3, s.forget}, {12, s.heal}, {2, s.isolate}, {1, s.split}, {3, s.healAll},
		{4, s.crashOne}, {7, s.comeBack}, {2, s.calm}, {4, s.slowLink},
	}
	if s.logs == onDisk {
		return append(some, chance{1, s.restartAll}, chance{2, s.calm}, chance{2, s.slowDown})
	}
	return append(some, chance{2, s.leave}, chance{1, s.grow}, chance{2, s.slowDown})
}

// step draws what happens next until something can.
func (s *schedule) step() {
	all := 0
	for _, kind := range s.kinds {
		all += kind.share
	}
	for taken := false; !taken; {
		drawn := s.draw.IntN(all)
		for _, kind := range s.kinds {
			if drawn -= kind.share; drawn < 0 {
				taken = s.take(kind.do())
				break
			}
		}
	}
}

// take notes a step, and reports false for one that was not possible.
func (s *schedule) take(what string) bool {
	if what != "" {
		s.taken = append(s.taken, what)
	}
	return what != ""
}

// report says how a failed schedule went.
func (s *schedule) report() {
	s.t.Logf("seed %d; steps:", s.seed)
	for i, step := range s.taken {
		s.t.Logf("%4d %s", i, step)
	}
	for i, a := range s.actors {
		if a.group != nil {
			s.t.Logf("node %d, %s: %s", i, a.node.Peer().Short(), tell(a.group.Status()))
		} else {
			s.t.Logf("node %d, %s: down %v, left %v", i, a.node.Peer().Short(), a.down, a.out)
		}
	}
}

// end lets the faults end and everybody come back who did not leave in order.
// Then the group must settle and hold what it acknowledged.
func (s *schedule) end() {
	s.t.Helper()
	s.healAll()
	s.hurry()
	for _, a := range s.actors {
		if a.joined() || a.out {
			continue
		}
		for i, live := 0, s.live(); s.crowd() && i < len(live); i++ {
			if err := live[i].group.When().Online(soon(s.t)); err != nil {
				s.t.Fatalf("node %d is not online after the faults: %v", live[i].node.Index(), err)
			}
		}
		s.take(s.join(a))
	}
	live := s.live()
	if !s.settles(live) {
		return
	}
	for _, a := range live {
		for _, cl := range a.clients {
			cl.orders <- 1
			close(cl.orders)
			<-cl.done
		}
		a.clients = nil
	}
	acknowledged := s.audit.acknowledged()
	s.t.Logf("seed %d: %d of %d calls acknowledged", s.seed, acknowledged, len(s.audit.calls))
	if acknowledged < 2*len(live) {
		s.t.Errorf("only %d calls were acknowledged, although the group settled", acknowledged)
	}
	var first []int64
	for i, a := range live {
		got := s.history(a)
		if i == 0 {
			first = got
			s.audit.check(a.node.Index(), first)
		} else if diff := cmp.Diff(first, got); diff != "" {
			s.t.Errorf("the histories of nodes %d and %d differ:\n%s", live[0].node.Index(), a.node.Index(), diff)
		}
		s.audit.checkRest(a.node.Index(), a.group.Status(), len(live))
	}
	s.work.check()
}

// history reads what a member's group applied. A machine that is too busy to run
// all members may cost a settled group its leader once more.
func (s *schedule) history(a *actor) []int64 {
	s.t.Helper()
	ctx := soon(s.t)
	for {
		got, err := s.work.history(ctx, a.group)
		if err == nil {
			return got
		}
		if mosaik.Retryable(err) {
			err = a.group.When().Online(ctx)
		}
		if err != nil {
			s.t.Fatalf("node %d: %v", a.node.Index(), err)
		}
	}
}

// live returns the actors that are members.
func (s *schedule) live() (live []*actor) {
	for _, a := range s.actors {
		if a.joined() {
			live = append(live, a)
		}
	}
	return live
}

// settles waits until the members have settled. It reports false where there is
// nothing more to check: who crashed before the group had formed may have been
// its majority already, after which the others can't know what it acknowledged.
func (s *schedule) settles(live []*actor) bool {
	s.t.Helper()
	ctx := soon(s.t)
	for _, a := range live {
		if err := a.group.When().Settled(ctx); err != nil {
			stalled := func(a *actor) bool { return a.group.Status().Stalled }
			if s.early && s.audit.acknowledged() == 0 && slices.ContainsFunc(live, stalled) {
				s.t.Logf("seed %d: the group was lost at birth", s.seed)
				return false
			}
			s.t.Fatalf("node %d does not settle after the faults: %v", a.node.Index(), err)
		}
	}
	return true
}
