package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

// timing is a clockwork for a mosaik group.
type timing struct {
	name   string
	tick   time.Duration
	config consensus.Config
}

// defaultTiming is what a user gets who sets nothing.
func defaultTiming() timing {
	return timing{"default (election timeout 2 s)", 50 * time.Millisecond, consensus.Config{}}
}

// fastTiming notices a crash soon, at the price of elections when the machine
// is overloaded.
func fastTiming() timing {
	return timing{"fast (election timeout 200 ms, tick 10 ms)", 10 * time.Millisecond, consensus.Config{
		HeartbeatInterval:   50 * time.Millisecond,
		HeartbeatJitter:     10 * time.Millisecond,
		MaxMissedHeartbeats: 20,
		ElectionTimeout:     200 * time.Millisecond,
		ElectionJitter:      50 * time.Millisecond,
		ForwardTimeout:      200 * time.Millisecond,
		QueryTimeout:        200 * time.Millisecond,
	}}
}

// counterGroup is a handle on the group of counters.
type counterGroup = mosaik.Group[add, *mosaikCounter]

// mosaikMember is one member of a mosaik group.
type mosaikMember struct {
	net     *mosaik.Network
	group   *counterGroup
	machine *atomic.Pointer[mosaikCounter] // the last one that was made
}

// mosaikCluster is a group of mosaik.
type mosaikCluster struct {
	timing  timing
	dir     string // "" for logs in memory
	key     mosaik.GroupKey
	members []mosaikMember
}

var (
	_ cluster = (*mosaikCluster)(nil)
	_ feeder  = (*mosaikCluster)(nil)
)

// openMosaik forms a group and returns when it has settled. Its logs are in dir,
// or in memory if that is "".
func openMosaik(ctx context.Context, t timing, dir string) (_ *mosaikCluster, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := &mosaikCluster{timing: t, dir: dir, key: mosaik.RandomKey()}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	for range members {
		m, err := c.join(ctx)
		if err != nil {
			return nil, err
		}
		c.members = append(c.members, m)
	}
	if err := c.settle(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// join opens another network, which knows the members as seeds, and joins the
// group on it. It returns before the new member is online, and does not make it
// one of c.members.
func (c *mosaikCluster) join(ctx context.Context) (mosaikMember, error) {
	net, err := c.open(ctx)
	if err != nil {
		return mosaikMember{}, err
	}
	m := mosaikMember{net: net, machine: new(atomic.Pointer[mosaikCounter])}
	if m.group, err = c.joinWith(ctx, net, func() *mosaikCounter {
		m.machine.Store(newMosaikCounter())
		return m.machine.Load()
	}); err != nil {
		return mosaikMember{}, errors.Join(err, net.Close())
	}
	return m, nil
}

func (c *mosaikCluster) open(ctx context.Context) (*mosaik.Network, error) {
	var seeds []string
	for _, m := range c.members {
		seeds = append(seeds, m.net.Addr().String())
	}
	options := []mosaik.Option{mosaik.WithSeeds(seeds...), mosaik.WithTick(c.timing.tick), mosaik.WithLeaveTimeout(0)}
	if c.dir != "" {
		options = append(options, mosaik.WithDir(filepath.Join(c.dir, strconv.Itoa(len(c.members)))))
	}
	return mosaik.Open(ctx, mosaik.NetworkID("bench"), options...)
}

func (c *mosaikCluster) joinOn(ctx context.Context, net *mosaik.Network) (*counterGroup, error) {
	return c.joinWith(ctx, net, newMosaikCounter)
}

func (c *mosaikCluster) joinWith(ctx context.Context, net *mosaik.Network, machine func() *mosaikCounter) (*counterGroup, error) {
	b := mosaik.WithStateMachine(net.Groups().WithKey(c.key), machine).
		WithConsensusConfig(c.timing.config).
		WithMembership(consensus.Policy{Expected: members})
	if c.dir != "" {
		return b.WithLogStorage(logstore.Disk[add]()).Join(ctx)
	}
	return b.Join(ctx)
}

// settle waits until every member finds the group complete.
func (c *mosaikCluster) settle(ctx context.Context) error {
	for i, m := range c.members {
		if err := m.group.When().Settled(ctx); err != nil {
			return fmt.Errorf("bench: member %d: %w", i, err)
		}
	}
	return nil
}

func (c *mosaikCluster) leader() (int, bool) {
	for i, m := range c.members {
		if m.group.IsLeader() {
			return i, true
		}
	}
	return 0, false
}

func (c *mosaikCluster) execute(member int) call {
	group := c.members[member].group
	return func(ctx context.Context) error {
		_, err := group.Execute(ctx, add{Account: 1, Amount: 1})
		return err
	}
}

func (c *mosaikCluster) feed(member int) feed {
	group := c.members[member].group
	return func(ctx context.Context) (call, error) {
		pending, err := group.Feed(ctx, add{Account: 1, Amount: 1})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			_, err := pending.Wait(ctx)
			return err
		}, nil
	}
}

func (c *mosaikCluster) read(member int) call {
	group := c.members[member].group
	total := func(m *mosaikCounter) (uint64, error) { return m.total, nil }
	return func(ctx context.Context) error {
		_, err := mosaik.Read(ctx, group, mosaik.Strong, total)
		return err
	}
}

func (c *mosaikCluster) applied(member int) uint64 {
	return c.members[member].machine.Load().count.Load()
}

// close ends all members.
func (c *mosaikCluster) close() error {
	var errs []error
	for _, m := range c.members {
		errs = append(errs, m.net.Close())
	}
	return errors.Join(errs...)
}
