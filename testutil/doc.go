// Package testutil is the kit for tests of services that use mosaik.
//
// [NewCluster] runs several nodes in one process, over real TLS on the loopback
// interface, whose links can be cut and healed and which can crash and come
// back. [JoinAll] joins one group on all of them, with timing that suits tests:
//
//	func TestLedger(t *testing.T) {
//		c := testutil.NewCluster(t, 3)
//		groups := testutil.JoinAll(c, ledger.New)
//
//		result, err := mosaik.Execute(t.Context(), groups[0], ledger.Deposit{Account: "alice", Amount: 5})
//		...
//		c.NodeOf(groups[0].Status().Leader).Crash()
//		...
//	}
//
// There is no helper that polls until something is so: wait for it with
// [mosaik.Group.When].
package testutil
