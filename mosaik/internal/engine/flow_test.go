package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/mosaik/internal/link/proxytest"
)

// behind puts a proxy before a node. Others reach the node through it from then on.
func (n *node) behind(t testing.TB) *proxytest.Proxy {
	t.Helper()
	addr, err := n.book.Get(n.peer)
	if err != nil {
		t.Fatal(err)
	}
	p := proxytest.New(t, addr)
	n.book.Put(n.peer, p.Addr())
	return p
}

// proxied is a group whose nodes reach each other through proxies, one before each.
func proxied(t testing.TB, n int, change func(*ReplicaConfig)) (*group, []*proxytest.Proxy) {
	t.Helper()
	nodes := cluster(t, n)
	var proxies []*proxytest.Proxy
	for _, node := range nodes {
		proxies = append(proxies, node.behind(t))
	}
	return groupOn(t, nodes, change), proxies
}

// A connection that the network loses silently is replaced, in either direction.
func TestLostConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string][]int{
		"to a follower": {1}, "to the leader": {0}, "to two followers": {1, 2}, "of all": {0, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, proxies := proxied(t, 3, nil)
			lead(t, g.replicas[0], 1)
			must(t, g.replicas[2], "before")
			agree(t, g.recs, 1)
			for _, i := range lost {
				if proxies[i].Lose(string(link.Raft)) == 0 {
					t.Fatalf("there is no connection to node %d to be lost", i+1)
				}
			}
			must(t, g.replicas[0], "after")
			agree(t, g.recs, 2)
			for _, r := range g.replicas {
				if err := r.ReadIndex(enginetest.Within(t)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Connections that are lost repeatedly are also closed at the end that cannot learn of the loss:
// a peer may have few connections.
func TestLostConnectionsAreClosedAtBothEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("loses connections for seconds")
	}
	t.Parallel()
	g, proxies := proxied(t, 2, nil)
	lead(t, g.replicas[0], 1)
	for i := range 20 {
		proxies[1].Lose(string(link.Raft))
		must(t, g.replicas[0], fmt.Sprint(i))
		agree(t, g.recs, i+1)
	}
}

// A replica catches up by log over a link that carries 60 kB a second, also when connections
// break, and receives the entries little more than once.
func TestNarrowLinkCatchesUp(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	const entries, size, rate = 100, 10_000, 60_000
	for name, breaks := range map[string][]int{"steady": nil, "that breaks": {300_000, 600_000, 900_000}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := clusterOn(t, &enginetest.Book{Dial: proxytest.Dial}, 2)
			introduce(shard, nodes)
			proxy := nodes[1].behind(t)
			first, second := newRecorder(), newRecorder()
			first.frozen = true
			r := nodes[0].start(1, first, true, nil)
			elect(t, r, first)
			for i := range entries {
				must(t, r, fmt.Sprintf("%d %s", i, slices.Repeat([]byte{'x'}, size)))
			}
			proxy.Limit(rate)
			proxy.BreakAfter(string(link.Raft), breaks...)
			addNonVoting(t, r, nodes[1], 2)
			nodes[1].start(2, second, false, nil)
			agree(t, []*recorder{first, second}, entries)
			if got, most := proxy.Bytes(string(link.Raft)), entries*size*3/2; got > most {
				t.Errorf("%d bytes were carried for a log of %d; want %d at most", got, entries*size, most)
			}
		})
	}
}

// A leader that needs a voter behind a narrow link keeps its quorum while the voter catches up:
// heartbeats overtake entries.
func TestHeartbeatsOvertakeTheLog(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	nodes := clusterOn(t, &enginetest.Book{Dial: proxytest.Dial}, 2)
	proxy := nodes[1].behind(t)
	g := groupOn(t, nodes, func(c *ReplicaConfig) { c.ElectionTimeout = 2 * time.Second })
	lead(t, g.replicas[0], 1)
	_, term, _ := g.replicas[0].Leader()
	proxy.Limit(60_000)
	ctx, proposals := enginetest.Within(t), make(chan error)
	for i := range 60 {
		go func() {
			proposals <- g.replicas[0].Propose(ctx, fmt.Appendf(nil, "%d %s", i, slices.Repeat([]byte{'x'}, 10_000)))
		}()
	}
	for range 60 {
		if err := <-proposals; err != nil {
			t.Error(err)
		}
	}
	agree(t, g.recs, 60)
	if leader, now, _ := g.replicas[0].Leader(); leader != 1 || now != term {
		t.Errorf("replica %d leads term %d; want replica 1 in term %d still", leader, now, term)
	}
}

// Troubles with a peer are reported until it is reached again.
func TestTroubles(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	g, proxies := proxied(t, 2, nil)
	lead(t, g.replicas[0], 1)
	n, peer := g.nodes[0], g.nodes[1].peer
	await := func(what string, ok func(Trouble) bool) {
		t.Helper()
		for ctx := enginetest.Within(t); !ok(n.engine.Troubles(shard)[peer]); {
			select {
			case <-time.After(tick):
			case <-ctx.Done():
				t.Fatalf("%s did not happen in time; there is %+v", what, n.engine.Troubles(shard))
			}
		}
	}
	addr, err := n.book.Get(peer)
	if err != nil {
		t.Fatal(err)
	}
	n.book.Put(peer, "127.0.0.1:1")
	proxies[1].Break(string(link.Raft))
	await("failures", func(got Trouble) bool {
		return got.Failures > 2 && got.Err != nil && !got.Since.IsZero()
	})
	if got := n.engine.Troubles(shard + 1); len(got) > 0 {
		t.Errorf("another shard has %v", got)
	}
	n.book.Put(peer, addr)
	await("none", func(got Trouble) bool { return got.Failures == 0 })
}

// A snapshot crosses a link on which each chunk takes longer than any deadline. It is sent
// once.
func TestNarrowLinkCarriesASnapshot(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	t.Parallel()
	const entries, size, rate = 10, 100_000, 60_000
	nodes := clusterOn(t, &enginetest.Book{Dial: proxytest.Dial}, 2)
	introduce(shard, nodes)
	proxy := nodes[1].behind(t)
	every := func(c *ReplicaConfig) { c.SnapshotEvery = 8 }
	first, second := newRecorder(), newRecorder()
	r := nodes[0].start(1, first, true, every)
	elect(t, r, first)
	random, data := rand.NewChaCha8([32]byte{}), make([]byte, size)
	for range entries {
		random.Read(data)
		must(t, r, string(data))
	}
	first.wait(t, "a snapshot", func() bool { return first.taken > 0 })
	proxy.Limit(rate)
	addNonVoting(t, r, nodes[1], 2)
	nodes[1].start(2, second, false, every)
	agree(t, []*recorder{first, second}, entries)
	second.wait(t, "a restored snapshot", func() bool { return second.restored > 0 })
	got := proxy.Bytes(string(link.Raft)) + proxy.Bytes(string(link.Snapshot))
	if most := entries * size * 3 / 2; got > most {
		t.Errorf("%d bytes were carried for a state of %d; want %d at most", got, entries*size, most)
	}
}
