package mosaik

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
)

// minTicks is the number of ticks of Raft's clock that a timeout which Raft measures
// has at least. Raft counts whole ticks, so a shorter timeout can end before its
// first attempt.
const minTicks = 3

// checkTicks returns an error that names the first timeout that is too short for Raft's
// clock, which counts in ticks.
func checkTicks(c consensus.Config, tick time.Duration) error {
	for _, t := range []struct {
		name  string
		value time.Duration
	}{
		{"election_timeout", c.ElectionTimeout},
		{"forward_timeout", c.ForwardTimeout},
		{"query_timeout", c.QueryTimeout},
	} {
		if t.value < minTicks*tick {
			return fmt.Errorf("%s is %v: must be at least %d ticks of %v; raise it or shorten the tick (WithTick)",
				t.name, t.value, minTicks, tick)
		}
	}
	return nil
}

// timingOf returns the configuration as the group package has it, with an election timeout drawn
// for this join. c must be complete: see [consensus.Config.WithDefaults].
func timingOf(c consensus.Config) group.Timing {
	return group.Timing{
		ElectionTimeout: drawElectionTimeout(c),
		ElectionLimit:   c.ElectionTimeout + orNone(c.ElectionJitter),
		BootstrapDelay:  orNone(c.BootstrapDelay),
		Forward:         c.ForwardTimeout,
		Query:           c.QueryTimeout,
		Heartbeat: bond.Heartbeat{
			Interval: c.HeartbeatInterval, Jitter: orNone(c.HeartbeatJitter), MaxMissed: c.MaxMissedHeartbeats,
		},
	}
}

// drawElectionTimeout returns an election timeout drawn uniformly from
// [ElectionTimeout, ElectionTimeout+ElectionJitter), or the election timeout
// itself without jitter.
func drawElectionTimeout(c consensus.Config) time.Duration {
	if c.ElectionJitter <= 0 {
		return c.ElectionTimeout
	}
	return c.ElectionTimeout + rand.N(c.ElectionJitter)
}

// orNone returns a duration with None as 0.
func orNone(d time.Duration) time.Duration {
	if d == consensus.None {
		return 0
	}
	return d
}
