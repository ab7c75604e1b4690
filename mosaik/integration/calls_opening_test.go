package integration_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// The tests here join a group whose start takes long, and look at what happens
// meanwhile.

// slowStorage is a storage in memory whose Open reports that it was called, and blocks
// until it is told to go on.
type slowStorage struct {
	called chan struct{}
	result chan error // what Open returns; closed for success
}

func newSlowStorage() slowStorage { return slowStorage{make(chan struct{}, 8), make(chan error)} }

func (s slowStorage) Open(o logstore.OpenOptions[step]) (logstore.Log, error) {
	s.called <- struct{}{}
	if err := <-s.result; err != nil {
		return nil, err
	}
	return logstore.NewMemory[step]().Open(o)
}

// joining is a join on a goroutine of its own.
type joining struct {
	group tillGroup
	err   error
	ended chan struct{}
}

func goJoin(ctx context.Context, b interface {
	Join(context.Context) (tillGroup, error)
}) *joining {
	j := &joining{ended: make(chan struct{})}
	go func() {
		defer close(j.ended)
		j.group, j.err = b.Join(ctx)
	}()
	return j
}

// alone returns a builder of a group of one member, whose log is in s.
func alone(n *mosaik.Network, key mosaik.GroupKey, s logstore.Storage[step]) mosaik.GroupBuilder[step, logstore.Storage[step], *till] {
	keyed := n.Groups().WithKey(key).WithConsensusConfig(fast(consensus.Config{BootstrapDelay: consensus.None}))
	return mosaik.WithStateMachine(keyed, newTill).WithLogStorage(s)
}

// TestOpeningDelaysNoOtherGroup joins, leaves and uses groups while the storage of
// another one blocks, and exchanges tickets with another process meanwhile.
func TestOpeningDelaysNoOtherGroup(t *testing.T) {
	t.Parallel()
	id, fastTick := mosaik.NetworkID(t.Name()), mosaik.WithTick(10*time.Millisecond)
	a := openNetwork(t, id, fastTick)
	b := openNetwork(t, id, fastTick, mosaik.WithSeeds(a.Addr().String()))
	slow := newSlowStorage()
	opens := goJoin(t.Context(), alone(a, mosaik.RandomKey(), slow))
	<-slow.called

	door, key := password{"sesame"}, mosaik.RandomKey()
	for _, n := range []*mosaik.Network{a, b} {
		if err := n.AddTicket(door.ticket()); err != nil {
			t.Fatal(err)
		}
	}
	var groups []tillGroup
	for _, n := range []*mosaik.Network{a, b} {
		builder := n.Groups().WithKey(key).RequireTicket(door).
			WithConsensusConfig(fast(consensus.Config{})).WithMembership(expecting2)
		g, err := mosaik.WithStateMachine(builder, newTill).Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, g)
	}
	for _, g := range groups {
		if err := g.When().Online(soon(t)); err != nil {
			t.Fatal(err)
		}
		mustPay(t, g, 1)
	}
	if err := b.RemoveTicket(door.ticket()); err != nil {
		t.Fatal(err)
	}
	if _, err := groups[0].When().Until(soon(t), bondless(groups[0])); err != nil {
		t.Errorf("a peer without a ticket keeps its bond: %v", err)
	}
	lone, err := alone(a, mosaik.RandomKey(), logstore.NewMemory[step]()).Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := lone.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := lone.Leave(soon(t)); err != nil {
		t.Fatal(err)
	}

	close(slow.result)
	<-opens.ended
	if opens.err != nil {
		t.Fatal(opens.err)
	}
	if err := opens.group.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	mustPay(t, opens.group, 1)
}

// TestSecondJoinWhileOpening joins a group again while the first join opens its log:
// the second one waits, and then is compared with the first.
func TestSecondJoinWhileOpening(t *testing.T) {
	t.Parallel()
	n, key := openNetwork(t, mosaik.NetworkID(t.Name()), mosaik.WithTick(10*time.Millisecond)), mosaik.RandomKey()
	slow := newSlowStorage()
	first := goJoin(t.Context(), alone(n, key, slow))
	<-slow.called
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := alone(n, key, slow).Join(ctx)
	wantError(t, "join with a short context", err, context.DeadlineExceeded)
	wantMessage(t, "join with a short context", err, "mosaik: join group ", "an earlier join still opens its log")

	second, other := goJoin(t.Context(), alone(n, key, slow)), goJoin(t.Context(), alone(n, key, slow).WithTokenFloor(7))
	close(slow.result)
	for _, j := range []*joining{first, second, other} {
		<-j.ended
	}
	if first.err != nil {
		t.Fatal(first.err)
	}
	if second.err != nil || second.group.ID() != first.group.ID() {
		t.Errorf("the second join: %v", second.err)
	}
	wantError(t, "join with another token floor", other.err, mosaik.ErrPrecondition)
	select {
	case <-slow.called:
		t.Error("the log is opened twice")
	default:
	}
}

// TestFailedOpeningFreesThePlace has the first of two joins fail: the second one opens
// the log itself.
func TestFailedOpeningFreesThePlace(t *testing.T) {
	t.Parallel()
	n, key := openNetwork(t, mosaik.NetworkID(t.Name()), mosaik.WithTick(10*time.Millisecond)), mosaik.RandomKey()
	slow := newSlowStorage()
	first := goJoin(t.Context(), alone(n, key, slow))
	<-slow.called
	second := goJoin(t.Context(), alone(n, key, slow))
	slow.result <- errDisk
	<-first.ended
	wantError(t, "the first join", first.err, errDisk)
	wantError(t, "the first join", first.err, mosaik.ErrStorage)
	<-slow.called
	close(slow.result)
	<-second.ended
	if second.err != nil {
		t.Fatal(second.err)
	}
	if err := second.group.When().Online(soon(t)); err != nil {
		t.Error(err)
	}
}

