package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// joinsEach is how many members join a group, one after the other, in a round.
const joinsEach = 5

// Join is how long members took to join an existing group, with one clockwork.
type Join struct {
	Timing string          `json:"timing"`
	Total  []time.Duration `json:"open_to_online_ns"` // from opening the network
	Online []time.Duration `json:"join_to_online_ns"` // from joining on a network that is connected
}

// measureJoins lets a fourth member join a group of three again and again.
func measureJoins(ctx context.Context, o options) ([]Join, error) {
	all := make([]Join, len(o.timings))
	for round := range o.rounds {
		for i, t := range o.timings {
			o.progress("round %d of %d: joins, %s", round+1, o.rounds, t.name)
			all[i].Timing = t.name
			if err := all[i].round(ctx, t); err != nil {
				return nil, fmt.Errorf("bench: join: %w", err)
			}
		}
	}
	return all, nil
}

func (j *Join) round(ctx context.Context, t timing) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*joinsEach*patience)
	defer cancel()
	c, err := openMosaik(ctx, t, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for range joinsEach {
		total, err := c.timeJoin(ctx, false)
		if err != nil {
			return err
		}
		online, err := c.timeJoin(ctx, true)
		if err != nil {
			return err
		}
		j.Total, j.Online = append(j.Total, total), append(j.Online, online)
	}
	return nil
}

// timeJoin returns how long a new member takes until it is online, from the
// opening of its network or, with connected set, from the moment when the
// network is connected. The member leaves again.
func (c *mosaikCluster) timeJoin(ctx context.Context, connected bool) (took time.Duration, err error) {
	began := time.Now()
	net, err := c.open(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, net.Close()) }()
	if connected {
		if err := net.Connected(ctx); err != nil {
			return 0, err
		}
		began = time.Now()
	}
	group, err := c.joinOn(ctx, net)
	if err != nil {
		return 0, err
	}
	if err := group.When().Online(ctx); err != nil {
		return 0, err
	}
	took = time.Since(began)
	if err := group.Leave(ctx); err != nil {
		return 0, err
	}
	return took, c.settle(ctx)
}
