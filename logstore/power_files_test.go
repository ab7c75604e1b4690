package logstore_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestPowerLossAtEveryOperation lets a single member write, take snapshots and
// prune its log, and cuts the power before every operation of its disk. The member
// must come back with all that it had acknowledged, regardless of how much of the
// unsynced data is lost.
func TestPowerLossAtEveryOperation(t *testing.T) {
	t.Parallel()
	config := testutil.FastConsensus()
	config.BootstrapDelay = consensus.None
	w := newWitness(t, config, 1)
	w.await(0, online)
	w.watch()
	w.noteUntilRemoved(".snapshot", 3)
	w.check()
}

// TestPowerLossDuringRecovery recovers a group from one member and cuts the power
// before every operation of that member's disk. The member must come back in the
// old or in the new epoch, with all that was acknowledged.
func TestPowerLossDuringRecovery(t *testing.T) {
	t.Parallel()
	w := newWitness(t, testutil.FastConsensus(), 3)
	for i := range w.groups {
		w.await(i, func(s consensus.Status) bool { return s.Settled })
	}
	for range 30 {
		w.must(w.groups[0], 0)
	}
	for _, net := range w.nets[1:] {
		if err := net.Close(); err != nil {
			t.Fatal(err)
		}
	}
	w.await(0, func(s consensus.Status) bool { return s.Stalled })
	w.watch()
	if err := w.groups[0].Recover(soon(t)); err != nil {
		t.Fatal(err)
	}
	w.noteUntilRemoved("estate", 1)
	w.check()
	if n := w.count("rename", "estate"); n != 1 {
		t.Errorf("%d estate files were renamed, want 1", n)
	}
}

func online(s consensus.Status) bool { return s.Online }

// witness is a group that keeps the crash states of its first member's disk, one
// for each operation.
type witness struct {
	faulty
	config consensus.Config
	policy consensus.Policy
	keys   []ed25519.PrivateKey
	nets   []*mosaik.Network
	draw   *rand.Rand

	seeing sync.Mutex // guards the fields below
	kinds  map[string]int
	left   []remains
}

// remains are the state of the disk after a power cut before an operation.
type remains struct {
	before faultfs.Op
	lost   string // how much of the unsynced data: all or some
	disk   *faultfs.FS
	acked  []int
}

func newWitness(t *testing.T, config consensus.Config, members int) *witness {
	w := &witness{
		faulty: faulty{t: t}, config: config, policy: consensus.Policy{Expected: members},
		kinds: map[string]int{}, draw: rand.New(rand.NewPCG(uint64(members), 5)),
	}
	for i := range members {
		seed := sm.ID(fmt.Sprint(t.Name(), i))
		w.dirs, w.disks = append(w.dirs, t.TempDir()), append(w.disks, faultfs.New())
		w.keys = append(w.keys, ed25519.NewKeyFromSeed(seed[:]))
		var seeds []string
		for _, net := range w.nets {
			seeds = append(seeds, net.Addr().String())
		}
		net, g, err := w.open(i, w.dirs[i], w.disks[i], seeds)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := net.Close(); err != nil {
				t.Error(err)
			}
		})
		w.nets, w.groups = append(w.nets, net), append(w.groups, g)
	}
	return w
}

// open opens the network of member i and joins its group.
func (w *witness) open(i int, dir string, disk *faultfs.FS, seeds []string) (*mosaik.Network, ledgerGroup, error) {
	net, err := mosaik.Open(w.t.Context(), mosaik.NetworkID(w.t.Name()), mosaik.WithIdentity(w.keys[i]), mosaik.WithDir(dir),
		mosaik.WithListen("127.0.0.1:0"), mosaik.WithSeeds(seeds...), mosaik.WithTick(10*time.Millisecond),
		mosaik.WithLeaveTimeout(0), mosaik.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, nil, err
	}
	key, err := mosaik.KeyFromDigest(sm.ID(w.t.Name()))
	if err != nil {
		return nil, nil, errors.Join(err, net.Close())
	}
	b := net.Groups().WithKey(key).WithConsensusConfig(w.config).WithMembership(w.policy)
	g, err := mosaik.WithStateMachine(b, newLedger).WithSnapshots(10, 1<<20).
		WithLogStorage(logstore.DiskOn[note](disk, 16<<10)).Join(w.t.Context())
	if err != nil {
		return nil, nil, errors.Join(err, net.Close())
	}
	return net, g, nil
}

