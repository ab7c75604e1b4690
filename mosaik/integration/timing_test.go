package integration_test

import (
	"cmp"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/seam"
	"github.com/mosaik-go/mosaik/testutil"
)

// fast returns the configuration of the groups that tests join, with the fields of
// change that are set.
func fast(change consensus.Config) consensus.Config {
	c := testutil.FastConsensus()
	return consensus.Config{
		HeartbeatInterval:   cmp.Or(change.HeartbeatInterval, c.HeartbeatInterval),
		HeartbeatJitter:     cmp.Or(change.HeartbeatJitter, c.HeartbeatJitter),
		MaxMissedHeartbeats: cmp.Or(change.MaxMissedHeartbeats, c.MaxMissedHeartbeats),
		ElectionTimeout:     cmp.Or(change.ElectionTimeout, c.ElectionTimeout),
		ElectionJitter:      cmp.Or(change.ElectionJitter, c.ElectionJitter),
		BootstrapDelay:      cmp.Or(change.BootstrapDelay, c.BootstrapDelay),
		ForwardTimeout:      cmp.Or(change.ForwardTimeout, c.ForwardTimeout),
		QueryTimeout:        cmp.Or(change.QueryTimeout, c.QueryTimeout),
	}
}

// withClock sets the clock that orders the processes of one identity.
func withClock(now func() time.Time) mosaik.Option { return seam.WithClock(now).(mosaik.Option) }
