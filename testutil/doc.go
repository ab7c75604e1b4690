// Package testutil is the kit for tests of services that use mosaik.
//
// [NewCluster] starts several nodes in one process. They communicate over TLS on the
// loopback interface. A test can cut and heal the links between them, crash them and
// restart them. [JoinAll] joins one group on all nodes, with timing that suits tests:
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
// [CheckDeterminism] finds machines whose replicas would differ:
//
//	func TestDeterminism(t *testing.T) { testutil.CheckDeterminism(t, ledger.New) }
//
// There is no helper that polls for a condition. Wait for one with
// [mosaik.Group.When].
package testutil
