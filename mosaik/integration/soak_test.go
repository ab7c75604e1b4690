package integration_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

var soakFor = flag.Duration("soak", 8*time.Second, "how long TestSoak has its groups under load; from a minute on with a larger machine and the default bounds of snapshots")

// soakedKind tells a process that it is one of [TestSoak]: a key of storages.
const soakedKind = "MOSAIK_TEST_SOAKED"

// TestSoak has groups of three under the load of many callers, one on logs in
// memory and one on disk, each in a process of its own, so that what it measures
// is that group's. Live heap, goroutines, descriptors and disk stay where they
// were in the second quarter of the time, the logs stay compacted, and every
// member applied what was acknowledged, once. With -v it shows the measurements:
//
//	go test ./mosaik/integration -run TestSoak -soak 1h -timeout 2h -v
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("a campaign")
	}
	t.Parallel()
	for kind := range storages {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			args := []string{"-test.run", "^TestSoaked$", "-test.timeout", "0", "-soak", soakFor.String()}
			if testing.Verbose() {
				args = append(args, "-test.v")
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
			cmd.Env = append(os.Environ(), soakedKind+"="+kind)
			cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
			if err := cmd.Run(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSoaked is a process of [TestSoak].
func TestSoaked(t *testing.T) {
	kind, ok := os.LookupEnv(soakedKind)
	if !ok {
		t.Skip("it is run by TestSoak")
	}
	s := &soak{t: t, size: soakSize{slots: 1 << 10, entries: 1000, bytes: 2 << 20}}
	if *soakFor >= time.Minute {
		s.size = soakSize{slots: 32 << 10, entries: 10_000, bytes: 64 << 20} // the bounds are the default
	}
	s.start(storages[kind])
	var calling sync.WaitGroup
	rest := func() {
		s.over.Store(true)
		calling.Wait()
	}
	defer rest()
	for caller := range s.acked {
		calling.Go(func() { s.call(int64(caller)) })
	}
	// From here on nothing should grow.
	for _, log := range s.logs {
		log.awaitPrunes(t, 2)
	}
	samples := s.measure(*soakFor)
	rest()
	s.show(samples)
	s.checkSteady(samples)
	s.checkVaults()
	for i, log := range s.logs {
		if n := log.prunes.Load(); n < 5 {
			t.Errorf("the log of node %d was pruned only %d times", i, n)
		}
	}
}

// soakSize is how much a soaked group holds.
type soakSize struct {
	slots          int   // of the machine, each with a value of soakValue bytes
	entries, bytes int64 // that make a snapshot due
}

const (
	soakValue   = 1 << 10
	soakCallers = 192
)

// state is roughly how large the machine's snapshots are, in bytes.
func (s soakSize) state() int64 { return int64(s.slots) * (soakValue + 16) }

// soak is a group under load.
type soak struct {
	t      *testing.T
	size   soakSize
	dirs   []string
	groups []*mosaik.Group[step, *vault]
	logs   []*soakedLog
	over   atomic.Bool
	acked  [soakCallers]int64 // how many commands of each caller, which are numbered from 1 on
}

func (s *soak) start(storage func() logstore.Storage[step]) {
	s.dirs = []string{s.t.TempDir(), s.t.TempDir(), s.t.TempDir()}
	c := testutil.NewCluster(s.t, len(s.dirs), testutil.WithNodeOptions(func(i int) []mosaik.Option {
		return []mosaik.Option{mosaik.WithDir(s.dirs[i])}
	}))
	for i := range s.dirs {
		log := &soakedLog{storage: storage(), pruned: make(chan struct{}, 1)}
		b := c.Node(i).Builder().WithConsensusConfig(consensus.Config{})
		newVault := func() *vault { return newVault(s.size.slots) }
		s.groups = append(s.groups, testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(b, newVault).
			WithSnapshots(s.size.entries, s.size.bytes).WithLogStorage(log)))
		s.logs = append(s.logs, log)
	}
	testutil.Settle(s.t, s.groups...)
}

// call issues one caller's commands, one after the other, until the time is over.
// Now and then it reads what it wrote.
func (s *soak) call(caller int64) {
	g := s.groups[caller%int64(len(s.groups))]
	value := strings.Repeat(string(rune('a'+caller%26)), soakValue)
	for !s.over.Load() {
		number := s.acked[caller] + 1
		if !s.certain(g, func(ctx context.Context) error {
			_, err := g.Execute(ctx, step{value, caller<<32 | number})
			return err
		}) {
			return
		}
		s.acked[caller] = number
		if number%64 != 0 {
			continue
		}
		var last int64
		if !s.certain(g, func(ctx context.Context) error {
			got, err := mosaik.Read(ctx, g, mosaik.Strong, func(v *vault) (int64, error) { return v.Last[caller], nil })
			last = got.Value
			return err
		}) {
			return
		}
		if last != number {
			s.t.Errorf("caller %d reads its command %d after %d was acknowledged", caller, last, number)
		}
	}
}

// certain calls until the outcome is certain. A machine that is busy may cost the
// group its leader, and a member may have to catch up by snapshot.
func (s *soak) certain(g *mosaik.Group[step, *vault], call func(context.Context) error) bool {
	for {
		err := call(s.t.Context())
		switch {
		case err == nil, errors.Is(err, mosaik.ErrResultLost):
			return true
		case !mosaik.Retryable(err):
		default:
			if err = g.When().Online(s.t.Context()); err == nil {
				continue
			}
		}
		s.t.Errorf("a call failed: %v", err)
		return false
	}
}

// checkVaults fails the test unless every member applied what was acknowledged,
// in order, and nothing else, and they all hold the same.
func (s *soak) checkVaults() {
	s.t.Helper()
	want := stock{Last: map[int64]int64{}}
	for caller, n := range s.acked {
		want.Last[int64(caller)] = n
		want.Applied += n
	}
	for i, g := range s.groups {
		got, err := mosaik.Read(soon(s.t), g, mosaik.Strong, (*vault).stock)
		if err != nil {
			s.t.Fatal(err)
		}
		if i == 0 {
			want.Sum = got.Value.Sum
		}
		if diff := cmp.Diff(want, got.Value); diff != "" {
			s.t.Errorf("what node %d applied (-want +got):\n%s", i, diff)
		}
	}
	s.t.Logf("%d commands of %d bytes acknowledged", want.Applied, soakValue)
}

// checkSteady fails the test if something grew, or went beyond what the bounds of
// snapshots allow. A log holds up to one and a half of them, and what comes while
// a snapshot is copied. Between two snapshots everything goes up and down; the
// least of a quarter is what would grow for ever.
func (s *soak) checkSteady(samples []sample) {
	s.t.Helper()
	quarter := len(samples) / 4
	second, last := least(samples[quarter:2*quarter]), least(samples[len(samples)-quarter:])
	for _, steady := range []struct {
		what          string
		was, is, more int64
	}{
		{"bytes of live heap", second.heap, last.heap, second.heap/4 + 16<<20},
		{"goroutines", second.goroutines, last.goroutines, 16},
		{"descriptors", second.descriptors, last.descriptors, 16},
		{"bytes in the logs", 0, last.held, 3 * 2 * s.size.bytes},
		{"bytes of log files", 0, last.logs, 3 * (4*2*s.size.bytes + 192<<20)},
		{"bytes of snapshot files", 0, last.snapshots, 3 * 2 * s.size.state()},
	} {
		if steady.is > steady.was+steady.more {
			s.t.Errorf("%s: at least %d in the last quarter of the time, may be %d", steady.what, steady.is, steady.was+steady.more)
		}
	}
	most := samples[0]
	for _, m := range samples {
		most.logs, most.snapshots = max(most.logs, m.logs), max(most.snapshots, m.snapshots)
	}
	// One is written, and one that a later one replaced waits for being removed.
	if bound := 3*(4*3*s.size.bytes+192<<20) + 3*4*s.size.state(); most.logs+most.snapshots > bound {
		s.t.Errorf("%d bytes of log files and %d of snapshot files; may be %d", most.logs, most.snapshots, bound)
	}
}

// show logs the measurements as a table.
func (s *soak) show(samples []sample) {
	var table strings.Builder
	fmt.Fprintf(&table, "%8s %10s %9s %9s %6s %5s %10s %10s %12s\n", "s", "commands", "heap MiB", "RSS MiB", "gorou.", "desc.", "held MiB", "logs MiB", "snapsh. MiB")
	mib := func(bytes int64) float64 { return float64(bytes) / (1 << 20) }
	for _, m := range samples {
		fmt.Fprintf(&table, "%8.1f %10d %9.1f %9.1f %6d %5d %10.1f %10.1f %12.1f\n",
			m.at.Seconds(), m.commands, mib(m.heap), mib(m.resident), m.goroutines, m.descriptors, mib(m.held), mib(m.logs), mib(m.snapshots))
	}
	s.t.Logf("three members together:\n%s", &table)
}
