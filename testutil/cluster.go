package testutil

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil/internal/fault"
)

// tick is the clock tick of the nodes.
const tick = 10 * time.Millisecond

// Cluster is a number of nodes in one process, each a [mosaik.Network] of its
// own that knows the earlier ones as seeds. They talk over TLS on the loopback
// interface, through links that the test can cut. Make one with [NewCluster].
//
// Cut and heal may be called from any goroutine. The methods of a [Node], and
// the functions that join, end the test when they fail, so they belong to the
// test's own goroutine.
type Cluster struct {
	t       testing.TB
	key     mosaik.GroupKey
	network mosaik.NetworkID
	options func(node int) []mosaik.Option
	web     *fault.Web
	log     *journal
	nodes   []*Node
}

// ClusterOption changes how [NewCluster] makes a cluster.
type ClusterOption interface{ apply(*Cluster) }

type clusterOptionFunc func(*Cluster)

func (f clusterOptionFunc) apply(c *Cluster) { f(c) }

// WithNodeOptions opens each node's network with what options returns for it,
// beside what the cluster sets. It is asked anew at each restart. A dialer or a
// listener set here takes the node's links out of the cluster's control.
func WithNodeOptions(options func(node int) []mosaik.Option) ClusterOption {
	return clusterOptionFunc(func(c *Cluster) { c.options = options })
}

// NewCluster starts n nodes, numbered from 0, that end with the test. What they
// log is shown as the test's own log is: when it fails, and with -v.
//
// The nodes' identities depend on the test's name and their numbers only, so
// that whoever has the lowest peer id in a test has it in each run.
func NewCluster(t testing.TB, n int, opts ...ClusterOption) *Cluster {
	t.Helper()
	c := &Cluster{
		t:       t,
		key:     mosaik.RandomKey(),
		network: mosaik.NewNetworkID("testutil/" + t.Name()),
		options: func(int) []mosaik.Option { return nil },
		web:     fault.NewWeb(),
		log:     newJournal(t),
	}
	for _, opt := range opts {
		opt.apply(c)
	}
	t.Cleanup(c.close)
	for range n {
		c.Add()
	}
	return c
}

// Add starts another node and returns it. Its number is the next one.
func (c *Cluster) Add() *Node {
	c.t.Helper()
	port, err := fault.OpenPort()
	if err != nil {
		c.t.Fatalf("testutil: add node %d: %v", len(c.nodes), err)
	}
	i := len(c.nodes)
	n := &Node{cluster: c, index: i, key: c.identity(strconv.Itoa(i)), port: port}
	c.nodes = append(c.nodes, n)
	c.web.Place(i, port.Addr())
	n.start()
	return n
}

// identity returns the private key that stands for the name in this test.
func (c *Cluster) identity(name string) ed25519.PrivateKey {
	seed := sm.ID(fmt.Sprintf("testutil/%s/%s", c.t.Name(), name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// Len returns the number of nodes, those that are down included.
func (c *Cluster) Len() int { return len(c.nodes) }

// Node returns a node by its number.
func (c *Cluster) Node(i int) *Node { return c.nodes[i] }

// NodeOf returns the node that is the given peer, nil when none is.
func (c *Cluster) NodeOf(peer mosaik.PeerID) *Node {
	for _, n := range c.nodes {
		if n.Peer() == peer {
			return n
		}
	}
	return nil
}

// Key returns the key of the group that [Node.Builder] joins. Each cluster has
// another one.
func (c *Cluster) Key() mosaik.GroupKey { return c.key }

// Cut cuts the link between two nodes as the loss of every packet would: neither
// is told, what they send waits until the link heals, and dialling hangs.
func (c *Cluster) Cut(i, j int) {
	c.web.Cut(i, j)
	c.web.Cut(j, i)
}

// CutOneWay cuts only what goes from one node to another. Connections that exist
// carry the other direction on; new ones need both.
func (c *Cluster) CutOneWay(from, to int) { c.web.Cut(from, to) }

// CutAfter cuts what goes from one node to another as CutOneWay does, once about
// so many more bytes have gone that way: in the middle of a snapshot, say. Then it
// closes the channel. Healing the link takes it back.
func (c *Cluster) CutAfter(from, to, bytes int) <-chan struct{} {
	return c.web.CutAfter(from, to, bytes)
}

// Heal makes the link between two nodes whole: what was held back arrives.
func (c *Cluster) Heal(i, j int) {
	c.web.Heal(i, j)
	c.web.Heal(j, i)
}

// Delay makes everything that two nodes send each other from now on arrive that
// much later, in its order; 0 ends it.
func (c *Cluster) Delay(i, j int, delay time.Duration) {
	c.web.Delay(i, j, delay)
	c.web.Delay(j, i, delay)
}

// Limit makes the link between two nodes carry at most that many bytes a second in each
// direction from now on, over all its connections; 0 ends it.
func (c *Cluster) Limit(i, j, bytesPerSecond int) {
	c.web.Limit(i, j, bytesPerSecond)
	c.web.Limit(j, i, bytesPerSecond)
}

// Drop ends the connections between two nodes at once, as a firewall that loses
// its state does: both ends see an error, what was on its way is lost, and they
// may connect again.
func (c *Cluster) Drop(i, j int) { c.web.Drop(i, j) }

// Forget loses one of the connections between two nodes, drawn at random, as a middlebox
// that forgets a flow does: nothing that is sent on it arrives any longer, neither end
// learns of it, and healing the link does not bring it back. Other connections work. It
// reports whether there was one.
func (c *Cluster) Forget(i, j int) bool { return c.web.Forget(i, j) }

// Isolate cuts the links between a node and all others.
func (c *Cluster) Isolate(i int) { c.others(i, c.Cut) }

// Reconnect heals the links between a node and all others.
func (c *Cluster) Reconnect(i int) { c.others(i, c.Heal) }

// HealAll makes every link whole.
func (c *Cluster) HealAll() {
	for i := range c.nodes {
		c.Reconnect(i)
	}
}

func (c *Cluster) others(i int, do func(i, j int)) {
	for j := range c.nodes {
		if j != i {
			do(i, j)
		}
	}
}

// close ends all nodes at once and waits until nothing of them runs.
func (c *Cluster) close() {
	var ending sync.WaitGroup
	for _, n := range c.nodes {
		ending.Go(func() {
			if err := n.crash(); err != nil {
				c.t.Errorf("testutil: end node %d: %v", n.index, err)
			}
		})
	}
	ending.Wait()
	c.web.Close()
	for _, n := range c.nodes {
		if err := n.port.Close(); err != nil {
			c.t.Errorf("testutil: give back the address of node %d: %v", n.index, err)
		}
	}
	c.log.end()
}

// open opens a node's network.
func (c *Cluster) open(n *Node) (*mosaik.Network, error) {
	var seeds []string
	for _, earlier := range c.nodes[:n.index] {
		seeds = append(seeds, earlier.port.Addr())
	}
	opts := []mosaik.Option{
		mosaik.WithIdentity(n.key),
		mosaik.WithListener(n.port.Listen()),
		mosaik.WithSeeds(seeds...),
		mosaik.WithTick(tick),
		mosaik.WithLogger(slog.New(slog.NewTextHandler(c.log, nil)).With("node", n.index)),
		mosaik.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			return c.web.Dial(ctx, n.index, network, addr)
		}),
	}
	return mosaik.Open(c.t.Context(), c.network, append(opts, c.options(n.index)...)...)
}
