package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// hashicorpCluster is a group of hashicorp/raft.
type hashicorpCluster struct {
	certificates string
	nodes        []*hashicorpNode
}

var (
	_ cluster = (*hashicorpCluster)(nil)
	_ feeder  = (*hashicorpCluster)(nil)
)

// hashicorpNode is one member, with what has to be closed after it.
type hashicorpNode struct {
	raft      *raft.Raft
	transport *raft.NetworkTransport
	log       io.Closer // nil in memory
	machine   *hashicorpCounter
}

// openHashicorp starts a group and returns when it has a leader. Its logs are
// in dir, or in memory if that is "".
func openHashicorp(ctx context.Context, dir string) (_ cluster, err error) {
	c := &hashicorpCluster{}
	defer func() {
		if err != nil {
			err = fmt.Errorf("bench: start hashicorp/raft: %w", errors.Join(err, c.close()))
		}
	}()
	if c.certificates, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	files, err := newCertificate(c.certificates)
	if err != nil {
		return nil, err
	}
	layer, err := files.config()
	if err != nil {
		return nil, err
	}
	var servers []raft.Server
	for i := range members {
		node, err := startHashicorp(i, dir, layer)
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, node)
		servers = append(servers, raft.Server{ID: hashicorpID(i), Address: node.transport.LocalAddr()})
	}
	if err := c.nodes[0].raft.BootstrapCluster(raft.Configuration{Servers: servers}).Error(); err != nil {
		return nil, err
	}
	leader, err := awaitLeader(ctx, c)
	if err != nil {
		return nil, err
	}
	return c, c.execute(leader)(ctx)
}

func hashicorpID(member int) raft.ServerID { return raft.ServerID(strconv.Itoa(member)) }

// startHashicorp starts a member with the configuration that the library's
// documentation recommends: batches of commands, two requests in flight.
func startHashicorp(member int, dir string, security *tls.Config) (_ *hashicorpNode, err error) {
	config := raft.DefaultConfig()
	config.LocalID = hashicorpID(member)
	config.Logger = hclog.NewNullLogger()
	config.BatchApplyCh = true
	config.MaxAppendEntries = 1024
	config.SnapshotThreshold = math.MaxUint64
	n := &hashicorpNode{machine: &hashicorpCounter{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	var stable raft.StableStore
	var logs raft.LogStore
	if dir == "" {
		store := raft.NewInmemStore()
		stable, logs = store, store
	} else {
		own := filepath.Join(dir, strconv.Itoa(member))
		if err := os.MkdirAll(own, 0o700); err != nil {
			return nil, err
		}
		store, err := wal.Open(own, wal.WithLogger(config.Logger))
		if err != nil {
			return nil, err
		}
		stable, logs, n.log = store, store, store
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", security)
	if err != nil {
		return nil, err
	}
	n.transport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Logger: config.Logger, Stream: hashicorpLayer{listener, security}, MaxPool: 3, Timeout: patience,
	})
	n.raft, err = raft.NewRaft(config, n.machine, logs, stable, raft.NewDiscardSnapshotStore(), n.transport)
	return n, err
}

func (n *hashicorpNode) close() error {
	var errs []error
	if n.raft != nil {
		errs = append(errs, n.raft.Shutdown().Error())
	}
	if n.transport != nil {
		errs = append(errs, n.transport.Close())
	}
	if n.log != nil {
		errs = append(errs, n.log.Close())
	}
	return errors.Join(errs...)
}

// hashicorpLayer carries the members' connections over mutual TLS.
type hashicorpLayer struct {
	net.Listener
	security *tls.Config
}

// Dial implements [raft.StreamLayer].
func (l hashicorpLayer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return tls.DialWithDialer(&net.Dialer{Timeout: timeout}, "tcp", string(addr), l.security)
}

func (c *hashicorpCluster) leader() (int, bool) {
	for i, n := range c.nodes {
		if n.raft.State() == raft.Leader {
			return i, true
		}
	}
	return 0, false
}

func (c *hashicorpCluster) execute(member int) call {
	node := c.nodes[member].raft
	return func(context.Context) error { return node.Apply(add{Account: 1, Amount: 1}.append(nil), 0).Error() }
}

func (c *hashicorpCluster) feed(member int) feed {
	node := c.nodes[member].raft
	return func(context.Context) (call, error) {
		future := node.Apply(add{Account: 1, Amount: 1}.append(nil), 0)
		return func(context.Context) error { return future.Error() }, nil
	}
}

// read asks whether the member still leads and looks at its machine. It does
// not wait until what was committed before is applied, as the others do: what
// was acknowledged is seen, since that comes after the leader's machine.
func (c *hashicorpCluster) read(member int) call {
	n := c.nodes[member]
	return func(context.Context) error {
		if err := n.raft.VerifyLeader().Error(); err != nil {
			return err
		}
		n.machine.count.Load()
		return nil
	}
}

func (c *hashicorpCluster) applied(member int) uint64 { return c.nodes[member].machine.count.Load() }

// close ends all members.
func (c *hashicorpCluster) close() error {
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.close())
	}
	if c.certificates != "" {
		errs = append(errs, os.RemoveAll(c.certificates))
	}
	return errors.Join(errs...)
}

// hashicorpCounter is the counter as hashicorp/raft runs it.
type hashicorpCounter struct{ counter }

var _ raft.FSM = (*hashicorpCounter)(nil)

// Apply implements [raft.FSM].
func (c *hashicorpCounter) Apply(l *raft.Log) any {
	a, err := parseAdd(l.Data)
	if err != nil {
		return err
	}
	return c.add(a)
}

// Snapshot implements [raft.FSM].
func (*hashicorpCounter) Snapshot() (raft.FSMSnapshot, error) { return nil, errNoSnapshots }

// Restore implements [raft.FSM].
func (*hashicorpCounter) Restore(io.ReadCloser) error { return errNoSnapshots }
