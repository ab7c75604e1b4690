//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"syscall"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
)

// idleness reports what g groups of n members take while nobody uses them.
func (p plan) idleness(ctx context.Context, w io.Writer, n, g int) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience+p.idle)
	defer cancel()
	all, err := openNodes(ctx, clockworks()[0], n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.close()) }()
	for range g {
		if _, err := all.form(ctx, mosaik.RandomKey()); err != nil {
			return err
		}
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	used, began := cpuTime(), time.Now()
	select {
	case <-time.After(p.idle):
	case <-ctx.Done():
		return ctx.Err()
	}
	share := float64(cpuTime()-used) / float64(time.Since(began))
	_, err = fmt.Fprintf(w, "| %d | %d | %.1f %% of a core | %.1f MB | %d |\n",
		n, g, 100*share, float64(memory.HeapAlloc)/1e6, runtime.NumGoroutine())
	return err
}

// cpuTime returns the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
