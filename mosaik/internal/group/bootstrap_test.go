package group

import (
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// TestBootstrapIsBlocked has a group that accepts commands refuse a member. The member does not
// bootstrap, but joins an epoch that it may join.
func TestBootstrapIsBlocked(t *testing.T) {
	t.Parallel()
	role, now := Role{}, time.Unix(1_000_000, 0)
	for name, tc := range map[string]struct {
		expected int
		delay    time.Duration
		barred   time.Duration
		peers    map[string]Announcement
		want     decision
	}{
		"not barred":              {want: decision{bootstrap: true}},
		"barred":                  {barred: time.Second, want: decision{wait: time.Second}},
		"before the delay passed": {barred: time.Second, delay: time.Minute, want: decision{wait: time.Minute}},
		"all expected are here":   {barred: time.Second, expected: 2, peers: map[string]Announcement{"b": {Role: role}}, want: decision{wait: time.Second}},
		"an epoch to join":        {barred: time.Second, peers: map[string]Announcement{"b": {Role: role, Epoch: Epoch{1}, Phase: CaughtUp}}, want: decision{join: Epoch{1}}},
	} {
		peers := map[sm.PeerID]Announcement{}
		for p, a := range tc.peers {
			peers[peerOf(p)] = a
		}
		got := bootstrapper{
			now: now, seekingSince: now, delay: tc.delay, self: peerOf("a"), role: role, policy: Policy{Expected: tc.expected, MinimumVoters: 1, MaximumVoters: 5},
			peers: peers, blocked: tc.barred,
		}.next()
		if got != tc.want {
			t.Errorf("%s: the decision is %+v, want %+v", name, got, tc.want)
		}
	}
}

// TestOnlyCaughtUpPeersVouch has peers that caught up and peers that are catching up. Only the
// former vouch for an epoch. The member waits for the latter: joining after them could make both
// wait for each other, and bootstrapping could make a second epoch.
func TestOnlyCaughtUpPeersVouch(t *testing.T) {
	t.Parallel()
	low, high := Epoch{1}, Epoch{2}
	role := Role{}
	for name, tc := range map[string]struct {
		peers map[string]Announcement
		want  decision
	}{
		"nobody":           {nil, decision{bootstrap: true}},
		"one seeks":        {map[string]Announcement{"b": {Role: role}}, decision{bootstrap: true}},
		"one on its way":   {map[string]Announcement{"b": {Role: role, Epoch: low, Phase: CatchingUp}}, decision{}},
		"one caught up":    {map[string]Announcement{"b": {Role: role, Epoch: low, Phase: CaughtUp}}, decision{join: low}},
		"one leaves":       {map[string]Announcement{"b": {Role: role, Epoch: low, Phase: Leaving}}, decision{bootstrap: true}},
		"one of each":      {map[string]Announcement{"b": {Role: role, Epoch: low, Phase: CatchingUp}, "c": {Role: role, Epoch: high, Phase: CaughtUp}}, decision{join: high}},
		"only a sealed":    {map[string]Announcement{"b": {Role: role, Epoch: Epoch{9}, Phase: CatchingUp}}, decision{bootstrap: true}},
		"two caught up":    {map[string]Announcement{"b": {Role: role, Epoch: high, Phase: CaughtUp}, "c": {Role: role, Epoch: low, Phase: CaughtUp}}, decision{join: low}},
		"commands attract": {map[string]Announcement{"b": {Role: role, Epoch: high, Phase: CaughtUp, AppliedIndex: 1}, "c": {Role: role, Epoch: low, Phase: CaughtUp}}, decision{join: high}},
	} {
		peers := map[sm.PeerID]Announcement{}
		for p, a := range tc.peers {
			peers[peerOf(p)] = a
		}
		now := time.Unix(1_000_000, 0)
		got := bootstrapper{
			now: now, seekingSince: now, self: peerOf("a"), role: role, policy: Policy{MinimumVoters: 1, MaximumVoters: 5},
			endedEpochs: map[Epoch]sm.Index{{9}: 0}, peers: peers,
		}.next()
		if got != tc.want {
			t.Errorf("%s: the decision is %+v, want %+v", name, got, tc.want)
		}
	}
}
