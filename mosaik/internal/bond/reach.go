package bond

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
)

// reach is what is known about getting to the other peers.
type reach struct {
	peers int              // that are connected and have told what they know
	seeds map[string]error // why a seed could not be reached last time
}

// reachability is the manager's reach, to be waited on.
type reachability struct{ value *watch.Value[reach] }

func newReachability() reachability { return reachability{watch.New(reach{})} }

// peers returns how many peers are connected and have told what they know.
func (r reachability) peers() int { return r.value.Get().peers }

// connected counts a connection over which entries have come, or with -1 no more.
func (r reachability) connected(n int) {
	r.value.Update(func(v reach) (reach, bool) {
		v.peers += n
		return v, true
	})
}

// seed notes how dialling a seed ended; nil clears what was noted before.
func (r reachability) seed(addr string, err error) {
	r.value.Update(func(v reach) (reach, bool) {
		v.seeds = maps.Clone(v.seeds)
		if err == nil {
			delete(v.seeds, addr)
			return v, true
		}
		if v.seeds == nil {
			v.seeds = map[string]error{}
		}
		v.seeds[addr] = err
		return v, true
	})
}

// Connected waits until some peer is connected and has told whom it knows. When ctx ends first
// the error says why each seed could not be reached, when the manager closes
// first it is [ErrClosed].
func (m *Manager) Connected(ctx context.Context) error {
	r, err := m.reach.value.Wait(ctx, func(r reach) bool { return r.peers > 0 })
	if err == nil {
		return nil
	}
	if len(m.cfg.Seeds) == 0 {
		return fmt.Errorf("no peer has connected, and there are no seeds: %w", err)
	}
	errs := []error{err}
	for _, addr := range slices.Sorted(maps.Keys(r.seeds)) {
		errs = append(errs, fmt.Errorf("seed %s: %w", addr, r.seeds[addr]))
	}
	return fmt.Errorf("no peer reached: %w", errors.Join(errs...))
}
