package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/client"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/logger"
	"github.com/lni/dragonboat/v4/plugin/tan"
	"github.com/lni/vfs"
)

// logDB says how dragonboat keeps its log on an in-memory file system.
type logDB int

const (
	onPebble logDB = iota // its default log database
	onTan                 // its other one
)

// shard is the id of the group.
const shard = 1

// attempts is how often a group is tried to be started: a free port may be
// taken by somebody else before dragonboat listens on it.
const attempts = 3

// dragonboatCluster is a group of raw dragonboat.
type dragonboatCluster struct {
	dir     string // of the certificates
	hosts   []*dragonboat.NodeHost
	session *client.Session
}

var _ cluster = (*dragonboatCluster)(nil)

// openDragonboat starts a group and returns when every member applies commands.
func openDragonboat(ctx context.Context, db logDB) (cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var errs []error
	for range attempts {
		c, err := startDragonboat(ctx, db)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("bench: start dragonboat: %w", errors.Join(errs...))
}

// quieten silences what dragonboat and its log database print. Their loggers
// belong to the process, so that this comes before anything is started.
var quieten = sync.OnceFunc(func() {
	log.SetOutput(io.Discard)
	for _, pkg := range []string{
		"config", "dragonboat", "grpc", "logdb", "order", "raft", "registry", "rsm", "settings", "tan", "transport", "utils",
	} {
		logger.GetLogger(pkg).SetLevel(logger.CRITICAL)
	}
})

func startDragonboat(ctx context.Context, db logDB) (_ *dragonboatCluster, err error) {
	c := &dragonboatCluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	files, err := newCertificate(c.dir)
	if err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(members)
	if err != nil {
		return nil, err
	}
	voters := map[uint64]string{}
	for i, addr := range addrs {
		voters[uint64(i+1)] = addr
	}
	for replica, addr := range addrs {
		host, err := dragonboat.NewNodeHost(hostConfig(addr, files, db))
		if err != nil {
			return nil, err
		}
		c.hosts = append(c.hosts, host)
		if err := host.StartReplica(voters, false, newDragonboatCounter, replicaConfig(uint64(replica+1))); err != nil {
			return nil, err
		}
	}
	c.session = c.hosts[0].GetNoOPSession(shard)
	for i := range c.hosts {
		if err := c.warm(ctx, i); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// freeAddrs returns addresses on which nobody listens.
func freeAddrs(n int) ([]string, error) {
	addrs := make([]string, n)
	for i := range addrs {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		addrs[i] = ln.Addr().String()
	}
	return addrs, nil
}

func hostConfig(addr string, files certificate, db logDB) config.NodeHostConfig {
	host := config.NodeHostConfig{
		NodeHostDir:    "/bench",
		RTTMillisecond: 50, // as mosaik's tick
		RaftAddress:    addr,
		MutualTLS:      true,
		CAFile:         files.authority,
		CertFile:       files.certificate,
		KeyFile:        files.key,
		Expert: config.ExpertConfig{
			FS:    vfs.NewMem(),
			LogDB: config.GetTinyMemLogDBConfig(),
		},
	}
	if db == onTan {
		host.Expert.LogDBFactory = tan.Factory
	}
	return host
}

func replicaConfig(replica uint64) config.Config {
	return config.Config{
		ReplicaID:    replica,
		ShardID:      shard,
		ElectionRTT:  10,
		HeartbeatRTT: 1,
		CheckQuorum:  true,
		PreVote:      true,
		WaitReady:    true,
	}
}

// warm waits until commands and reads of a member succeed. While there is no
// leader they fail at once.
func (c *dragonboatCluster) warm(ctx context.Context, member int) error {
	for _, call := range []call{c.execute(member), c.read(member)} {
		for err := call(ctx); err != nil; err = call(ctx) {
			if !dragonboat.IsTempError(err) {
				return err
			}
			if err := pause(ctx, 10*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *dragonboatCluster) leader() (int, bool) {
	for i, host := range c.hosts {
		if leader, _, ok, err := host.GetLeaderID(shard); err == nil && ok && leader == uint64(i+1) {
			return i, true
		}
	}
	return 0, false
}

func (c *dragonboatCluster) execute(member int) call {
	host := c.hosts[member]
	return func(ctx context.Context) error {
		_, err := host.SyncPropose(ctx, c.session, add{Account: 1, Amount: 1}.append(nil))
		return err
	}
}

func (c *dragonboatCluster) read(member int) call {
	host := c.hosts[member]
	return func(ctx context.Context) error {
		_, err := host.SyncRead(ctx, shard, nil)
		return err
	}
}

// close ends all members.
func (c *dragonboatCluster) close() error {
	for _, host := range c.hosts {
		host.Close()
	}
	if c.dir == "" {
		return nil
	}
	return os.RemoveAll(c.dir)
}
