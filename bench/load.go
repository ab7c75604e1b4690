package main

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// call makes one call and waits for its result.
type call func(context.Context) error

// Sample is what one load measured.
type Sample struct {
	PerSecond float64       `json:"per_second"`
	P50       time.Duration `json:"p50_ns"`
	P99       time.Duration `json:"p99_ns"`
	// What a call costs the whole process, all members together.
	Allocs float64       `json:"allocs_per_call"`
	Bytes  float64       `json:"bytes_per_call"`
	CPU    time.Duration `json:"cpu_ns_per_call"`
	// Behind is how many commands the slowest member had not applied at the end
	// of the measured time, of those that the fastest had.
	Behind uint64 `json:"behind"`
	// Unanswered is how many calls had no answer long after the load was over:
	// something lost them, and their callers did nothing else meanwhile.
	Unanswered int `json:"unanswered"`
}

// lateness is how long after the end of a load its last calls are waited for.
const lateness = 2 * time.Second

// The phases of a load.
const (
	warmingUp int32 = iota
	measuring
	over
)

// load is callers that call without pause, each awaiting its result.
type load struct {
	callers int
	span    time.Duration // how long it is measured, after a warm-up of a quarter
	call    call          // nil if feed is set
	feed    feed          // with which a window of commands is outstanding

	phase     atomic.Int32
	latencies histogram
	counted   sync.Once
	some      chan struct{} // closed when the first call was counted
	cut       atomic.Int32  // calls that were not waited for
}

func newLoad(callers int, span time.Duration, call call) *load {
	return &load{callers: callers, span: span, call: call, some: make(chan struct{})}
}

// newPipeline returns a load whose callers await a result only when a window of
// commands is outstanding.
func newPipeline(callers int, span time.Duration, feed feed) *load {
	return &load{callers: callers, span: span, feed: feed, some: make(chan struct{})}
}

// run measures the load, for its span and until at least one call was counted.
// The first call that fails ends it. measured, if not
// nil, is called around the measured time; what it returns at its end.
func (l *load) run(ctx context.Context, measured func() (end func() error, err error)) (Sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var callers sync.WaitGroup
	for range l.callers {
		callers.Go(func() {
			if err := l.caller(ctx); err != nil {
				cancel(err)
			}
		})
	}
	sample, err := l.measure(ctx, measured)
	l.phase.Store(over)
	if err != nil {
		cancel(err)
	}
	late := time.AfterFunc(lateness, func() { cancel(nil) })
	defer late.Stop()
	callers.Wait()
	sample.Unanswered = int(l.cut.Load())
	return sample, err
}

// measure measures what the callers do.
func (l *load) measure(ctx context.Context, measured func() (end func() error, err error)) (_ Sample, err error) {
	if err := pause(ctx, l.span/4); err != nil {
		return Sample{}, err
	}
	if measured != nil {
		end, startErr := measured()
		if startErr != nil {
			return Sample{}, startErr
		}
		defer func() { err = errors.Join(err, end()) }()
	}
	before := readMeter()
	l.phase.Store(measuring)
	if err := pause(ctx, l.span); err != nil {
		return Sample{}, err
	}
	select {
	case <-l.some:
	case <-ctx.Done():
		return Sample{}, context.Cause(ctx)
	}
	l.phase.Store(over)
	return l.sample(before, readMeter()), nil
}

// caller calls until the load is over. Its calls wait on a context of its own,
// as those of independent callers do.
func (l *load) caller(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if l.feed != nil {
		return l.pipeline(ctx)
	}
	for began := time.Now(); l.phase.Load() != over; began = time.Now() {
		if err := l.call(ctx); err != nil {
			return l.lost(err)
		}
		l.answered(began)
	}
	return nil
}

// pipeline feeds commands until the load is over, and waits for all of them.
func (l *load) pipeline(ctx context.Context) error {
	type item struct {
		began time.Time
		wait  call
	}
	var outstanding [window]item // a ring: the oldest is at waited
	var fed, waited int
	for isOver := false; !isOver || waited < fed; isOver = l.phase.Load() == over {
		if !isOver && fed-waited < window {
			began := time.Now()
			wait, err := l.feed(ctx)
			if err != nil {
				return l.lost(err)
			}
			outstanding[fed%window] = item{began, wait}
			fed++
			continue
		}
		oldest := outstanding[waited%window]
		waited++
		if err := oldest.wait(ctx); err != nil {
			return l.lost(err)
		}
		l.answered(oldest.began)
	}
	return nil
}

// lost takes note of a call that failed, which ends the load unless it is over.
func (l *load) lost(err error) error {
	if l.phase.Load() != over {
		return err
	}
	l.cut.Add(1)
	return nil
}

// answered takes note of a call that succeeded.
func (l *load) answered(began time.Time) {
	if l.phase.Load() != measuring {
		return
	}
	l.latencies.add(time.Since(began))
	l.counted.Do(func() { close(l.some) })
}

func (l *load) sample(before, after meter) Sample {
	calls := float64(l.latencies.count())
	return Sample{
		PerSecond: calls / after.at.Sub(before.at).Seconds(),
		P50:       l.latencies.quantile(0.50),
		P99:       l.latencies.quantile(0.99),
		Allocs:    float64(after.mallocs-before.mallocs) / calls,
		Bytes:     float64(after.bytes-before.bytes) / calls,
		CPU:       time.Duration(float64(after.cpu-before.cpu) / calls),
	}
}

// pause waits for a time, or returns why ctx ended before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// meter is what the process has used up to a moment.
type meter struct {
	at             time.Time
	cpu            time.Duration
	mallocs, bytes uint64
}

func readMeter() meter {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return meter{at: time.Now(), cpu: cpuTime(), mallocs: m.Mallocs, bytes: m.TotalAlloc}
}
