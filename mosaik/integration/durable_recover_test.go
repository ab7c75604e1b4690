package integration_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestDurableRecover recovers a group with logs on disk from one of its members,
// whose process dies at one of the steps. Nothing of what it held may be lost.
func TestDurableRecover(t *testing.T) {
	t.Parallel()
	for step := range 8 {
		t.Run(fmt.Sprintf("dies at save %d by log", step), func(t *testing.T) {
			t.Parallel()
			testDurableRecover(t, newTill, nil, int64(step))
		})
		t.Run(fmt.Sprintf("dies at save %d by snapshot", step), func(t *testing.T) {
			t.Parallel()
			testDurableRecover(t, newKeptTill, nil, int64(step))
		})
		if testing.Short() || step == 0 || step > 3 { // later the levels are in the new log
			continue
		}
		t.Run(fmt.Sprintf("dies at save %d by log, with levels", step), func(t *testing.T) {
			t.Parallel()
			testDurableRecover(t, newShop(2), newShop(1), int64(step))
		})
		t.Run(fmt.Sprintf("dies at save %d by snapshot, with levels", step), func(t *testing.T) {
			t.Parallel()
			testDurableRecover(t, newKeptShop(2), newKeptShop(1), int64(step))
		})
	}
}

// testDurableRecover lets the failAt-th save of a recovery fail, none if it is 0. If
// there is an older program, that is refused wherever the recovery stands.
func testDurableRecover[M holder](t *testing.T, newMachine, older func() M, failAt int64) {
	d := newDurables(t, newMachine)
	countdown := new(atomic.Int64)
	d.joinWith(0, faultyStorage{countdown, logstore.Disk[step]()})
	d.join(1)
	d.join(2)
	testutil.Settle(t, d.groups...)
	const paid = 30
	for range paid {
		d.pay(d.groups[0])
	}
	d.Node(1).Crash()
	d.Node(2).Crash()
	stalls := func() {
		t.Helper()
		for s := range d.groups[0].When().Statuses(soon(t)) {
			if s.Stalled || s.Online {
				return
			}
		}
		t.Fatal("the member that is left ended")
	}
	for s := range d.groups[0].When().Statuses(soon(t)) {
		if s.Stalled {
			break
		}
	}
	old := d.groups[0].Status().Epoch
	countdown.Store(failAt)
	err := d.groups[0].Recover(soon(t))
	if failAt == 0 && err != nil {
		t.Fatal(err)
	}
	if err != nil {
		wantError(t, "recover on a disk that fails", err, errDisk)
		d.Node(0).Crash()
		d.Node(0).Restart()
		if older != nil {
			_, err := mosaik.WithStateMachine(d.Node(0).Builder(), older).WithLogStorage(logstore.Disk[step]()).Join(t.Context())
			outdatedBy(t, "an older program", err, 2, 1)
		}
		d.join(0)
		if stalls(); d.groups[0].Status().Stalled {
			if now := d.groups[0].Status().Epoch; now != old {
				t.Errorf("the new epoch %s has stalled, and its only member is here", now)
			}
			if err := d.groups[0].Recover(soon(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.wantPaid(paid, d.groups[0])
	for i := 1; i <= 2; i++ {
		d.Node(i).Restart()
		d.join(i)
	}
	testutil.Settle(t, d.groups...)
	d.pay(d.groups[1])
	d.wantPaid(paid+1, d.groups...)
	if s := d.groups[2].Status(); s.Recoveries != 1 || s.Epoch == old {
		t.Errorf("recovered %d times, epoch %s; want once, from %s", s.Recoveries, s.Epoch, old)
	}
}

// TestDurableRecoverAlone recovers a group from a member that came back alone.
// Its log does not say that the last commands were committed, but holds them.
func TestDurableRecoverAlone(t *testing.T) {
	t.Parallel()
	t.Run("by log", func(t *testing.T) {
		t.Parallel()
		testDurableRecoverAlone(t, newTill)
	})
	t.Run("by snapshot", func(t *testing.T) {
		t.Parallel()
		testDurableRecoverAlone(t, newKeptTill)
	})
}

func testDurableRecoverAlone[M holder](t *testing.T, newMachine func() M) {
	d := newDurables(t, newMachine)
	d.joinAll()
	const paid = 30
	for range paid {
		d.pay(d.groups[0])
	}
	d.wantPaid(paid, d.groups...) // a strong read: all have applied it
	for i := range d.groups {
		d.Node(i).Crash()
	}
	d.Node(1).Restart()
	g := d.join(1)
	for s := range g.When().Statuses(soon(t)) {
		if s.Stalled {
			break
		}
	}
	if err := g.Recover(soon(t)); err != nil {
		t.Fatal(err)
	}
	d.wantPaid(paid, g)
}

// TestDurableFormation ends all members again and again while they form their
// group: what is half formed must not keep them from forming it in the end.
func TestDurableFormation(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			draw := rand.New(rand.NewPCG(seed, 7))
			d := newDurables(t, newTill)
			for range 4 {
				for i := range d.groups {
					d.join(i)
				}
				time.Sleep(time.Duration(draw.Int64N(int64(80 * time.Millisecond)))) // when is what the seed draws
				for _, i := range draw.Perm(len(d.groups)) {
					d.Node(i).Crash()
				}
				for i := range d.groups {
					d.Node(i).Restart()
				}
			}
			d.joinAll()
			d.pay(d.groups[0])
			d.wantPaid(1, d.groups...)
		})
	}
}
