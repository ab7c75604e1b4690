package mosaik_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestSupersededTwin starts a second process with a member's identity, as after
// copying a directory or a restart that left the old process behind.
func TestSupersededTwin(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := testutil.NewCluster(t, 3)
	ctx := soon(t)
	open := func() (*mosaik.Network, tillGroup) {
		n, err := mosaik.Open(ctx, c.Node(0).Net().ID(), mosaik.WithIdentity(key), mosaik.WithListen("127.0.0.1:0"),
			mosaik.WithSeeds(c.Node(0).Addr(), c.Node(1).Addr()), mosaik.WithLeaveTimeout(0))
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

	oldNet, old := open()
	if err := old.When().Online(ctx); err != nil {
		t.Fatal(err)
	}
	_, young := open()
	for range old.When().Onlines(ctx) { // until it ends
	}
	wantError(t, "wait on the superseded one", old.When().Online(ctx), mosaik.ErrSuperseded)
	_, err = mosaik.Execute(ctx, old, pay(1))
	wantError(t, "execute on the superseded one", err, mosaik.ErrSuperseded)
	_, err = oldNet.Groups().WithKey(mosaik.RandomKey()).Join(ctx)
	wantError(t, "join another group there", err, mosaik.ErrSuperseded)

	if err := young.When().Online(ctx); err != nil {
		t.Fatal(err)
	}
	mustPay(t, young, 2)
	testutil.Settle(t, append(groups, young)...)
	wantSum(t, 3, append(groups, young)...)
}
