package testutil

import (
	"context"
	"crypto/ed25519"
	"errors"
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

// tick is the tick of Raft's clock on the nodes.
const tick = 10 * time.Millisecond

// Cluster is a number of nodes in one process. Each is a [mosaik.Network] of its
// own, with the earlier nodes as seeds. Nodes communicate over TLS on the loopback
// interface, through links that the test can cut. Create one with [NewCluster].
//
// The methods that change links may be called from any goroutine. The methods of a
// [Node], and the functions that join, end the test when they fail, so they must be
// called from the test's own goroutine.
type Cluster struct {
	t       testing.TB
	key     mosaik.GroupKey
	network sm.Digest
	options []func(node int) []mosaik.Option // of every node, in the order of their calls
	web     *fault.Web                       // the links
	log     *journal                         // where the nodes log
	nodes   []*Node
}

// ClusterOption configures the cluster that [NewCluster] starts. Repeated and nil
// options have the meaning that [mosaik.Option] states; an error ends the test.
type ClusterOption interface{ apply(*Cluster) error }

type clusterOptionFunc func(*Cluster) error

func (f clusterOptionFunc) apply(c *Cluster) error { return f(c) }

// WithNodeOptions adds the options that the function returns for a node to those
// that the cluster sets. The function is called at each start of a node. Options of
// several calls add up. A dialer or a listener that is set here takes the node's
// links out of the cluster's control.
func WithNodeOptions(options func(node int) []mosaik.Option) ClusterOption {
	return clusterOptionFunc(func(c *Cluster) error {
		if options == nil {
			return errors.New("node options: the function is nil; leave the option out for none")
		}
		c.options = append(c.options, options)
		return nil
	})
}

// NewCluster starts n nodes, numbered from 0, that end with the test. Their log is
// shown like the test's own log: if the test fails, and with -v.
//
// The identity of a node depends on the test's name and the node's number only, so
// the node with the lowest peer id is the same in each run of a test.
func NewCluster(t testing.TB, n int, opts ...ClusterOption) *Cluster {
	t.Helper()
	c := &Cluster{
		t:       t,
		key:     mosaik.RandomKey(),
		network: mosaik.NetworkID("testutil/" + t.Name()),
		web:     fault.NewWeb(),
		log:     newJournal(t),
	}
	for i, opt := range opts {
		if opt == nil {
			t.Fatalf("testutil: new cluster: option %d of %d is nil; leave it out", i+1, len(opts))
		}
		if err := opt.apply(c); err != nil {
			t.Fatalf("testutil: new cluster: %v", err)
		}
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

// Len returns the number of nodes, including nodes that are down.
func (c *Cluster) Len() int { return len(c.nodes) }

// Node returns a node by its number.
func (c *Cluster) Node(i int) *Node { return c.nodes[i] }

// NodeOf returns the node that is the given peer, or nil if there is none.
func (c *Cluster) NodeOf(peer sm.PeerID) *Node {
	for _, n := range c.nodes {
		if n.Peer() == peer {
			return n
		}
	}
	return nil
}

// Key returns the key of the group that [Node.Builder] joins. Each cluster has its
// own.
func (c *Cluster) Key() mosaik.GroupKey { return c.key }

// Cut cuts the link between two nodes, as the loss of every packet would. Neither
// node is notified. What they send waits until the link heals, and dialling blocks.
func (c *Cluster) Cut(i, j int) {
	c.web.Cut(i, j)
	c.web.Cut(j, i)
}

// CutOneWay cuts only one direction of the link between two nodes. Existing
// connections still carry the other direction. A new connection needs both.
func (c *Cluster) CutOneWay(from, to int) { c.web.Cut(from, to) }

// CutAfter cuts one direction of a link like CutOneWay, once about the given number
// of further bytes has passed in it, for instance in the middle of a snapshot. Then
// it closes the returned channel. Healing the link before that cancels the cut.
func (c *Cluster) CutAfter(from, to, bytes int) <-chan struct{} {
	return c.web.CutAfter(from, to, bytes)
}

// Heal restores the link between two nodes. What was held back arrives.
func (c *Cluster) Heal(i, j int) {
	c.web.Heal(i, j)
	c.web.Heal(j, i)
}

// Delay delays everything that two nodes send each other from now on, and keeps its
// order. A delay of 0 ends it.
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

// Drop ends the connections between two nodes at once, as a firewall that loses its
// state does. Both ends receive an error, data in flight is lost, and the nodes may
// connect again.
func (c *Cluster) Drop(i, j int) { c.web.Drop(i, j) }

// Forget drops all data on one of the connections between two nodes, drawn at random,
// as a middlebox that forgets a flow does. Neither end is notified, and healing the
// link does not restore the connection. Other connections work. Forget reports
// whether there was a connection.
func (c *Cluster) Forget(i, j int) bool { return c.web.Forget(i, j) }

// Isolate cuts the links between a node and all others.
func (c *Cluster) Isolate(i int) { c.others(i, c.Cut) }

// Reconnect heals the links between a node and all others.
func (c *Cluster) Reconnect(i int) { c.others(i, c.Heal) }

// HealAll restores every link.
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

// close ends all nodes at once and waits until none of their goroutines runs.
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
			c.t.Errorf("testutil: release the address of node %d: %v", n.index, err)
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
	for _, options := range c.options {
		opts = append(opts, options(n.index)...)
	}
	return mosaik.Open(c.t.Context(), c.network, opts...)
}
