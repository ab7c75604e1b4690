package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// workload is a kind of call.
type workload struct {
	name     string // completes "… per second"
	slug     string // in file names
	isRead   bool
	follower bool // called on a follower, otherwise on the leader
}

// The workloads.
var (
	commands         = workload{name: "Commands", slug: "commands"}
	followerCommands = workload{name: "Commands, called on a follower", slug: "commands-follower", follower: true}
	reads            = workload{name: "Linearizable reads", slug: "reads", isRead: true}
)

// call returns the workload's call on a cluster with the given leader.
func (w workload) call(c cluster, leader int) call {
	member := leader
	if w.follower {
		member = (leader + 1) % members
	}
	if w.isRead {
		return c.read(member)
	}
	return c.execute(member)
}

// Speed is what one load measured on one system, in all rounds.
type Speed struct {
	System   string   `json:"system"`
	Workload string   `json:"workload"`
	Callers  int      `json:"callers"`
	Rounds   []Sample `json:"rounds"`
}

// median returns the median of each figure.
func (s Speed) median() Sample {
	return Sample{
		PerSecond: medianOf(s.Rounds, func(r Sample) float64 { return r.PerSecond }),
		P50:       medianOf(s.Rounds, func(r Sample) time.Duration { return r.P50 }),
		P99:       medianOf(s.Rounds, func(r Sample) time.Duration { return r.P99 }),
		Allocs:    medianOf(s.Rounds, func(r Sample) float64 { return r.Allocs }),
		Bytes:     medianOf(s.Rounds, func(r Sample) float64 { return r.Bytes }),
		CPU:       medianOf(s.Rounds, func(r Sample) time.Duration { return r.CPU }),
	}
}

// measureSpeed runs every load on every system. In each round each system has
// a new group, alone in the process, and the systems take turns at being first.
func measureSpeed(ctx context.Context, o options, workloads []workload) ([]Speed, error) {
	type key struct {
		system, workload string
		callers          int
	}
	rounds := map[key][]Sample{}
	for round := range o.rounds {
		for i := range o.systems {
			s := o.systems[(round+i)%len(o.systems)]
			err := withCluster(ctx, s, func(c cluster) error {
				for _, w := range workloads {
					for _, callers := range o.callers {
						o.progress("round %d of %d: %s: %s, %d callers", round+1, o.rounds, s.name, w.slug, callers)
						name := fmt.Sprintf("%s-%s-%d", s.name, w.slug, callers)
						sample, err := measureLoad(ctx, c, w, callers, o.span, o.profile.around(name))
						if err != nil {
							return fmt.Errorf("bench: %s: %s, %d callers: %w", s.name, w.slug, callers, err)
						}
						k := key{s.name, w.name, callers}
						rounds[k] = append(rounds[k], sample)
					}
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	var all []Speed
	for _, w := range workloads {
		for _, callers := range o.callers {
			for _, s := range o.systems {
				all = append(all, Speed{s.name, w.name, callers, rounds[key{s.name, w.name, callers}]})
			}
		}
	}
	return all, nil
}

// withCluster runs use on a new group of the system, then ends it and gives
// back its memory, so that the next one starts in the same conditions.
func withCluster(ctx context.Context, s system, use func(cluster) error) (err error) {
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer runtime.GC()
	defer func() { err = errors.Join(err, c.close()) }()
	return use(c)
}

// tries is how often a load is tried to be measured: on a busy machine a group
// may change its leader meanwhile.
const tries = 3

// errLeader reports a load during which the leader changed.
var errLeader = errors.New("the leader changed")

// measureLoad measures one load.
func measureLoad(ctx context.Context, c cluster, w workload, callers int, span time.Duration, measured func() (func() error, error)) (Sample, error) {
	var errs []error
	for range tries {
		sample, err := tryLoad(ctx, c, w, callers, span, measured)
		if err == nil {
			return sample, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return Sample{}, errors.Join(errs...)
}

func tryLoad(ctx context.Context, c cluster, w workload, callers int, span time.Duration, measured func() (func() error, error)) (Sample, error) {
	leader, err := awaitLeader(ctx, c)
	if err != nil {
		return Sample{}, err
	}
	// One context for all calls: dragonboat wants a deadline, and to make one
	// for each call would be measured with it.
	ctx, cancel := context.WithTimeout(ctx, 2*span+patience)
	defer cancel()
	l := load{callers: callers, span: span, call: w.call(c, leader)}
	sample, err := l.run(ctx, measured)
	if err != nil {
		return Sample{}, err
	}
	if now, ok := c.leader(); !ok || now != leader {
		return Sample{}, errLeader
	}
	return sample, nil
}

// awaitLeader waits until a member leads.
func awaitLeader(ctx context.Context, c cluster) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if leader, ok := c.leader(); ok {
			return leader, nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return 0, fmt.Errorf("wait for a leader: %w", err)
		}
	}
}
