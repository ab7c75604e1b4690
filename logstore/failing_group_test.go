package logstore_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestFailingDisk fails the disk of one member, the leader's or a follower's. Only the
// group of that member must end, with the cause. Once the disk works, the member must
// continue as the same replica.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct {
		kind  string
		cause error
		err   error
	}{
		"disk full":            {"write", syscall.ENOSPC, fmt.Errorf("%w: %w", syscall.ENOSPC, faultfs.Partial{Bytes: 20})},
		"no room for a file":   {"create", syscall.ENOSPC, syscall.ENOSPC},
		"write fails":          {"write", syscall.EIO, syscall.EIO},
		"sync fails":           {"sync", syscall.EIO, syscall.EIO},
		"directory not synced": {"syncdir", syscall.EIO, syscall.EIO},
	} {
		for _, leads := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, leader=%v", name, leads), func(t *testing.T) {
				t.Parallel()
				testFailingDisk(t, leads, fault.kind, fault.err, fault.cause)
			})
		}
	}
}

func testFailingDisk(t *testing.T, leads bool, kind string, err, cause error) {
	f := newFaulty(t)
	bystander := testutil.JoinAll(f.Cluster, func() sm.NoOp { return sm.NoOp{} })
	f.joinAll()
	f.works(f.groups...)
	broken := f.leader()
	if !leads {
		broken = (broken + 1) % 3
	}
	rest := f.others(broken)
	before := f.incarnation(broken)
	f.disks[broken].Inject(func(op faultfs.Op) error {
		if op.Kind == kind {
			return err
		}
		return nil
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.waitEnded(f.groups[broken])
	}()
	for over := false; !over; {
		f.works(rest...)
		select {
		case <-ended:
			over = true
		default:
		}
	}
	dead := f.groups[broken]
	for what, err := range map[string]error{
		"wait":    dead.When().Online(soon(t)),
		"execute": f.note(soon(t), dead),
	} {
		for _, target := range []error{mosaik.ErrStorage, cause} {
			if !errors.Is(err, target) {
				t.Errorf("%s on the member whose disk failed: error %v, want %v", what, err, target)
			}
		}
		if mosaik.Retryable(err) || !strings.Contains(err.Error(), f.dirs[broken]) {
			t.Errorf("%s on the member whose disk failed: error %v, retryable %v; want the file's name and false", what, err, mosaik.Retryable(err))
		}
	}
	f.works(rest...)
	f.wantAcked(rest...)
	for i, g := range bystander {
		if err := g.When().Settled(soon(t)); err != nil {
			t.Fatalf("node %d, in another group: %v", i, err)
		}
	}

	f.disks[broken].Inject(nil)
	if err := dead.Leave(soon(t)); err != nil && !errors.Is(err, mosaik.ErrStorage) {
		t.Error(err)
	}
	f.join(broken)
	testutil.Settle(t, f.groups...)
	f.works(f.groups...)
	f.wantAcked(f.groups...)
	if after := f.incarnation(broken); after != before {
		t.Errorf("the member came back with incarnation %x, want %x", after, before)
	}
}

// TestFailingDiskEndsIdleGroups fills the disk of a member of two groups, one of
// which is idle. The idle group must end too. Once there is room on the disk, the
// member must be able to join both again.
func TestFailingDiskEndsIdleGroups(t *testing.T) {
	t.Parallel()
	f := newFaulty(t)
	f.joinAll()
	key, err := mosaik.KeyFromDigest(sm.ID("idle"))
	if err != nil {
		t.Fatal(err)
	}
	idle := make([]ledgerGroup, 3)
	join := func(i int) (err error) {
		b := f.Node(i).Net().Groups().WithKey(key).WithConsensusConfig(testutil.FastConsensus())
		storage := logstore.DiskOn[note](f.disks[i], 16<<10)
		idle[i], err = mosaik.WithStateMachine(b.WithMembership(consensus.Policy{Expected: 3}), newLedger).WithLogStorage(storage).Join(t.Context())
		return err
	}
	for i := range idle {
		if err := join(i); err != nil {
			t.Fatal(err)
		}
	}
	testutil.Settle(t, idle...)
	f.works(append(f.groups, idle...)...)

	broken := (f.leader() + 1) % 3
	f.disks[broken].Inject(func(op faultfs.Op) error {
		if op.Kind == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	f.works(f.others(broken)...)
	for what, g := range map[string]ledgerGroup{"the group that saved": f.groups[broken], "the idle one": idle[broken]} {
		f.waitEnded(g)
		err := g.When().Online(soon(t))
		if !errors.Is(err, mosaik.ErrStorage) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s ended with %v, want %v and %v", what, err, mosaik.ErrStorage, syscall.ENOSPC)
		}
		if err := g.Leave(soon(t)); err != nil && !errors.Is(err, mosaik.ErrStorage) {
			t.Errorf("leave %s: %v", what, err)
		}
	}
	if err := join(broken); !errors.Is(err, mosaik.ErrStorage) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("joined while the disk is full: error %v, want %v and %v", err, mosaik.ErrStorage, syscall.ENOSPC)
	}

	f.disks[broken].Inject(nil)
	f.join(broken)
	if err := join(broken); err != nil {
		t.Fatal(err)
	}
	all := append(idle, f.groups...)
	testutil.Settle(t, all...)
	f.works(all...)
}

// incarnation returns the incarnation of a node's member, as another member reports
// it.
func (f *faulty) incarnation(i int) consensus.Incarnation {
	f.t.Helper()
	for _, m := range f.others(i)[0].Status().Members {
		if m.Peer == f.Node(i).Peer() {
			return m.Incarnation
		}
	}
	f.t.Fatalf("node %d is no member", i)
	return consensus.Incarnation{}
}
