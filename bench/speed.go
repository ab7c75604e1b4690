package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"time"
)

// kind is a kind of load.
type kind int

const (
	onLeader   kind = iota // commands, called on the leader
	onFollower             // commands, called on a follower
	pipelining             // commands, several outstanding for each caller
	reading                // linearizable reads
)

// workload is a kind of load, with its names.
type workload struct {
	kind kind
	name string // completes "… per second"
	slug string // in flags and file names
	most int    // callers at which it is measured, 0 for any number
}

// window is how many commands of a caller are outstanding when it pipelines.
const window = 64

// The workloads.
var (
	commands         = workload{onLeader, "Commands", "commands", 0}
	followerCommands = workload{onFollower, "Commands, called on a follower", "followers", 0}
	pipelined        = workload{pipelining, "Commands, 64 outstanding for each caller", "pipelined", 64}
	reads            = workload{reading, "Linearizable reads", "reads", 0}
	allWorkloads     = []workload{commands, followerCommands, pipelined, reads}
)

// fits says whether a system is measured with the workload and so many callers.
func (w workload) fits(s system, callers int) bool {
	return !slices.Contains(s.lacks, w.kind) && (w.most == 0 || callers <= w.most)
}

// load returns the workload's load on a cluster with the given leader.
func (w workload) load(c cluster, leader, callers int, span time.Duration) *load {
	switch w.kind {
	case onFollower:
		return newLoad(callers, span, c.execute((leader+1)%members))
	case pipelining:
		return newPipeline(callers, span, c.(feeder).feed(leader))
	case reading:
		return newLoad(callers, span, c.read(leader))
	default:
		return newLoad(callers, span, c.execute(leader))
	}
}

// Speed is what one load measured on one system, in all rounds.
type Speed struct {
	System   string   `json:"system"`
	Durable  bool     `json:"durable"`
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
		Behind:     uint64(medianOf(s.Rounds, func(r Sample) float64 { return float64(r.Behind) })),
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
			turns := slices.DeleteFunc(slices.Clone(o.systems), func(s system) bool { return !w.fits(s, callers) })
			rows := make([]Speed, len(turns))
			for i, s := range turns {
				rows[i] = Speed{System: s.name, Durable: s.durable, Workload: w.name, Callers: callers}
			}
			for round := range o.rounds {
				for i := range turns {
					n := (round + i) % len(turns)
					sample, err := o.measureLoad(ctx, turns[n], w, callers)
					if err != nil {
						return nil, fmt.Errorf("bench: %s: %s, %d callers: %w", turns[n].name, w.slug, callers, err)
					}
					rows[n].Rounds = append(rows[n].Rounds, sample)
				}
			}
			all = append(all, rows...)
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
	defer runtime.GC() // the next group starts in the same conditions
	dir, err := os.MkdirTemp(o.dir, "bench-")
	if err != nil {
		return Sample{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := s.open(ctx, dir)
	if err != nil {
		return Sample{}, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	leader, err := awaitLeader(ctx, c)
	if err != nil {
		return Sample{}, err
	}
	// One deadline for all calls: dragonboat wants one, and to set it for each
	// call would be measured with the call.
	ctx, cancel := context.WithTimeout(ctx, 2*o.span+patience)
	defer cancel()
	var behind uint64
	measured := o.profile.around(fmt.Sprintf("%s-%s-%d", s.name, w.slug, callers), func() { behind = lag(c) })
	sample, err := w.load(c, leader, callers, o.span).run(ctx, measured)
	if err != nil {
		return Sample{}, err
	}
	sample.Behind = behind
	if now, ok := c.leader(); !ok || now != leader {
		return Sample{}, errLeader
	}
	return sample, nil
}

// lag returns how many commands the first member has applied that the last one
// has not.
func lag(c cluster) uint64 {
	first, last := uint64(0), uint64(math.MaxUint64)
	for i := range members {
		n := c.applied(i)
		first, last = max(first, n), min(last, n)
	}
	return first - last
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
