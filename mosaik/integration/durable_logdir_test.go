package integration_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// ownDir is a storage on disk that brings its directory: the network has none.
type ownDir struct{ dir string }

func (s ownDir) Open(o logstore.OpenOptions[step]) (logstore.Log, error) {
	o.Dir = s.dir
	return logstore.Disk[step]().Open(o)
}

// TestLogWithItsOwnDirectory restarts a member whose log is on disk while its network has
// no directory, with a clock that is behind, equal and ahead. It continues as itself.
func TestLogWithItsOwnDirectory(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a cluster for each clock")
	}
	t.Parallel()
	for clock, skew := range skews {
		t.Run(clock, func(t *testing.T) {
			t.Parallel()
			c, set := skewed(t, nil)
			dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
			policy := consensus.Policy{Expected: 3, Grace: time.Hour}
			join := func(i int) tillGroup {
				b := c.Node(i).Builder().WithMembership(policy)
				return testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(b, newTill).WithLogStorage(ownDir{dirs[i]}))
			}
			groups := []tillGroup{join(0), join(1), join(2)}
			testutil.Settle(t, groups...)
			incarnation := func() (i consensus.Incarnation) {
				for _, m := range groups[0].Status().Members {
					if m.Peer == c.Node(2).Peer() {
						i = m.Incarnation
					}
				}
				return i
			}
			mustPay(t, groups[2], 1)
			was := incarnation()
			for restart := range 3 {
				c.Node(2).Crash()
				set(skew * time.Duration(restart+1))
				c.Node(2).Restart()
				groups[2] = join(2)
				if err := groups[2].When().Online(soon(t)); err != nil {
					t.Fatalf("restart %d: %v", restart, err)
				}
				mustPay(t, groups[2], 1)
				if now := incarnation(); now != was {
					t.Errorf("restart %d: it is incarnation %s, and was %s", restart, now, was)
				}
			}
			testutil.Settle(t, groups...)
			wantSum(t, 4, groups...)
		})
	}
}

// TestCopiedLogIsRefused starts a process on a copy of a member's log, beside that member
// or after it came back. Neither network has a directory.
func TestCopiedLogIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("it restarts members")
	}
	t.Parallel()
	c, set := skewed(t, nil)
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	policy := consensus.Policy{Expected: 3, Grace: time.Hour}
	join := func(i int, dir string) tillGroup {
		b := c.Node(i).Builder().WithMembership(policy)
		return testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(b, newTill).WithLogStorage(ownDir{dir}))
	}
	groups := []tillGroup{join(0, dirs[0]), join(1, dirs[1]), join(2, dirs[2])}
	testutil.Settle(t, groups...)
	mustPay(t, groups[2], 1)
	c.Node(2).Crash()
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dirs[2])); err != nil {
		t.Fatal(err)
	}
	c.Node(2).Restart()
	groups[2] = join(2, dirs[2])
	testutil.Settle(t, groups...)
	mustPay(t, groups[2], 1)

	c.Node(2).Crash()
	set(time.Hour) // the clock of the copy proves nothing
	c.Node(2).Restart()
	twin := join(2, copied)
	if err := twin.When().Online(soon(t)); !errors.Is(err, mosaik.ErrSuperseded) {
		t.Fatalf("a process that continues from a copy: %v, want %v", err, mosaik.ErrSuperseded)
	}

	c.Node(2).Crash()
	c.Node(2).Restart()
	groups[2] = join(2, dirs[2])
	testutil.Settle(t, groups...)
	wantSum(t, 2, groups...)
}
