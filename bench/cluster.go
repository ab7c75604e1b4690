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
// TCP on the loopback interface with mutual TLS and logs in memory. Members are
// numbered from 0.
type cluster interface {
	leader() (member int, ok bool)
	execute(member int) call // one command
	read(member int) call    // one linearizable read
	close() error
}

// system is one of the systems that are compared.
type system struct {
	name string
	open func(context.Context) (cluster, error) // returns when the group is complete
}

// systems returns all systems that can be compared, the first two by default.
func systems() []system {
	return []system{
		{"mosaik", func(ctx context.Context) (cluster, error) { return openMosaik(ctx, defaultTiming()) }},
		{"dragonboat", func(ctx context.Context) (cluster, error) { return openDragonboat(ctx, onPebble) }},
		{"dragonboat-tan", func(ctx context.Context) (cluster, error) { return openDragonboat(ctx, onTan) }},
	}
}

// systemsNamed returns the systems of the given names.
func systemsNamed(names []string) ([]system, error) {
	all := systems()
	var chosen []system
	for _, name := range names {
		i := slices.IndexFunc(all, func(s system) bool { return s.name == name })
		if i < 0 {
			known := make([]string, len(all))
			for i, s := range all {
				known[i] = s.name
			}
			return nil, fmt.Errorf("bench: unknown system %q; there are %s", name, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
