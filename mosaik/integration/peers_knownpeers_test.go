package integration_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// wanderer is a member with a directory, whose address may change.
type wanderer struct {
	t     *testing.T
	id    sm.Digest
	key   mosaik.GroupKey
	dir   string
	addr  string
	seeds []string
	book  *logbook
	net   *mosaik.Network
	group tillGroup
}

// freeAddr returns a loopback address at which nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func newWanderers(t *testing.T, n int) []*wanderer {
	t.Helper()
	all := make([]*wanderer, n)
	key := mosaik.RandomKey()
	for i := range all {
		all[i] = &wanderer{t: t, id: mosaik.NetworkID(t.Name()), key: key, dir: t.TempDir(), addr: freeAddr(t)}
		if i > 0 {
			all[i].seeds = []string{all[0].addr}
		}
	}
	return all
}

// start opens the network and joins.
func (w *wanderer) start() {
	w.t.Helper()
	w.book = newLogbook()
	n, err := mosaik.Open(w.t.Context(), w.id, mosaik.WithDir(w.dir), mosaik.WithListen(w.addr),
		mosaik.WithSeeds(w.seeds...), mosaik.WithTick(10*time.Millisecond), w.book.option())
	if err != nil {
		w.t.Fatal(err)
	}
	w.net = n
	w.t.Cleanup(func() { _ = n.Close() })
	w.group, err = mosaik.WithStateMachine(n.Groups().WithKey(w.key).WithConsensusConfig(testutil.FastConsensus()).
		WithMembership(consensus.Policy{Expected: 3}), newTill).WithLogStorage(logstore.Disk[step]()).Join(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *wanderer) stop() {
	w.t.Helper()
	if err := w.net.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func settleAll(t *testing.T, all []*wanderer) {
	t.Helper()
	for i, w := range all {
		if err := w.group.When().Settled(soon(t)); err != nil {
			t.Fatalf("member %d has not settled: %v; it waits for %q", i, err, w.group.Status().Waits)
		}
	}
}

// TestMovedMembersFindEachOther has members come back after they and others have
// moved, with no seed but an address of the past. The directory knows where the
// others were, on one side at least.
func TestMovedMembersFindEachOther(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("members restart several times")
	}
	for name, moved := range map[string][]int{ // in the order in which they come back
		"the seed moved":             {0},
		"the others moved":           {1, 2},
		"all but one moved together": {0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := newWanderers(t, 3)
			old := all[0].addr
			for _, w := range all {
				w.start()
			}
			settleAll(t, all)
			mustPay(t, all[0].group, 7)
			// One member is away while others move.
			away := 2
			if moved[len(moved)-1] == 2 {
				away = 0
			}
			all[away].stop()
			for _, i := range moved {
				all[i].stop()
			}
			for _, i := range moved {
				all[i].addr = freeAddr(t)
				all[i].seeds = nil
				if i > 0 {
					all[i].seeds = []string{old} // where nobody is, or the member that is away
				}
				all[i].start()
			}
			all[away].seeds = nil
			all[away].start()
			settleAll(t, all)
			if got := mustPay(t, all[away].group, 1); got != 8 {
				t.Errorf("the till holds %d, want 8", got)
			}
		})
	}
}

// TestDamagedKnownPeers starts with a file of known peers that is missing, damaged,
// or as long as a disk. That is logged, and nothing else comes of it; the file is
// written again.
func TestDamagedKnownPeers(t *testing.T) {
	t.Parallel()
	id := mosaik.NetworkID(t.Name())
	seed := openNetwork(t, id)
	for name, damage := range map[string]func(file string) error{
		"missing": os.Remove,
		"empty":   func(file string) error { return os.WriteFile(file, nil, 0o600) },
		"changed": func(file string) error {
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 1
			return os.WriteFile(file, b, 0o600)
		},
		"long":        func(file string) error { return os.Truncate(file, 1<<40) },
		"a directory": func(file string) error { _ = os.Remove(file); return os.Mkdir(file, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "peers")
			open := func() (*mosaik.Network, *logbook) {
				t.Helper()
				book := newLogbook()
				n, err := mosaik.Open(t.Context(), id, mosaik.WithDir(dir), mosaik.WithSeeds(seed.Addr().String()), book.option())
				if err != nil {
					t.Fatal(err)
				}
				if err := n.Connected(soon(t)); err != nil {
					t.Fatal(err)
				}
				return n, book
			}
			n, _ := open()
			awaitListed(t, n, seed.Self(), 0, 0)
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(whole), seed.Addr().String()) {
				t.Fatalf("the file of known peers does not hold %s", seed.Addr())
			}
			if err := damage(file); err != nil {
				t.Fatal(err)
			}
			n, book := open()
			awaitListed(t, n, seed.Self(), 0, 0)
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			err = book.wait(gone(), "level=WARN", "file of known peers ignored", file)
			if missing := name == "missing"; (err == nil) == missing {
				t.Errorf("a warning: %v, want one: %v", err == nil, !missing)
			}
			if name == "a directory" {
				return
			}
			again, err := os.ReadFile(file)
			if err != nil || !strings.Contains(string(again), seed.Addr().String()) {
				t.Errorf("the file was not written again: %d bytes, error %v", len(again), err)
			}
		})
	}
}

// TestKnownPeersKeepNoLeavers has a process of no group close its network: another
// one forgets it at once, and does not look for it after a restart.
func TestKnownPeersKeepNoLeavers(t *testing.T) {
	t.Parallel()
	id, dir := mosaik.NetworkID(t.Name()), t.TempDir()
	book := newLogbook()
	n := openNetwork(t, id, mosaik.WithDir(dir), book.option())
	var others []*mosaik.Network
	for range 2 {
		other, err := mosaik.Open(t.Context(), id, mosaik.WithSeeds(n.Addr().String()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = other.Close() })
		awaitListed(t, n, other.Self(), 0, 0)
		others = append(others, other)
	}
	g, err := others[0].Groups().WithKey(mosaik.RandomKey()).Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	for _, other := range others {
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		if err := book.wait(soon(t), "forgot a peer that left", other.Self().Short()); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.Peers(); len(got) != 0 {
		t.Errorf("%d peers are known, want none", len(got))
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "peers"))
	if err != nil || strings.Contains(string(content), "127.0.0.1") {
		t.Errorf("the file of known peers holds %s, error %v; want no address", fmt.Sprintf("%q", content), err)
	}
}
