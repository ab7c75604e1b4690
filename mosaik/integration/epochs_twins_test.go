package integration_test

import (
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestSupersededTwin starts a second process with a member's identity, as after
// copying an identity or a restart that left the old process behind. The one that is
// later by its clock keeps running, the other one ends.
func TestSupersededTwin(t *testing.T) {
	t.Parallel()
	for clock, skew := range skews {
		t.Run(clock, func(t *testing.T) {
			t.Parallel()
			testTwin(t, skew)
		})
	}
}

func testTwin(t *testing.T, skew time.Duration) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := testutil.NewCluster(t, 3)
	ctx, start := soon(t), time.Now()
	open := func(at time.Time) (*mosaik.Network, tillGroup) {
		n, err := mosaik.Open(ctx, c.Node(0).Net().ID(), mosaik.WithIdentity(key), mosaik.WithListen("127.0.0.1:0"),
			mosaik.WithSeeds(c.Node(0).Addr(), c.Node(1).Addr()), mosaik.WithLeaveTimeout(0),
			withClock(func() time.Time { return at }))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		b := n.Groups().WithKey(c.Key()).WithConsensusConfig(testutil.FastConsensus()).WithMembership(three)
		g, err := mosaik.WithStateMachine(b, newTill).Join(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return n, g
	}
	groups := []tillGroup{joinThree(c.Node(0)), joinThree(c.Node(1)), joinThree(c.Node(2))}
	testutil.Settle(t, groups...)
	mustPay(t, groups[0], 1)

	oldNet, old := open(start)
	if err := old.When().Online(ctx); err != nil {
		t.Fatal(err)
	}
	youngNet, young := open(start.Add(skew))
	loser, loserNet, survivor := young, youngNet, old
	if skew > 0 {
		loser, loserNet, survivor = old, oldNet, young
	}
	if _, err := loser.When().Until(ctx, ended); err != nil {
		t.Error(err)
	}
	wantError(t, "wait on the superseded one", loser.When().Online(ctx), mosaik.ErrSuperseded)
	_, err = mosaik.Execute(ctx, loser, pay(1))
	wantError(t, "execute on the superseded one", err, mosaik.ErrSuperseded)
	_, err = loserNet.Groups().WithKey(mosaik.RandomKey()).Join(ctx)
	wantError(t, "join another group there", err, mosaik.ErrSuperseded)

	if err := survivor.When().Online(ctx); err != nil {
		t.Fatal(err)
	}
	mustPay(t, survivor, 2)
	testutil.Settle(t, append(groups, survivor)...)
	wantSum(t, 3, append(groups, survivor)...)
}
