package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
)

// etcdCluster is a group of embedded etcd servers, each with a client in the
// process that makes no connection.
type etcdCluster struct {
	certificates string
	servers      []*embed.Etcd
	clients      []*clientv3.Client
}

var _ cluster = (*etcdCluster)(nil)

// etcdKey is what commands put and reads get.
const etcdKey = "total"

// openEtcd starts a group in dir and returns when every member serves.
func openEtcd(ctx context.Context, dir string) (_ cluster, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := &etcdCluster{}
	defer func() {
		if err != nil {
			err = fmt.Errorf("bench: start etcd: %w", errors.Join(err, c.close()))
		}
	}()
	if c.certificates, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	files, err := newCertificate(c.certificates)
	if err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(2 * members)
	if err != nil {
		return nil, err
	}
	peers := make([]string, members)
	for i := range peers {
		peers[i] = fmt.Sprintf("%d=https://%s", i, addrs[i])
	}
	for i := range members {
		server, err := embed.StartEtcd(etcdConfig(i, dir, files, addrs[i], addrs[members+i], strings.Join(peers, ",")))
		if err != nil {
			return nil, err
		}
		c.servers = append(c.servers, server)
	}
	for _, server := range c.servers {
		select {
		case <-server.Server.ReadyNotify():
		case err := <-server.Err():
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		c.clients = append(c.clients, v3client.New(server.Server))
	}
	return c, c.execute(0)(ctx)
}

func etcdConfig(member int, dir string, files certificate, peer, client, cluster string) *embed.Config {
	config := embed.NewConfig()
	config.Name = strconv.Itoa(member)
	config.Dir = filepath.Join(dir, config.Name)
	config.ListenPeerUrls = []url.URL{{Scheme: "https", Host: peer}}
	config.AdvertisePeerUrls = config.ListenPeerUrls
	config.ListenClientUrls = []url.URL{{Scheme: "http", Host: client}}
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.InitialCluster = cluster
	config.PeerTLSInfo.CertFile = files.certificate
	config.PeerTLSInfo.KeyFile = files.key
	config.PeerTLSInfo.TrustedCAFile = files.authority
	config.PeerTLSInfo.ClientCertAuth = true
	config.SnapshotCount = 1 << 40
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	return config
}

func (c *etcdCluster) leader() (int, bool) {
	for i, s := range c.servers {
		if s.Server.Leader() == s.Server.MemberID() {
			return i, true
		}
	}
	return 0, false
}

func (c *etcdCluster) execute(member int) call {
	client := c.clients[member]
	return func(ctx context.Context) error {
		_, err := client.Put(ctx, etcdKey, string(add{Account: 1, Amount: 1}.append(nil)))
		return err
	}
}

func (c *etcdCluster) read(member int) call {
	client := c.clients[member]
	return func(ctx context.Context) error {
		_, err := client.Get(ctx, etcdKey)
		return err
	}
}

func (c *etcdCluster) applied(member int) uint64 { return c.servers[member].Server.AppliedIndex() }

// close ends all members.
func (c *etcdCluster) close() error {
	var errs []error
	for _, client := range c.clients {
		// It always reports the end of its own context.
		if err := client.Close(); !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	for _, server := range c.servers {
		server.Close()
	}
	if c.certificates != "" {
		errs = append(errs, os.RemoveAll(c.certificates))
	}
	return errors.Join(errs...)
}