// TestStorageThatPanics has Open panic, or end its goroutine: the join fails and the
// group can be joined.
func TestStorageThatPanics(t *testing.T) {
	t.Parallel()
	n, key := openNetwork(t, mosaik.NetworkID(t.Name()), mosaik.WithTick(10*time.Millisecond)), mosaik.RandomKey()
	_, err := alone(n, key, panickyStorage{}).Join(t.Context())
	wantError(t, "join", err, mosaik.ErrStorage)
	wantMessage(t, "join", err, "the storage's Open panicked: no disk today")
	g, err := alone(n, key, logstore.NewMemory[step]()).Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.When().Online(soon(t)); err != nil {
		t.Error(err)
	}
}

type panickyStorage struct{}

func (panickyStorage) Open(logstore.OpenOptions[step]) (logstore.Log, error) { panic("no disk today") }

// TestCloseWhileOpening closes a network while a join opens a log: the join returns
// ErrClosed, and Close waits for it.
func TestCloseWhileOpening(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]error{"opened": nil, "failed": errDisk} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := openNetwork(t, mosaik.NetworkID(t.Name()), mosaik.WithTick(10*time.Millisecond), mosaik.WithDir(t.TempDir()))
			other, err := alone(n, mosaik.RandomKey(), logstore.NewMemory[step]()).Join(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			slow := newSlowStorage()
			opens := goJoin(t.Context(), alone(n, mosaik.RandomKey(), slow))
			<-slow.called
			closed := make(chan error, 1)
			go func() { closed <- n.Close() }()
			for range other.When().Statuses(soon(t)) { // until the network ends its groups
			}
			wantError(t, "the other group", other.When().Online(t.Context()), mosaik.ErrClosed)
			select {
			case err := <-closed:
				t.Fatalf("Close returns %v before the join has ended", err)
			default:
			}
			slow.result <- result
			<-opens.ended
			wantError(t, "join", opens.err, mosaik.ErrClosed)
			if err := <-closed; err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// TestCloseGivesUpOnOpening closes a network while a storage never answers: Close names
// the group, and the rest ends when the storage does.
func TestCloseGivesUpOnOpening(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("closing waits for some seconds")
	}
	dir, id := t.TempDir(), mosaik.NetworkID(t.Name())
	n, err := mosaik.Open(t.Context(), id, mosaik.WithTick(10*time.Millisecond), mosaik.WithDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	key := mosaik.RandomKey()
	slow := newSlowStorage()
	opens := goJoin(t.Context(), alone(n, key, slow))
	<-slow.called
	err = n.Close()
	wantError(t, "close", err, mosaik.ErrNotStopped)
	elsewhere, err2 := alone(openNetwork(t, id), key, logstore.NewMemory[step]()).Join(t.Context())
	if err2 != nil {
		t.Fatal(err2)
	}
	wantMessage(t, "close", err, "groups "+elsewhere.ID().Short()+":")
	close(slow.result)
	<-opens.ended
	wantError(t, "join", opens.err, mosaik.ErrClosed)
}

// TestSupersededWhileOpening starts a second process with the identity of one that
// opens a log: the join returns ErrSuperseded.
func TestSupersededWhileOpening(t *testing.T) {
	t.Parallel()
	_, identity, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, key, start := mosaik.NetworkID(t.Name()), mosaik.RandomKey(), time.Now()
	witness := openNetwork(t, id, mosaik.WithTick(10*time.Millisecond))
	open := func(at time.Time) (*mosaik.Network, tillGroup) {
		n := openNetwork(t, id, mosaik.WithIdentity(identity), mosaik.WithTick(10*time.Millisecond), mosaik.WithLeaveTimeout(0),
			mosaik.WithSeeds(witness.Addr().String()), withClock(func() time.Time { return at }))
		b := mosaik.WithStateMachine(n.Groups().WithKey(key).WithConsensusConfig(fast(consensus.Config{})), newTill)
		g, err := b.Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n, g
	}
	b := mosaik.WithStateMachine(witness.Groups().WithKey(key).WithConsensusConfig(fast(consensus.Config{})), newTill)
	if _, err := b.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, old := open(start)
	if _, err := old.When().Until(soon(t), bonded(old, 1)); err != nil {
		t.Fatal(err)
	}
	slow := newSlowStorage()
	opens := goJoin(t.Context(), alone(n, mosaik.RandomKey(), slow))
	<-slow.called
	open(start.Add(time.Minute))
	for range old.When().Statuses(soon(t)) { // until it ends
	}
	wantError(t, "the group that was joined", old.When().Online(t.Context()), mosaik.ErrSuperseded)
	slow.result <- nil
	<-opens.ended
	wantError(t, "join", opens.err, mosaik.ErrSuperseded)
}

// TestWatchThatPanics has a validator panic when the group has started.
func TestWatchThatPanics(t *testing.T) {
	t.Parallel()
	n := openNetwork(t, mosaik.NetworkID(t.Name()))
	keyed := n.Groups().WithKey(mosaik.RandomKey())
	for range 2 { // nothing is left behind
		_, err := keyed.RequireTicket(panickyWatch{}).Join(t.Context())
		wantMessage(t, "join", err, "mosaik: join group ", "ticket validator 1's Watch panicked: not now")
		if errors.Is(err, mosaik.ErrPrecondition) || strings.Contains(err.Error(), "stopped") {
			t.Errorf("something of the group is left behind: %v", err)
		}
	}
}

type panickyWatch struct{ openDoor }

func (panickyWatch) Watch(func()) (stop func()) { panic("not now") }
