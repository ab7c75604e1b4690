//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
)

// timeRolling restarts each of n members in turn. It returns how long all of it
// took, and the longest time between two acknowledged writes meanwhile.
func timeRolling(ctx context.Context, t clockwork, n int) (total, gap time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := openNodes(ctx, t, n)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, all.close()) }()
	key := mosaik.RandomKey()
	groups, err := all.form(ctx, key)
	if err != nil {
		return 0, 0, err
	}

	w := &writer{group: groups[n-1]}
	var writing sync.WaitGroup
	writing.Go(func() { w.run(ctx) })
	began := time.Now()
	for i := range n {
		if i == n-1 {
			w.use(groups[0]) // before its member goes
		}
		if err = groups[i].Leave(ctx); err != nil {
			break
		}
		if err = all.nets[i].Close(); err != nil {
			break
		}
		if err = all.open(ctx, i); err != nil {
			break
		}
		if groups[i], err = all.join(ctx, key, i); err != nil {
			break
		}
		if err = groups[i].When().Settled(ctx); err != nil {
			break
		}
	}
	total = time.Since(began)
	cancel()
	writing.Wait()
	switch {
	case err != nil:
		return 0, 0, err
	case w.acknowledged == 0:
		return 0, 0, fmt.Errorf("no write was acknowledged: %w", w.err)
	}
	return total, w.gap, nil
}

// writer always has a write under way.
type writer struct {
	mu    sync.Mutex
	group *group

	acknowledged int
	gap          time.Duration
	err          error // the last
}

// use makes the next writes go through another member.
func (w *writer) use(g *group) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.group = g
}

func (w *writer) run(ctx context.Context) {
	last := time.Now()
	for ctx.Err() == nil {
		w.mu.Lock()
		g := w.group
		w.mu.Unlock()
		if _, err := g.Execute(ctx, tick{1}); err != nil {
			w.err = err
			continue
		}
		now := time.Now()
		w.gap = max(w.gap, now.Sub(last))
		w.acknowledged, last = w.acknowledged+1, now
	}
}
