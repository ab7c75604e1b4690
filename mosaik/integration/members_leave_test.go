package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestLeaveBesideTheDead lets a voter leave while another one is dead. Whether the
// group can let it go or not, Leave returns although its context never ends.
func TestLeaveBesideTheDead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		expected int
		cut      bool // nobody knows whether the other one is dead
		want     error
	}{
		{0, false, nil}, // the dead one is gone for good, so both can go
		{0, true, mosaik.ErrVoteNeeded},
		{3, false, mosaik.ErrVoteNeeded},
		{3, true, mosaik.ErrVoteNeeded},
	} {
		t.Run(fmt.Sprintf("expected %d cut off %v", tc.expected, tc.cut), func(t *testing.T) {
			t.Parallel()
			c := testutil.NewCluster(t, 3)
			groups := electAll(t, c, patient(tc.expected))
			leader := leaderOf(t, c, groups[0])
			others := nodes(c, leader)
			if tc.cut {
				c.Isolate(others[1].Index())
			} else {
				others[1].Crash()
			}
			awaitLost(t, groups[leader.Index()], others[1].Peer())
			awaitLost(t, groups[others[0].Index()], others[1].Peer())
			err := groups[others[0].Index()].Leave(context.Background())
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Errorf("leave: %v, want %v", err, tc.want)
			}
		})
	}
}

// TestAllLeaveAtOnce lets all members leave at the same time. No Leave waits for
// the end of its context, and what it returns says that the group did not confirm.
func TestAllLeaveAtOnce(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 5; n++ {
		for _, expected := range []int{0, n} {
			// One after the other: thirty members at once keep a busy machine from electing.
			t.Run(fmt.Sprintf("%d members expected %d", n, expected), func(t *testing.T) {
				c := testutil.NewCluster(t, n)
				groups := electAll(t, c, patient(expected))
				errs := make([]error, n)
				var leaving sync.WaitGroup
				for i, g := range groups {
					leaving.Go(func() { errs[i] = g.Leave(context.Background()) })
				}
				leaving.Wait()
				for i, err := range errs {
					if err == nil {
						continue
					}
					// A member without a vote learns no more than that its leader does not answer.
					isKnown := errors.Is(err, mosaik.ErrVoteNeeded) || errors.Is(err, mosaik.ErrStalled) || strings.Contains(err.Error(), "the leader did not answer")
					if n == 1 || errors.Is(err, mosaik.ErrNotStopped) || !isKnown {
						t.Errorf("member %d: %v", i, err)
					}
				}
				t.Log(errs)
			})
		}
	}
}

// stuckPair is a group of two members. The machine of the first one applies a command until
// release is closed.
type stuckPair struct {
	dir     string
	net     *mosaik.Network
	first   *mosaik.Group[step, *gated]
	second  *mosaik.Group[step, *gated]
	release chan struct{}
	again   testutil.Joiner[step, *gated] // joins the first one again
}

// openStuck opens a network of the pair.
func openStuck(t *testing.T, opts ...mosaik.Option) (*mosaik.Network, error) {
	opts = append(opts, mosaik.WithTick(10*time.Millisecond), mosaik.WithListen("127.0.0.1:0"))
	return mosaik.Open(t.Context(), mosaik.NetworkID(t.Name()), opts...)
}

