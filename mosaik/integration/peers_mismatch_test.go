package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// safe is a till of another name, and so another machine.
type safe struct{ till }

func (*safe) Spec() sm.Spec[step] { return sm.Define[step]("safe", 1) }

// TestMismatchIsReported lets a process join with a different key, machine, timing or validator
// than two others, which form a group without it. The process reports the mismatch in its
// status, in its Waits and in one warning. The others report nothing.
func TestMismatchIsReported(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a mismatch is reported after some seconds")
	}
	type stats interface{ Status() consensus.Status }
	for name, join := range map[string]func(t *testing.T, b mosaik.KeyedBuilder, groups *mosaik.Groups) (stats, error){
		"key": func(t *testing.T, _ mosaik.KeyedBuilder, groups *mosaik.Groups) (stats, error) {
			b := groups.WithKey(mosaik.RandomKey()).WithConsensusConfig(testutil.FastConsensus()).WithMembership(expecting2)
			return mosaik.WithStateMachine(b, newTill).Join(t.Context())
		},
		"machine": func(t *testing.T, b mosaik.KeyedBuilder, _ *mosaik.Groups) (stats, error) {
			return mosaik.WithStateMachine(b, func() *safe { return &safe{} }).Join(t.Context())
		},
		"timing": func(t *testing.T, b mosaik.KeyedBuilder, _ *mosaik.Groups) (stats, error) {
			more := testutil.FastConsensus().MaxMissedHeartbeats + 1
			b = b.WithConsensusConfig(fast(consensus.Config{MaxMissedHeartbeats: more}))
			return mosaik.WithStateMachine(b, newTill).Join(t.Context())
		},
		"validator": func(t *testing.T, b mosaik.KeyedBuilder, _ *mosaik.Groups) (stats, error) {
			return mosaik.WithStateMachine(b, newTill).RequireTicket(openDoor{}).Join(t.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, key := mosaik.NetworkID(t.Name()), mosaik.RandomKey()
			builder := func(n *mosaik.Network) mosaik.KeyedBuilder {
				return n.Groups().WithKey(key).WithConsensusConfig(testutil.FastConsensus()).WithMembership(expecting2)
			}
			tick := mosaik.WithTick(10 * time.Millisecond)
			var seeds []string
			var books []*logbook
			var members []tillGroup
			for range 2 {
				book := newLogbook()
				n := openNetwork(t, id, mosaik.WithSeeds(seeds...), tick, book.option(), mosaik.WithLeaveTimeout(0))
				g, err := mosaik.WithStateMachine(builder(n), newTill).Join(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				seeds, books, members = append(seeds, n.Addr().String()), append(books, book), append(members, g)
			}
			for _, g := range members {
				if err := g.When().Online(soon(t)); err != nil {
					t.Fatal(err)
				}
			}
			book := newLogbook()
			odd := openNetwork(t, id, mosaik.WithSeeds(seeds...), tick, book.option(), mosaik.WithLeaveTimeout(0))
			g, err := join(t, builder(odd), odd.Groups())
			if err != nil {
				t.Fatal(err)
			}
			const message = "connected peers announce other groups and none announces this one"
			right := members[0].ID().Short()
			if err := book.wait(soon(t), "level=WARN", message, "peers=2", right, "key", "machine", "heartbeat", "validators"); err != nil {
				t.Fatal(err)
			}
			s := g.Status()
			if s.Mismatch == nil || s.Mismatch.Peers != 2 || len(s.Mismatch.Groups) != 1 || s.Mismatch.Groups[0] != members[0].ID() {
				t.Errorf("the mismatch in the status is %v, want 2 peers and group %s", s.Mismatch, right)
			}
			for _, want := range []string{right, "2 connected peers", "key", "machine", "heartbeat", "validators"} {
				if !strings.Contains(s.Waits, want) {
					t.Errorf("it waits for %q, want %q in it", s.Waits, want)
				}
			}
			for i, g := range members {
				if s := g.Status(); s.Mismatch != nil {
					t.Errorf("member %d reports a mismatch: %v", i, s.Mismatch)
				}
				if err := books[i].wait(gone(), message); err == nil {
					t.Errorf("member %d warns of a mismatch", i)
				}
			}
			if n := book.count(message); n != 1 {
				t.Errorf("%d warnings, want 1", n)
			}
		})
	}
}

var expecting2 = consensus.Policy{Expected: 2}

// TestRefusingResolver has the errors of two seeds each name another port, as those
// of a resolver do, and counts the lines.
func TestRefusingResolver(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	book := newLogbook()
	refuse := newRefusing()
	n := openNetwork(t, mosaik.NetworkID(t.Name()), mosaik.WithSeeds("127.0.0.8:7000", "127.0.0.9:7000"),
		mosaik.WithDialer(refuse.dial), book.option())
	refuse.await(t, 10)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for _, seed := range []string{"127.0.0.8:7000", "127.0.0.9:7000"} {
		if n := book.count("seed=" + seed); n != 1 {
			t.Errorf("%d lines about seed %s after 10 failures, want 1:\n%s", n, seed, book.text.String())
		}
	}
}

var errRefuses = errors.New("connection refused")

// refusing is a dialer whose every error names another port.
type refusing struct{ tries chan string }

func newRefusing() *refusing { return &refusing{make(chan string, 1000)} }

func (r *refusing) dial(_ context.Context, _, addr string) (net.Conn, error) {
	r.tries <- addr
	from := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40_000 + len(r.tries)}
	return nil, &net.DNSError{Err: fmt.Sprintf("read udp %v->127.0.0.53:53: %v", from, errRefuses), Name: addr, Server: "127.0.0.53:53"}
}

// await waits until there were n tries.
func (r *refusing) await(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-r.tries:
		case <-soon(t).Done():
			t.Fatal("the seeds are not tried again")
		}
	}
}
