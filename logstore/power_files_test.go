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

// TestPowerLossAtEveryOperation lets a lone member write, take snapshots and prune
// its log, and cuts the power before every operation of its disk. Whatever is
// left of what was not synced, the member comes back with all that it had
// acknowledged.
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

// TestPowerLossDuringRecovery cuts the power before every operation of the disk of
// a member from which its group is recovered. It comes back as what it was, or as
// the new epoch, with all that was acknowledged.
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
		t.Errorf("%d estates came, want one", n)
	}
}

func online(s consensus.Status) bool { return s.Online }

// witness is a group, and what was left of its first member's disk at every moment.
type witness struct {
	faulty
	config consensus.Config
	policy consensus.Policy
	keys   []ed25519.PrivateKey
	nets   []*mosaik.Network
	draw   *rand.Rand

	seeing sync.Mutex // guards what follows
	kinds  map[string]int
	left   []remains
}

// remains are what a power cut before an operation left.
type remains struct {
	before faultfs.Op
	lost   string // what was not synced: all or some
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

// open joins with one of the members.
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

// await waits until a member says so.
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
	return consensus.Status{}, fmt.Errorf("the group ended, or nothing happens: %w", g.When().Online(ctx))
}

// watch notes from now on what is left at each operation of the first member's disk.
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

// noteUntilRemoved notes numbers through the first member until so many of the files
// that are named so were removed.
func (w *witness) noteUntilRemoved(name string, files int) {
	w.t.Helper()
	for tries := 0; w.count("remove", name) < files; tries++ {
		if tries == 1000 {
			w.t.Fatalf("%d of %d files named %s were removed", w.count("remove", name), files, name)
		}
		w.must(w.groups[0], 0)
	}
}

// count returns how many operations of a kind there were on files that are named so.
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

// check lets the first member come back from everything that was left.
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
					w.t.Errorf("power cut before operation %d, %s %s; %s of what was not synced is lost: %v", r.before.N, r.before.Kind, r.before.Name, r.lost, err)
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

// comesBack lets the first member come back from what was left, alone.
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
		} // it came back as the new epoch's only voter, which had not elected itself yet
	}
	_, err = mosaik.Read(ctx, g, mosaik.Strong, func(l *ledger) (any, error) {
		var errs []error
		for _, n := range r.acked {
			if l.noted[n] != 1 {
				errs = append(errs, fmt.Errorf("it noted %d, which was acknowledged, %d times", n, l.noted[n]))
			}
		}
		return nil, errors.Join(errs...)
	})
	return err
}
