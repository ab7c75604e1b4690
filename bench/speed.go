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
	slug     string // in flags and file names
	isRead   bool
	follower bool // called on a follower, otherwise on the leader
}

// The workloads.
var (
	commands         = workload{name: "Commands", slug: "commands"}
	followerCommands = workload{name: "Commands, called on a follower", slug: "followers", follower: true}
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
		PerSecond:  medianOf(s.Rounds, func(r Sample) float64 { return r.PerSecond }),
		P50:        medianOf(s.Rounds, func(r Sample) time.Duration { return r.P50 }),
		P99:        medianOf(s.Rounds, func(r Sample) time.Duration { return r.P99 }),
		Allocs:     medianOf(s.Rounds, func(r Sample) float64 { return r.Allocs }),
		Bytes:      medianOf(s.Rounds, func(r Sample) float64 { return r.Bytes }),
		CPU:        medianOf(s.Rounds, func(r Sample) time.Duration { return r.CPU }),
		Unanswered: int(medianOf(s.Rounds, func(r Sample) float64 { return float64(r.Unanswered) })),
	}
}

// measureSpeed runs every load on every system, in each round anew. Each has a
// new group, alone in the process; for one load the systems follow each other
// at once, and take turns at being first.
func measureSpeed(ctx context.Context, o options, workloads []workload) ([]Speed, error) {
	var all []Speed
	for _, w := range workloads {
		for _, callers := range o.callers {
			for _, s := range o.systems {
				all = append(all, Speed{System: s.name, Workload: w.name, Callers: callers})
			}
		}
	}
	for round := range o.rounds {
		row := all
		for _, w := range workloads {
			for _, callers := range o.callers {
				for i := range o.systems {
					n := (round + i) % len(o.systems)
					sample, err := o.measureLoad(ctx, o.systems[n], w, callers)
					if err != nil {
						return nil, fmt.Errorf("bench: %s: %s, %d callers: %w", o.systems[n].name, w.slug, callers, err)
					}
					row[n].Rounds = append(row[n].Rounds, sample)
				}
				row = row[len(o.systems):]
			}
		}
	}
	return all, nil
}

// measureLoad measures one load on a new group.
func (o options) measureLoad(ctx context.Context, s system, w workload, callers int) (Sample, error) {
	o.progress("%s: %s, %d callers", s.name, w.slug, callers)
	return retried(ctx, o.progress, func() (Sample, error) { return o.tryLoad(ctx, s, w, callers) })
}

func (o options) tryLoad(ctx context.Context, s system, w workload, callers int) (_ Sample, err error) {
	c, err := s.open(ctx)
	if err != nil {
		return Sample{}, err
	}
	defer runtime.GC() // the next group starts in the same conditions
	defer func() { err = errors.Join(err, c.close()) }()
	leader, err := awaitLeader(ctx, c)
	if err != nil {
		return Sample{}, err
	}
	// One deadline for all calls: dragonboat wants one, and to set it for each
	// call would be measured with the call.
	ctx, cancel := context.WithTimeout(ctx, 2*o.span+patience)
	defer cancel()
	sample, err := newLoad(callers, o.span, w.call(c, leader)).run(ctx, o.profile.around(fmt.Sprintf("%s-%s-%d", s.name, w.slug, callers)))
	if err != nil {
		return Sample{}, err
	}
	if now, ok := c.leader(); !ok || now != leader {
		return Sample{}, errLeader
	}
	return sample, nil
}

// errLeader reports a measurement during which the leader changed.
var errLeader = errors.New("the leader changed")

// tries is how often something is tried to be measured.
const tries = 3

// retried calls measure until it succeeds: on a busy machine a group may change
// its leader meanwhile.
func retried[T any](ctx context.Context, progress func(string, ...any), measure func() (T, error)) (T, error) {
	var errs []error
	for range tries {
		v, err := measure()
		if err == nil {
			return v, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
		progress("that failed: %v", err)
	}
	var none T
	return none, errors.Join(errs...)
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
