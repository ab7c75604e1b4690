package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Gap is for how long a group took no writes after its leader crashed, with one
// clockwork.
type Gap struct {
	Timing string          `json:"timing"`
	Took   []time.Duration `json:"took_ns"`
}

// measureGaps crashes the leader of a new group in each round.
func measureGaps(ctx context.Context, o options) ([]Gap, error) {
	all := make([]Gap, len(o.timings))
	for round := range o.rounds {
		for i, t := range o.timings {
			o.progress("round %d of %d: crash of the leader, %s", round+1, o.rounds, t.name)
			took, err := retried(ctx, o.progress, func() (time.Duration, error) { return measureGap(ctx, t) })
			if err != nil {
				return nil, fmt.Errorf("bench: crash of the leader: %w", err)
			}
			all[i].Timing = t.name
			all[i].Took = append(all[i].Took, took)
		}
	}
	return all, nil
}

// measureGap returns the time from the crash of the leader, during which
// another member writes without pause, to the acknowledgement of the first
// write that began after the crash.
func measureGap(ctx context.Context, t timing) (_ time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	c, err := openMosaik(ctx, t, "")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	leader, err := awaitLeader(ctx, c)
	if err != nil {
		return 0, err
	}
	w := newWriter(c.members[(leader+1)%members].group)
	var writing sync.WaitGroup
	writing.Go(func() { w.run(ctx) })
	defer writing.Wait()
	defer cancel()
	select {
	case <-w.flowing:
	case err := <-w.failed:
		return 0, err
	}
	if now, ok := c.leader(); !ok || now != leader {
		return 0, errLeader
	}
	began := time.Now()
	err = c.members[leader].net.Close()
	w.crashed.Store(true)
	select {
	case at := <-w.acknowledged:
		return at.Sub(began), err
	case failed := <-w.failed:
		return 0, errors.Join(err, failed)
	}
}

// writer writes without pause, until the first write that began after the crash
// is acknowledged.
type writer struct {
	group        *counterGroup
	crashed      atomic.Bool
	flowing      chan struct{}  // closed at the first acknowledgement of all
	acknowledged chan time.Time // when the awaited write was acknowledged
	failed       chan error     // why it stopped before
}

func newWriter(group *counterGroup) *writer {
	return &writer{
		group:        group,
		flowing:      make(chan struct{}),
		acknowledged: make(chan time.Time, 1),
		failed:       make(chan error, 1),
	}
}

func (w *writer) run(ctx context.Context) {
	isFlowing := false
	for {
		last := w.crashed.Load()
		_, err := w.group.Execute(ctx, add{Account: 1, Amount: 1})
		switch {
		case err == nil && last:
			w.acknowledged <- time.Now()
			return
		case err == nil && !isFlowing:
			isFlowing = true
			close(w.flowing)
		case err != nil:
			// The group has no quorum, for a while.
			if err := w.group.When().Online(ctx); err != nil {
				w.failed <- err
				return
			}
		}
	}
}
