package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// members is how many members every group has.
const members = 3

// patience bounds whatever takes a few seconds at most when all goes well.
const patience = time.Minute

// cluster is a group of one system, all of its members in this process, over
// TCP on the loopback interface with mutual TLS. Members are numbered from 0.
type cluster interface {
	leader() (member int, ok bool)
	execute(member int) call   // one command
	read(member int) call      // one linearizable read
	applied(member int) uint64 // how many commands the member has applied
	close() error
}

// feeder is a cluster to which commands can be given without waiting for those
// before.
type feeder interface{ feed(member int) feed }

// feed begins one command and returns what waits for its result.
type feed func(context.Context) (call, error)

// system is one of the systems that are compared.
type system struct {
	name    string
	durable bool   // its log is on disk, and in memory otherwise
	lacks   []kind // the workloads that it has no call for
	// open returns when the group is complete. A durable one keeps its logs in
	// dir, which is its own.
	open func(ctx context.Context, dir string) (cluster, error)
}

// systems returns all systems that can be compared.
func systems() []system {
	return []system{
		{name: "mosaik", open: func(ctx context.Context, _ string) (cluster, error) {
			return openMosaik(ctx, defaultTiming(), "")
		}},
		{name: "dragonboat", open: func(ctx context.Context, _ string) (cluster, error) { return openDragonboat(ctx, "") }},
		{name: "hashicorp", lacks: []kind{onFollower}, open: func(ctx context.Context, _ string) (cluster, error) {
			return openHashicorp(ctx, "")
		}},
		{name: "mosaik-disk", durable: true, open: func(ctx context.Context, dir string) (cluster, error) {
			return openMosaik(ctx, defaultTiming(), dir)
		}},
		{name: "dragonboat-tan", durable: true, open: openDragonboat},
		{name: "hashicorp-wal", durable: true, lacks: []kind{onFollower}, open: openHashicorp},
		{name: "etcd", durable: true, lacks: []kind{pipelining}, open: openEtcd},
	}
}

// systemsNamed returns the systems of the given names, in the order of systems.
func systemsNamed(names []string) ([]system, error) {
	all := systems()
	if slices.Equal(names, []string{"all"}) {
		return all, nil
	}
	known := make([]string, len(all))
	for i, s := range all {
		known[i] = s.name
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("bench: unknown system %q; there are %s, and all", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(s system) bool { return !slices.Contains(names, s.name) }), nil
}
