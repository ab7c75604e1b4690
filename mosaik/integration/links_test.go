package integration_test

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/mosaik/internal/link/proxytest"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// proxied opens n networks that reach each other through proxies, one before each.
func proxied(t *testing.T, n int) (nets []*mosaik.Network, proxies []*proxytest.Proxy) {
	t.Helper()
	id := mosaik.NetworkID("proxied/" + t.Name())
	var seeds []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		proxy := proxytest.New(t, l.Addr().String())
		nets = append(nets, openNetwork(t, id, mosaik.WithListener(l), mosaik.WithAdvertise(proxy.Addr()),
			mosaik.WithSeeds(seeds...), mosaik.WithTick(10*time.Millisecond), mosaik.WithDialer(proxytest.Dial),
			mosaik.WithLogger(slog.New(slog.DiscardHandler))))
		proxies = append(proxies, proxy)
		seeds = append(seeds, proxy.Addr())
	}
	return nets, proxies
}

// joinOn joins a group of which two members are expected.
func joinOn(t *testing.T, key mosaik.GroupKey, config consensus.Config, nets ...*mosaik.Network) (groups []tillGroup) {
	t.Helper()
	for _, n := range nets {
		g, err := mosaik.WithStateMachine(n.Groups().WithKey(key).WithConsensusConfig(config).
			WithMembership(consensus.Policy{Expected: 2}), newTill).Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, g)
	}
	return groups
}

// A network loses Raft's connections silently while the bonds live: those to a follower,
// or those of the whole group. The group continues.
func TestSilentConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	for name, all := range map[string]bool{"a follower": false, "the whole group": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nets, proxies := proxied(t, 3)
			// The group elects while it replaces its connections, which takes CPU time.
			config := fast(consensus.Config{ElectionTimeout: time.Second})
			groups := joinOn(t, mosaik.RandomKey(), config, nets...)
			testutil.Settle(t, groups...)
			mustPay(t, groups[0], 1)
			wantSum(t, 1, groups...)
			leader := groups[0].Status().Leader
			lost := 0
			for i, p := range proxies {
				if all || nets[i].Self() != leader {
					lost += p.Lose(string(link.Raft))
				}
				if !all && lost > 0 {
					break
				}
			}
			if lost == 0 {
				t.Fatal("there is no connection to be lost")
			}
			sum := int64(0)
			for _, g := range groups {
				sum = insistToPay(t, g, 1)
			}
			testutil.Settle(t, groups...)
			wantSum(t, sum, groups...)
		})
	}
}

// insistToPay pays through the member until that is acknowledged, and returns the sum. A group
// that has lost its leader may report that it has no quorum before it elects another one.
func insistToPay(t *testing.T, g tillGroup, n int64) int64 {
	t.Helper()
	for {
		got, err := mosaik.Execute(soon(t), g, pay(n))
		if err == nil {
			return got.Value
		}
		if !errors.Is(err, mosaik.ErrStalled) {
			t.Fatalf("pay %d: %v", n, err)
		}
		if err := g.When().Online(soon(t)); err != nil {
			t.Fatal(err)
		}
	}
}

// A member joins behind a link of 60 kB a second, over which it catches up by log. It is
// sent little more than once what the group has.
func TestNarrowLink(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	t.Parallel()
	const commands, size, rate = 80, 10_000, 60_000
	nets, proxies := proxied(t, 3)
	key := mosaik.RandomKey()
	groups := joinOn(t, key, testutil.FastConsensus(), nets[:2]...)
	testutil.Settle(t, groups...)
	for range commands {
		// A verb that no till knows: it is in the log, and changes nothing.
		if _, err := groups[0].Execute(soon(t), step{Verb: strings.Repeat("x", size)}); mosaik.OutcomeOf(err) == mosaik.NotApplied {
			t.Fatal(err)
		}
	}
	mustPay(t, groups[0], 1)
	proxies[2].Limit(rate)
	late := joinOn(t, key, testutil.FastConsensus(), nets[2])
	if err := late[0].When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	wantSum(t, 1, late...)
	if got, most := proxies[2].Bytes(string(link.Raft)), commands*size*3/2; got > most {
		t.Errorf("%d bytes were carried for a log of %d; want %d at most", got, commands*size, most)
	}
}

// A member that cannot be dialled takes part in the group like the others, which ask it to
// connect to them. Both sides report that.
func TestMemberBehindNAT(t *testing.T) {
	t.Parallel()
	const hidden = 2
	books := []*logbook{newLogbook(), newLogbook(), newLogbook()}
	c := testutil.NewCluster(t, 3, testutil.WithNodeOptions(func(node int) []mosaik.Option {
		opts := []mosaik.Option{books[node].option()}
		if node == hidden {
			opts = append(opts, mosaik.WithAdvertise("127.0.0.1:1"))
		}
		return opts
	}))
	groups := testutil.JoinAll(c, newTill)
	sum := int64(0)
	for _, g := range groups {
		mustPay(t, g, 1)
		sum++
	}
	wantSum(t, sum, groups...)

	// Each member leads for once.
	for i := range groups {
		leader := leaderOf(t, c, groups[0])
		if leader.Index() != i {
			if err := groups[leader.Index()].TransferLeadership(soon(t), c.Node(i).Peer()); err != nil {
				t.Fatal(err)
			}
		}
		mustPay(t, groups[(i+1)%3], 1)
		sum++
		wantSum(t, sum, groups...)
	}
	for i := range hidden {
		wantLink(t, groups[i], c.Node(hidden).Peer(), "cannot be dialled")
		wantLink(t, groups[hidden], c.Node(i).Peer(), "cannot dial this member")
		if n := books[i].count("cannot dial peer at its advertised addresses"); n != 1 {
			t.Errorf("node %d logged %d times that a peer cannot be dialled, want once", i, n)
		}
	}
	if n := books[hidden].count("peer cannot dial this one"); n < 1 || n > 2 {
		t.Errorf("the hidden node logged %d times that it cannot be dialled, want once for each other node", n)
	}

	// The others elect a leader without the first, and so do the hidden one and another.
	c.Node(0).Crash()
	rest := groups[1:]
	newLeader(t, c, rest[0], c.Node(0))
	mustPay(t, rest[0], 1)
	mustPay(t, rest[1], 1)
	wantSum(t, sum+2, rest...)
}

// wantLink checks that the status reports what is wrong with the connections to a peer.
func wantLink(t *testing.T, g tillGroup, peer sm.PeerID, problem string) {
	t.Helper()
	if got := g.Status().LinkErrors[peer]; !strings.Contains(got, problem) {
		t.Errorf("status reports %q of peer %s, want %q", got, peer.Short(), problem)
	}
}
