package mosaik

import (
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

func TestDrawElectionTimeout(t *testing.T) {
	t.Parallel()
	c := consensus.Config{ElectionTimeout: time.Second, ElectionJitter: 4}
	seen := map[time.Duration]int{}
	for range 4000 {
		seen[drawElectionTimeout(c)-time.Second]++
	}
	for d := range time.Duration(4) {
		// 1000 are expected, with a standard deviation of 27.
		if n := seen[d]; n < 700 {
			t.Errorf("timeout+%d was drawn %d times of 4000, want about 1000", d, n)
		}
		delete(seen, d)
	}
	if len(seen) > 0 {
		t.Errorf("drawn outside of [timeout, timeout+4): %v", seen)
	}
	c.ElectionJitter = consensus.None
	if got := drawElectionTimeout(c); got != time.Second {
		t.Errorf("without jitter %v is drawn, want 1s", got)
	}
}

// TestNoneIsZero holds that None, and nothing else, reaches the group as zero.
func TestNoneIsZero(t *testing.T) {
	t.Parallel()
	none := timingOf(consensus.Config{
		HeartbeatJitter: consensus.None, ElectionJitter: consensus.None, BootstrapDelay: consensus.None,
	}.WithDefaults())
	if none.Heartbeat.Jitter != 0 || none.BootstrapDelay != 0 || none.ElectionTimeout != none.ElectionLimit {
		t.Errorf("None becomes %+v, want no jitter and no delay", none)
	}
	defaults := timingOf(consensus.Config{}.WithDefaults())
	if defaults.Heartbeat.Jitter != 150*time.Millisecond || defaults.BootstrapDelay != 3*time.Second || defaults.ElectionLimit != 2500*time.Millisecond {
		t.Errorf("the default becomes %+v", defaults)
	}
}