func newStuckPair(t *testing.T) (p stuckPair) {
	p.dir, p.release = t.TempDir(), make(chan struct{})
	var err error
	if p.net, err = openStuck(t, mosaik.WithDir(p.dir)); err != nil {
		t.Fatal(err)
	}
	other, err := openStuck(t, mosaik.WithSeeds(p.net.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	key, free := mosaik.RandomKey(), make(chan struct{})
	close(free)
	builder := func(n *mosaik.Network, m *gated) testutil.Joiner[step, *gated] {
		return mosaik.WithStateMachine(n.Groups().WithKey(key), func() *gated { return m }).
			WithConsensusConfig(fast(consensus.Config{})).WithMembership(consensus.Policy{Expected: 2})
	}
	entered := make(chan struct{}, 2)
	p.again = builder(p.net, &gated{entered: entered, gate: p.release})
	if p.first, err = p.again.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.second, err = builder(other, &gated{entered: make(chan struct{}, 2), gate: free}).Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testutil.Settle(t, p.first, p.second)
	ctx, cancel := context.WithCancel(t.Context())
	executed := make(chan struct{})
	go func() {
		defer close(executed)
		_, _ = p.first.Execute(ctx, step{Verb: "wait"})
	}()
	t.Cleanup(func() { cancel(); <-executed })
	<-entered
	return p
}

// wantGone fails the test unless the error names the group and the other member sees the first
// one end.
func (p stuckPair) wantGone(t *testing.T, call string, err error) {
	t.Helper()
	wantError(t, call, err, mosaik.ErrNotStopped)
	if err != nil && !strings.Contains(err.Error(), p.first.ID().Short()) {
		t.Errorf("%s: error %q does not name group %s", call, err, p.first.ID().Short())
	}
	if _, err := p.second.When().Until(soon(t), bondless(p.second)); err != nil {
		t.Errorf("the other member still has the bond: %v", err)
	}
}

// TestStuckLeave leaves while an Apply does not return. Leave ends in bounded time, the other
// member sees this one go, and the group's place is free when the Apply has returned.
func TestStuckLeave(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("an Apply does not return, and calls wait seconds for it")
	}
	p := newStuckPair(t)
	defer p.net.Close()
	ended, end := context.WithCancel(t.Context())
	end()
	p.wantGone(t, "leave", p.first.Leave(ended))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // a free place is taken sooner
	defer cancel()
	_, err := p.again.Join(ctx)
	wantError(t, "join before the Apply has returned", err, context.DeadlineExceeded)
	close(p.release)
	if _, err := p.again.Join(soon(t)); err != nil {
		t.Errorf("join after the Apply has returned: %v", err)
	}
}

// TestStuckClose closes the network while an Apply does not return. Close ends in bounded time
// and frees the network's address at once. The directory is free when the Apply has returned.
func TestStuckClose(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("an Apply does not return, and calls wait seconds for it")
	}
	p := newStuckPair(t)
	p.wantGone(t, "close", p.net.Close())
	l, err := net.Listen("tcp", p.net.Addr().String())
	if err != nil {
		t.Fatalf("the address is not free: %v", err)
	}
	l.Close()
	wantDirHeld(t, p.dir, p.release)
}

// wantDirHeld fails the test unless the directory of a network that was closed is locked until
// release is closed, which it does.
func wantDirHeld(t *testing.T, dir string, release chan<- struct{}) {
	t.Helper()
	if n, err := openStuck(t, mosaik.WithDir(dir)); !errors.Is(err, logstore.ErrLocked) {
		t.Errorf("open the directory while something runs: network %v, error %v, want %v", n, err, logstore.ErrLocked)
	}
	close(release)
	for ctx := soon(t); ; {
		n, err := openStuck(t, mosaik.WithDir(dir))
		if err == nil {
			n.Close()
			return
		}
		if !errors.Is(err, logstore.ErrLocked) || ctx.Err() != nil {
			t.Fatalf("open the directory when nothing runs: %v", err)
		}
		time.Sleep(10 * time.Millisecond) // nothing reports that a lock is free
	}
}

// stuckLogs is a storage in memory. Close of its logs returns when release is closed.
type stuckLogs struct{ release <-chan struct{} }

func (s stuckLogs) Open(o logstore.OpenOptions[step]) (logstore.Log, error) {
	log, err := logstore.NewMemory[step]().Open(o)
	return stuckLog{log, s.release}, err
}

type stuckLog struct {
	logstore.Log
	release <-chan struct{}
}

func (l stuckLog) Close() error {
	<-l.release
	return l.Log.Close()
}

// TestStuckLogClose closes the network while the log of a group does not close. The network's
// directory is not free before the log is.
func TestStuckLogClose(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("an Apply does not return, and calls wait seconds for it")
	}
	dir, release := t.TempDir(), make(chan struct{})
	n, err := openStuck(t, mosaik.WithDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	g, err := alone(n, mosaik.RandomKey(), stuckLogs{release}).Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	err = n.Close()
	wantError(t, "close", err, mosaik.ErrNotStopped)
	wantMessage(t, "close", err, g.ID().Short())
	wantDirHeld(t, dir, release)
}
