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
	call    call

	phase     atomic.Int32
	latencies histogram
	counted   sync.Once
	some      chan struct{} // closed when the first call was counted
	cut       atomic.Int32  // calls that were not waited for
}

func newLoad(callers int, span time.Duration, call call) *load {
	return &load{callers: callers, span: span, call: call, some: make(chan struct{})}
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
	for began := time.Now(); l.phase.Load() != over; {
		if err := l.call(ctx); err != nil {
			if l.phase.Load() == over {
				l.cut.Add(1)
				return nil
			}
			return err
		}
		ended := time.Now()
		if l.phase.Load() == measuring {
			l.latencies.add(ended.Sub(began))
			l.counted.Do(func() { close(l.some) })
		}
		began = ended
	}
	return nil
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
