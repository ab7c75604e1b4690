//go:build unix

package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// patience bounds whatever takes seconds when all goes well.
const patience = 2 * time.Minute

// clockwork is a configuration that is measured.
type clockwork struct {
	name   string
	tick   time.Duration
	config consensus.Config
}

func clockworks() []clockwork {
	return []clockwork{
		{"default (election timeout 2 s)", 50 * time.Millisecond, consensus.Config{}},
		{"fast (election timeout 300 ms)", 10 * time.Millisecond, consensus.Config{
			HeartbeatInterval:   50 * time.Millisecond,
			HeartbeatJitter:     10 * time.Millisecond,
			MaxMissedHeartbeats: 20,
			ElectionTimeout:     300 * time.Millisecond,
			ElectionJitter:      100 * time.Millisecond,
			ForwardTimeout:      300 * time.Millisecond,
			QueryTimeout:        300 * time.Millisecond,
		}},
	}
}

// group is a handle on a group whose commands do nothing.
type group = mosaik.Group[tick, *clock]

// tick is the command of a clock, which counts them.
type tick struct{ N int64 }

type clock struct{ ticks int64 }

func newClock() *clock { return &clock{} }

// Spec implements [sm.StateMachine].
func (*clock) Spec() sm.Spec[tick] { return sm.Define[tick]("clock", 1) }

// Apply implements [sm.StateMachine].
func (c *clock) Apply(_ sm.ApplyContext, t tick) (any, error) {
	c.ticks += t.N
	return c.ticks, nil
}

// nodes are the networks of one process.
type nodes struct {
	clockwork
	id   sm.Digest
	nets []*mosaik.Network
}

// openNodes opens n networks that are connected.
func openNodes(ctx context.Context, t clockwork, n int) (_ *nodes, err error) {
	all := &nodes{clockwork: t, id: mosaik.NetworkID(time.Now().String()), nets: make([]*mosaik.Network, n)}
	defer func() {
		if err != nil {
			err = errors.Join(err, all.close())
		}
	}()
	for i := range all.nets {
		if err := all.open(ctx, i); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// open opens the network of node i, and waits until it is connected to another.
func (a *nodes) open(ctx context.Context, i int) error {
	opts := []mosaik.Option{mosaik.WithListen("127.0.0.1:0"), mosaik.WithTick(a.tick), mosaik.WithLeaveTimeout(0), mosaik.WithLogger(slog.New(slog.DiscardHandler))}
	others := 0
	for j, net := range a.nets {
		if net != nil && j != i {
			opts = append(opts, mosaik.WithSeeds(net.Addr().String()))
			others++
		}
	}
	net, err := mosaik.Open(ctx, a.id, opts...)
	if err != nil {
		return err
	}
	a.nets[i] = net
	if others == 0 {
		return nil
	}
	return net.Connected(ctx)
}

// join joins the group of a key on node i.
func (a *nodes) join(ctx context.Context, key mosaik.GroupKey, i int) (*group, error) {
	return mosaik.WithStateMachine(a.nets[i].Groups().WithKey(key).WithConsensusConfig(a.config).
		WithMembership(consensus.Policy{Expected: min(len(a.nets), consensus.Policy{}.WithDefaults().MaximumVoters)}), newClock).Join(ctx)
}

// form joins the group of a key on all nodes and waits until it has settled.
func (a *nodes) form(ctx context.Context, key mosaik.GroupKey) ([]*group, error) {
	groups := make([]*group, len(a.nets))
	for i := range a.nets {
		g, err := a.join(ctx, key, i)
		if err != nil {
			return nil, err
		}
		groups[i] = g
	}
	for _, g := range groups {
		if err := g.When().Settled(ctx); err != nil {
			return nil, err
		}
	}
	return groups, nil
}

// close ends all networks, without a word to the others.
func (a *nodes) close() error {
	var errs []error
	for _, net := range a.nets {
		if net != nil {
			errs = append(errs, net.Close())
		}
	}
	return errors.Join(errs...)
}

// timeForming returns how long a new group of n members takes to settle.
func timeForming(ctx context.Context, t clockwork, n int) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := openNodes(ctx, t, n)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, all.close()) }()
	began := time.Now()
	_, err = all.form(ctx, mosaik.RandomKey())
	return time.Since(began), err
}
