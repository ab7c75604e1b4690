package bond

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
)

// reach is the number of peers that were reached, and the errors of seeds.
type reach struct {
	peers int              // connections on which entries have arrived
	seeds map[string]error // why each seed could not be reached last; immutable
}

// reachability is a reach whose changes callers can await.
type reachability struct{ value *watch.Value[reach] }

func newReachability() reachability { return reachability{watch.New(reach{})} }

// peers returns the number of connections on which entries have arrived.
func (r reachability) peers() int { return r.value.Get().peers }

// connected counts a connection on which entries have arrived, with n = -1 one that ended.
func (r reachability) connected(n int) {
	r.value.Update(func(v reach) (reach, bool) {
		v.peers += n
		return v, true
	})
}

// seed records the result of dialling a seed. nil clears the error before.
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

// Connected waits until a peer is connected and has sent its entries. If ctx ends first, the error
// wraps its cause and explains why each seed could not be reached. If the manager closes first,
// the error wraps [ErrClosed].
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
