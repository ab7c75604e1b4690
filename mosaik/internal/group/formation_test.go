package group

import (
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// A member that a living group refuses founds none beside it, but joins an epoch that
// it may join, and waits for others as it would.
func TestSeekerIsBarred(t *testing.T) {
	t.Parallel()
	role, now := Role{}, time.Unix(1_000_000, 0)
	for name, tc := range map[string]struct {
		expected int
		delay    time.Duration
		barred   time.Duration
		peers    map[string]Announcement
		want     move
	}{
		"not barred":              {want: move{bootstrap: true}},
		"barred":                  {barred: time.Second, want: move{wait: time.Second}},
		"before the delay passed": {barred: time.Second, delay: time.Minute, want: move{wait: time.Minute}},
		"all expected are here":   {barred: time.Second, expected: 2, peers: map[string]Announcement{"b": {Role: role}}, want: move{wait: time.Second}},
		"an epoch to join":        {barred: time.Second, peers: map[string]Announcement{"b": {Role: role, Epoch: Epoch{1}, Phase: CaughtUp}}, want: move{join: Epoch{1}}},
	} {
		peers := map[sm.PeerID]Announcement{}
		for p, a := range tc.peers {
			peers[peerOf(p)] = a
		}
		got := seeker{
			now: now, since: now, delay: tc.delay, self: peerOf("a"), role: role, policy: Policy{Expected: tc.expected, MinimumVoters: 1, MaximumVoters: 5},
			peers: peers, barred: tc.barred,
		}.next()
		if got != tc.want {
			t.Errorf("%s: the move is %+v, want %+v", name, got, tc.want)
		}
	}
}

// Only members that caught up vouch for an epoch. Those on their way into one
// are waited for: to join after them would be to wait for each other, and to
// bootstrap beside them might make a second epoch.
func TestSeekerJoinsOnlyWhatSomebodyVouchesFor(t *testing.T) {
	t.Parallel()
	low, high := Epoch{1}, Epoch{2}
	role := Role{}
	for name, tc := range map[string]struct {
		peers map[string]Announcement
		want  move
	}{
		"nobody":           {nil, move{bootstrap: true}},
		"one seeks":        {map[string]Announcement{"b": {Role: role}}, move{bootstrap: true}},
		"one on its way":   {map[string]Announcement{"b": {Role: role, Epoch: low, Phase: CatchingUp}}, move{}},
		"one caught up":    {map[string]Announcement{"b": {Role: role, Epoch: low, Phase: CaughtUp}}, move{join: low}},
		"one leaves":       {map[string]Announcement{"b": {Role: role, Epoch: low, Phase: Leaving}}, move{bootstrap: true}},
		"one of each":      {map[string]Announcement{"b": {Role: role, Epoch: low, Phase: CatchingUp}, "c": {Role: role, Epoch: high, Phase: CaughtUp}}, move{join: high}},
		"only a sealed":    {map[string]Announcement{"b": {Role: role, Epoch: Epoch{9}, Phase: CatchingUp}}, move{bootstrap: true}},
		"two caught up":    {map[string]Announcement{"b": {Role: role, Epoch: high, Phase: CaughtUp}, "c": {Role: role, Epoch: low, Phase: CaughtUp}}, move{join: low}},
		"commands attract": {map[string]Announcement{"b": {Role: role, Epoch: high, Phase: CaughtUp, Count: 1}, "c": {Role: role, Epoch: low, Phase: CaughtUp}}, move{join: high}},
	} {
		peers := map[sm.PeerID]Announcement{}
		for p, a := range tc.peers {
			peers[peerOf(p)] = a
		}
		now := time.Unix(1_000_000, 0)
		got := seeker{
			now: now, since: now, self: peerOf("a"), role: role, policy: Policy{MinimumVoters: 1, MaximumVoters: 5},
			ended: map[Epoch]sm.Index{{9}: 0}, peers: peers,
		}.next()
		if got != tc.want {
			t.Errorf("%s: the move is %+v, want %+v", name, got, tc.want)
		}
	}
}
