package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/client"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/logger"
	"github.com/lni/dragonboat/v4/plugin/tan"
	"github.com/lni/dragonboat/v4/statemachine"
	"github.com/lni/vfs"
)

// shard is the id of the group.
const shard = 1

// attempts is how often a group is tried to be started: a free port may be
// taken by somebody else before dragonboat listens on it.
const attempts = 3

// dragonboatCluster is a group of raw dragonboat.
type dragonboatCluster struct {
	certificates string
	hosts        []*dragonboat.NodeHost
	machines     [members]*dragonboatCounter
	session      *client.Session
}

var (
	_ cluster = (*dragonboatCluster)(nil)
	_ feeder  = (*dragonboatCluster)(nil)
)

// openDragonboat starts a group and returns when every member applies commands.
// Its logs are in dir, or in memory if that is "".
func openDragonboat(ctx context.Context, dir string) (cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var errs []error
	for range attempts {
		c, err := startDragonboat(ctx, dir)
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

func startDragonboat(ctx context.Context, dir string) (_ *dragonboatCluster, err error) {
	c := &dragonboatCluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	if c.certificates, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	files, err := newCertificate(c.certificates)
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
	for i, addr := range addrs {
		own := dir
		if dir != "" {
			own = filepath.Join(dir, strconv.Itoa(i))
		}
		host, err := dragonboat.NewNodeHost(hostConfig(addr, files, own))
		if err != nil {
			return nil, err
		}
		c.hosts = append(c.hosts, host)
		c.machines[i] = &dragonboatCounter{}
		machine := func(uint64, uint64) statemachine.IStateMachine { return c.machines[i] }
		if err := host.StartReplica(voters, false, machine, replicaConfig(uint64(i+1))); err != nil {
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

// hostConfig keeps the logs in dir with tan, or with the default log database
// on a file system in memory, whose configuration for little memory is the
// faster one there.
func hostConfig(addr string, files certificate, dir string) config.NodeHostConfig {
	host := config.NodeHostConfig{
		NodeHostDir:    dir,
		RTTMillisecond: 50, // as mosaik's tick
		RaftAddress:    addr,
		MutualTLS:      true,
		CAFile:         files.authority,
		CertFile:       files.certificate,
		KeyFile:        files.key,
	}
	if dir == "" {
		host.NodeHostDir = "/bench"
		host.Expert.FS = vfs.NewMem()
		host.Expert.LogDB = config.GetTinyMemLogDBConfig()
	} else {
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

func (c *dragonboatCluster) feed(member int) feed {
	host := c.hosts[member]
	return func(ctx context.Context) (call, error) {
		for {
			request, err := host.Propose(c.session, add{Account: 1, Amount: 1}.append(nil), patience)
			if errors.Is(err, dragonboat.ErrSystemBusy) {
				if err := pause(ctx, time.Millisecond); err != nil {
					return nil, err
				}
				continue
			}
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context) error { return await(ctx, request) }, nil
		}
	}
}

// await waits for the outcome of a proposal.
func await(ctx context.Context, request *dragonboat.RequestState) error {
	select {
	case result := <-request.ResultC():
		request.Release()
		if !result.Completed() {
			return errIncomplete
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errIncomplete reports a proposal that was dropped, rejected or timed out.
var errIncomplete = errors.New("the proposal was not completed")

func (c *dragonboatCluster) read(member int) call {
	host := c.hosts[member]
	return func(ctx context.Context) error {
		_, err := host.SyncRead(ctx, shard, nil)
		return err
	}
}

func (c *dragonboatCluster) applied(member int) uint64 { return c.machines[member].count.Load() }

// close ends all members.
func (c *dragonboatCluster) close() error {
	for _, host := range c.hosts {
		host.Close()
	}
	if c.certificates == "" {
		return nil
	}
	return os.RemoveAll(c.certificates)
}
