package integration_test

import (
	"testing"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestElectionOnDisk crashes all members of a group without a machine, whose logs are
// on disk. They come back as the members that they were, in the same epoch.
func TestElectionOnDisk(t *testing.T) {
	t.Parallel()
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	c := testutil.NewCluster(t, len(dirs), testutil.WithNodeOptions(func(i int) []mosaik.Option {
		if i == len(dirs) {
			return nil // the one that is added in the end
		}
		return []mosaik.Option{mosaik.WithDir(dirs[i])}
	}))
	join := func() (groups []electionGroup) {
		for _, n := range nodes(c, nil) {
			groups = append(groups, testutil.JoinWith(n, n.Builder().WithLogStorage(logstore.Disk[struct{}]())))
		}
		testutil.Settle(t, groups...)
		return groups
	}
	incarnations := func(g electionGroup) map[sm.PeerID]consensus.Incarnation {
		all := map[sm.PeerID]consensus.Incarnation{}
		for _, m := range g.Status().Members {
			if !m.Durable {
				t.Errorf("the log of %s is not on disk", m.Peer.Short())
			}
			all[m.Peer] = m.Incarnation
		}
		return all
	}
	groups := join()
	before, epoch := incarnations(groups[0]), groups[0].Status().Epoch
	for _, n := range nodes(c, nil) {
		n.Crash()
	}
	for _, n := range nodes(c, nil) {
		n.Restart()
	}
	groups = join()
	after := incarnations(groups[1])
	if now := groups[1].Status().Epoch; now != epoch {
		t.Errorf("the group is in epoch %s, was in %s", now, epoch)
	}
	if len(after) != len(dirs) {
		t.Errorf("there are %d members, want %d", len(after), len(dirs))
	}
	for peer, incarnation := range before {
		if after[peer] != incarnation {
			t.Errorf("%s is incarnation %s, was %s", peer.Short(), after[peer], incarnation)
		}
	}
	// The storage is part of no group id: a member with its log in memory joins the same group.
	n := c.Add()
	if g := testutil.JoinWith(n, n.Builder().WithMembership(three)); g.ID() != groups[0].ID() {
		t.Errorf("a log in memory makes another group, %s instead of %s", g.ID(), groups[0].ID())
	}
}
