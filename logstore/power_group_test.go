package logstore_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/testutil"
)

var powerSeeds = flag.Uint64("power", 2, "run TestPowerLossUnderAGroup with `n` random groups")

// TestPowerLossUnderAGroup cuts the power of one member or of all at random
// operations of a disk, under load. A random part of the unsynced data is lost. All
// acknowledged commands must be there afterwards, and none twice.
func TestPowerLossUnderAGroup(t *testing.T) {
	t.Parallel()
	for seed := range *powerSeeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			testPowerLoss(t, rand.New(rand.NewPCG(seed, 3)))
		})
	}
}

func testPowerLoss(t *testing.T, draw *rand.Rand) {
	f := newFaultyWith(t, 40, 1<<20)
	f.joinAll()
	for round := range 4 {
		stop := f.load()
		dark := []int{draw.IntN(3)}
		f.losePower(dark[0], 1+draw.IntN(300), draw)
		if round%2 == 0 || draw.IntN(2) == 0 { // all of them, one right after the other
			for i, disk := range f.disks {
				if i != dark[0] {
					f.disks[i] = disk.PowerOff(draw)
					dark = append(dark, i)
				}
			}
		}
		for _, i := range dark {
			f.Node(i).Crash()
		}
		for _, i := range dark {
			f.Node(i).Restart()
			f.join(i)
		}
		testutil.Settle(t, f.groups...)
		stop()
		f.works(f.groups...)
		f.wantAcked(f.groups...)
	}
	if n := len(f.acked); n < 50 {
		t.Errorf("only %d commands were acknowledged", n)
	}
}

// losePower cuts the power of a disk after a number of operations, and returns
// then. It replaces the disk by what the power cut left.
func (f *faulty) losePower(i, operations int, draw *rand.Rand) {
	f.t.Helper()
	disk, left := f.disks[i], make(chan *faultfs.FS, 1)
	at := disk.Ops() + operations
	var once sync.Once
	disk.Inject(func(op faultfs.Op) error {
		if op.N >= at {
			once.Do(func() { left <- disk.PowerOff(draw) })
		}
		return nil
	})
	select {
	case f.disks[i] = <-left:
	case <-soon(f.t).Done():
		f.t.Fatalf("the disk of node %d has no operations", i)
	}
}

// load executes commands on every member until the member ends or stop is called. stop
// waits for the commands in flight.
func (f *faulty) load() (stop func()) {
	ctx, cancel := context.WithCancel(soon(f.t))
	var callers sync.WaitGroup
	for _, g := range f.groups {
		for range 2 {
			callers.Go(func() {
				for ctx.Err() == nil {
					if err := f.note(ctx, g); err != nil && g.When().Online(ctx) != nil {
						return // the member has ended
					}
				}
			})
		}
	}
	return func() {
		cancel()
		callers.Wait()
	}
}