// await waits until so is true for a member's status.
func (w *witness) await(i int, so func(consensus.Status) bool) {
	w.t.Helper()
	if _, err := awaitStatus(soon(w.t), w.groups[i], so); err != nil {
		w.t.Fatal(err)
	}
}

func awaitStatus(ctx context.Context, g ledgerGroup, so func(consensus.Status) bool) (consensus.Status, error) {
	for s := range g.When().Statuses(ctx) {
		if so(s) {
			return s, nil
		}
	}
	return consensus.Status{}, fmt.Errorf("the group ended, or its status did not change in time: %w", g.When().Online(ctx))
}

// watch starts recording the crash states of the first member's disk at each
// operation.
func (w *witness) watch() {
	disk := w.disks[0]
	disk.Inject(func(op faultfs.Op) error {
		w.mu.Lock()
		acked := slices.Clone(w.acked) // before the power is cut
		w.mu.Unlock()
		w.seeing.Lock()
		defer w.seeing.Unlock()
		w.kinds[op.Kind+" "+filepath.Base(op.Name)]++
		w.left = append(w.left, remains{op, "all", disk.Crash(nil), acked}, remains{op, "some", disk.Crash(w.draw), acked})
		return nil
	})
}

// noteUntilRemoved notes numbers through the first member until the given number of
// files with the name were removed.
func (w *witness) noteUntilRemoved(name string, files int) {
	w.t.Helper()
	for tries := 0; w.count("remove", name) < files; tries++ {
		if tries == 1000 {
			w.t.Fatalf("%d of %d files named %s were removed", w.count("remove", name), files, name)
		}
		w.must(w.groups[0], 0)
	}
}

// count returns the number of operations of a kind on files whose name contains
// name.
func (w *witness) count(kind, name string) (n int) {
	w.seeing.Lock()
	defer w.seeing.Unlock()
	for what, times := range w.kinds {
		if strings.HasPrefix(what, kind+" ") && strings.Contains(what, name) {
			n += times
		}
	}
	return n
}

// check restarts the first member from every recorded crash state.
func (w *witness) check() {
	w.t.Helper()
	if err := w.nets[0].Close(); err != nil {
		w.t.Fatal(err)
	}
	w.seeing.Lock()
	defer w.seeing.Unlock()
	w.config.ElectionTimeout, w.config.ElectionJitter = 80*time.Millisecond, consensus.None
	places, ctx := w.t.TempDir(), soon(w.t)
	next := make(chan remains)
	var checking sync.WaitGroup
	for range 16 {
		checking.Go(func() {
			for r := range next {
				if err := w.comesBack(ctx, places, r); err != nil {
					w.t.Errorf("power cut before operation %d, %s %s; %s of the unsynced data is lost: %v", r.before.N, r.before.Kind, r.before.Name, r.lost, err)
				}
			}
		})
	}
	for _, r := range w.left {
		next <- r
	}
	close(next)
	checking.Wait()
	w.t.Logf("came back %d times", len(w.left))
}

// comesBack restarts the first member from a crash state, without the other
// members.
func (w *witness) comesBack(ctx context.Context, places string, r remains) (err error) {
	dir, err := os.MkdirTemp(places, "")
	if err != nil {
		return err
	}
	r.disk.Move(w.dirs[0], dir)
	net, g, err := w.open(0, dir, r.disk, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, net.Close()) }()
	for {
		s, err := awaitStatus(ctx, g, func(s consensus.Status) bool { return s.Online || s.Stalled })
		if err == nil && !s.Online {
			err = g.Recover(ctx)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, mosaik.ErrPrecondition) && !errors.Is(err, mosaik.ErrForming) {
			return err
		} // it came back as the only voter of the new epoch and has not elected itself yet
	}
	_, err = mosaik.Read(ctx, g, mosaik.Strong, func(l *ledger) (any, error) {
		var errs []error
		for _, n := range r.acked {
			if l.noted[n] != 1 {
				errs = append(errs, fmt.Errorf("the acknowledged number %d was noted %d times", n, l.noted[n]))
			}
		}
		return nil, errors.Join(errs...)
	})
	return err
}
