package integration_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// alarms is a [slog.Handler] that keeps what is logged at the level warn and above.
type alarms struct {
	mu    *sync.Mutex
	lines *[]string
	attrs string
}

func newAlarms() alarms { return alarms{mu: &sync.Mutex{}, lines: &[]string{}} }

func (a alarms) Enabled(context.Context, slog.Level) bool { return true }
func (a alarms) WithGroup(string) slog.Handler            { return a }
func (a alarms) WithAttrs(attrs []slog.Attr) slog.Handler {
	a.attrs += fmt.Sprint(attrs)
	return a
}

func (a alarms) Handle(_ context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return nil
	}
	line := r.Level.String() + " " + r.Message + a.attrs
	r.Attrs(func(at slog.Attr) bool { line += " " + at.String(); return true })
	a.mu.Lock()
	defer a.mu.Unlock()
	*a.lines = append(*a.lines, line)
	return nil
}

func (a alarms) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(*a.lines)
}

// TestHealthyStartLogsNothingAlarming starts three members in the order of their
// numbers and in the opposite one, with all addresses as seeds or those of the
// members before, with logs in memory and on disk, has them restart or leave in
// order, and expects no line at the level warn or above.
func TestHealthyStartLogsNothingAlarming(t *testing.T) {
	t.Parallel()
	for _, reverse := range []bool{false, true} {
		for _, all := range []bool{false, true} {
			for _, disk := range []bool{false, true} {
				t.Run(fmt.Sprintf("reverse %v, all seeds %v, disk %v", reverse, all, disk), func(t *testing.T) {
					t.Parallel()
					testHealthyStart(t, reverse, all, disk)
				})
			}
		}
	}
}

func testHealthyStart(t *testing.T, reverse, allSeeds, disk bool) {
	id, key := mosaik.NetworkID(t.Name()), mosaik.RandomKey()
	addrs, dirs := make([]string, 3), make([]string, 3)
	for i := range addrs {
		addrs[i], dirs[i] = freeAddr(t), t.TempDir()
	}
	// A busy machine may stop a process for longer than elections take elsewhere.
	timing := fast(consensus.Config{ElectionTimeout: 5 * time.Second})
	book := newAlarms()
	nets, groups := make([]*mosaik.Network, 3), make([]tillGroup, 3)
	start := func(i int) {
		t.Helper()
		seeds := addrs
		if !allSeeds {
			seeds = slices.Clone(addrs[:i])
			if reverse {
				seeds = slices.Clone(addrs[i+1:])
			}
		}
		options := []mosaik.Option{mosaik.WithListen(addrs[i]), mosaik.WithSeeds(seeds...), mosaik.WithLogger(slog.New(book)), mosaik.WithTick(10 * time.Millisecond)}
		if disk {
			options = append(options, mosaik.WithDir(dirs[i]))
		}
		n, err := mosaik.Open(t.Context(), id, options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		b := mosaik.WithStateMachine(n.Groups().WithKey(key).WithConsensusConfig(timing).
			WithMembership(consensus.Policy{Expected: 3}), newTill)
		var g tillGroup
		if disk {
			g, err = b.WithLogStorage(logstore.Disk[step]()).Join(t.Context())
		} else {
			g, err = b.Join(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		nets[i], groups[i] = n, g
	}
	order := []int{0, 1, 2}
	if reverse {
		slices.Reverse(order)
	}
	settle := func() {
		t.Helper()
		for _, g := range groups {
			if err := g.When().Settled(soon(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, i := range order {
		start(i)
	}
	settle()
	mustPay(t, groups[0], 1)
	last := order[2]
	if err := nets[last].Close(); err != nil {
		t.Fatal(err)
	}
	start(last)
	settle()
	mustPay(t, groups[0], 1)
	for _, n := range nets {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if n == nets[0] {
			break // the others lose their quorum, one after the other
		}
	}
	if got := book.all(); len(got) > 0 {
		t.Errorf("%d alarming lines:\n%s", len(got), strings.Join(got, "\n"))
	}
}
