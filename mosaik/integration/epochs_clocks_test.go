package integration_test

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// skews are how far the clock of a process is off, compared with that of the process
// before it.
var skews = map[string]time.Duration{"behind": -10 * time.Second, "equal": 0, "ahead": 10 * time.Second}

// skewed is a cluster whose node 2 has a clock that stands still where the test sets it.
func skewed(t *testing.T, options func() []mosaik.Option) (*testutil.Cluster, func(time.Duration)) {
	var now atomic.Pointer[time.Time]
	start := time.Now()
	now.Store(&start)
	c := testutil.NewCluster(t, 3, testutil.WithNodeOptions(func(i int) []mosaik.Option {
		if i != 2 {
			return nil
		}
		opts := []mosaik.Option{withClock(func() time.Time { return *now.Load() })}
		if options != nil {
			opts = append(opts, options()...)
		}
		return opts
	}))
	return c, func(skew time.Duration) {
		at := start.Add(skew)
		now.Store(&at)
	}
}

// TestClockAtARestart restarts a member with a clock that is behind, equal and ahead,
// in memory, from its directory, and after the repairs that the documentation names.
// The member before it is gone, so the clock never locks it out.
func TestClockAtARestart(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a cluster for each combination")
	}
	t.Parallel()
	policy := consensus.Policy{Expected: 3, Grace: 2 * time.Second}
	remove := func(names ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			for _, name := range names {
				if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for kind, prepare := range map[string]func(*testing.T, string){
		"memory":            nil,
		"directory":         remove(),
		"repaired":          remove("log", "snapshots"),
		"emptied directory": remove("log", "snapshots", "network", "peers", "LOCK"),
	} {
		for clock, skew := range skews {
			t.Run(kind+", "+clock, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				c, set := skewed(t, func() []mosaik.Option {
					if prepare == nil {
						return nil
					}
					return []mosaik.Option{mosaik.WithDir(dir)}
				})
				join := func(i int) tillGroup {
					b := mosaik.WithStateMachine(c.Node(i).Builder().WithMembership(policy), newTill)
					if i == 2 && prepare != nil {
						return testutil.JoinWith(c.Node(i), b.WithLogStorage(logstore.Disk[step]()))
					}
					return testutil.JoinWith(c.Node(i), b)
				}
				groups := []tillGroup{join(0), join(1), join(2)}
				testutil.Settle(t, groups...)
				mustPay(t, groups[2], 1)
				for restart := range 2 {
					c.Node(2).Crash()
					if prepare != nil && restart == 0 {
						prepare(t, dir)
					}
					set(skew * time.Duration(restart+1))
					c.Node(2).Restart()
					groups[2] = join(2)
					if err := groups[2].When().Online(soon(t)); err != nil {
						t.Fatalf("restart %d: %v", restart, err)
					}
					mustPay(t, groups[2], 1)
				}
				testutil.Settle(t, groups...)
				wantSum(t, 3, groups...)
			})
		}
	}
}
