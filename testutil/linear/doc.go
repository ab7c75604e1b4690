// Package linear tests whether what concurrent clients saw of a service is linearizable: whether
// each operation can have happened at one moment between its call and its return.
//
// A test records the operations of its clients in a [History], breaks what it wants to break,
// and compares the history with a [Model]:
//
//	var h linear.History[linear.MapInput[string, int64], linear.MapOutput[int64]]
//	... // in each client, numbered from 0
//	h.Record(client, linear.Put("alice", int64(5)), func() (linear.MapOutput[int64], error) {
//		_, err := mosaik.Execute(ctx, group, ledger.Set{Account: "alice", Amount: 5})
//		return linear.MapOutput[int64]{}, err
//	})
//	...
//	linear.Check(t, &h, linear.Map[string, int64]())
//
// There are models of a register, a map, a counter, a queue and a lock. [Machine] makes a model
// of the service's own machine, whose operations are its commands and queries.
//
// The work is done by github.com/anishathalye/porcupine. It grows fast with the number of
// operations that overlap, so a test has some thousands of operations of few clients, and
// models split them by key where they can.
package linear
