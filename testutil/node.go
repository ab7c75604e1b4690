package testutil

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil/internal/fault"
)

// Node is one node of a [Cluster]. It stands for a process. Its identity and its
// address stay the same when it restarts.
type Node struct {
	cluster *Cluster
	index   int
	key     ed25519.PrivateKey
	anew    int // how often RestartAnew made it another peer
	port    *fault.Port
	net     *mosaik.Network
	up      bool
	joined  []leaver // the groups that were joined through this package
}

// leaver is a handle on a group of any type.
type leaver interface{ Leave(context.Context) error }

// Index returns the node's number.
func (n *Node) Index() int { return n.index }

// Peer returns the node's peer id.
func (n *Node) Peer() sm.PeerID { return sm.PeerID(n.key.Public().(ed25519.PublicKey)) }

// Addr returns the node's address, host:port.
func (n *Node) Addr() string { return n.port.Addr() }

// Net returns the node's network. If the node is down, that is its former network,
// which is closed.
func (n *Node) Net() *mosaik.Network { return n.net }

// Crash ends the node as the death of its process would: its connections are reset
// and it does not leave its groups. Links do not change; a peer behind a cut link
// does not receive the reset. Crash waits until none of the node's goroutines runs.
// It does nothing if the node is down.
func (n *Node) Crash() {
	n.cluster.t.Helper()
	if err := n.crash(); err != nil {
		n.cluster.t.Fatalf("testutil: crash node %d: %v", n.index, err)
	}
}

func (n *Node) crash() error {
	if !n.up {
		return nil
	}
	n.up = false
	n.cluster.web.Crash(n.index)
	// A leave whose context has ended neither notifies the other members nor waits
	// for them, unlike the network's close.
	ended, end := context.WithCancel(context.Background())
	end()
	for _, g := range n.joined {
		if err := g.Leave(ended); err != nil && !errors.Is(err, context.Canceled) {
			n.cluster.t.Logf("testutil: crash node %d: %v", n.index, err)
		}
	}
	n.joined = nil
	return n.net.Close()
}

// Close ends the node in an orderly way: it leaves its groups first. It does nothing
// if the node is down.
func (n *Node) Close() {
	n.cluster.t.Helper()
	if !n.up {
		return
	}
	n.up, n.joined = false, nil
	err := n.net.Close()
	n.cluster.web.Down(n.index)
	if err != nil {
		n.cluster.t.Fatalf("testutil: close node %d: %v", n.index, err)
	}
}

// Restart starts a node that is down, as the same peer at the same address. The node
// is in no group until it joins one.
func (n *Node) Restart() {
	n.cluster.t.Helper()
	if n.up {
		n.cluster.t.Fatalf("testutil: restart node %d: it is up; crash or close it first", n.index)
	}
	n.start()
}

// RestartAnew starts a node that is down as another peer at the same address, like a
// process that has no directory or lost it. The identity depends on the test's name,
// the node's number and the number of such restarts. The node is in no group until it
// joins one.
func (n *Node) RestartAnew() {
	n.cluster.t.Helper()
	if n.up {
		n.cluster.t.Fatalf("testutil: restart node %d: it is up; crash or close it first", n.index)
	}
	n.anew++
	n.key = n.cluster.identity(fmt.Sprintf("%d/%d", n.index, n.anew))
	n.start()
}

func (n *Node) start() {
	n.cluster.t.Helper()
	n.cluster.web.Up(n.index)
	network, err := n.cluster.open(n)
	if err != nil {
		n.cluster.web.Down(n.index)
		n.cluster.t.Fatalf("testutil: start node %d: %v", n.index, err)
	}
	n.net, n.up = network, true
}
