package integration_test

import (
	"fmt"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/integration/testdata/savings"
	"github.com/mosaik-go/mosaik/testutil"
)

// TestGeneratedSnapshots lets a member join whose log no longer reaches back to
// the first command: it gets the machine's state by a generated snapshot.
func TestGeneratedSnapshots(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	policy := consensus.Policy{Expected: 3}
	join := func(n *testutil.Node) *mosaik.Group[savings.Command, *savings.Savings] {
		return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), savings.New).WithMembership(policy).WithSnapshots(20, 64<<20))
	}
	groups := []*mosaik.Group[savings.Command, *savings.Savings]{join(c.Node(0)), join(c.Node(1)), join(c.Node(2))}
	testutil.Settle(t, groups...)
	const commands = 200
	for i := range commands {
		deposit := savings.Deposit{Account: fmt.Sprintf("account %d", i%3), Amount: int64(i)}
		if _, err := mosaik.Execute(soon(t), groups[i%3], deposit); err != nil {
			t.Fatal(err)
		}
	}
	late := join(c.Add())
	if err := late.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	answer, err := mosaik.Query(soon(t), late, savings.Look{Account: "account 1"}, mosaik.Strong)
	if err != nil {
		t.Fatal(err)
	}
	want := savings.Report{Total: commands * (commands - 1) / 2, Deposits: 67, Restored: true}
	for i := 1; i < commands; i += 3 {
		want.Balance += int64(i)
	}
	if answer.Value != want {
		t.Errorf("the late member holds %+v, want %+v", answer.Value, want)
	}
	for _, g := range append(groups, late) {
		want.Total++
		if total, err := mosaik.Execute(soon(t), g, savings.Deposit{Account: "more", Amount: 1}); err != nil || total.Value != want.Total {
			t.Errorf("a deposit makes %d, %v; want %d", total.Value, err, want.Total)
		}
	}
}
