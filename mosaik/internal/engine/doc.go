// Package engine is the door to dragonboat: mosaik uses dragonboat through it only, and no
// other package imports the packages in its folder.
//
// An [Engine] is one NodeHost without a disk: it runs the replicas of this process, carries
// their messages over mosaik's own TLS links and keeps their logs in the groups' storages. A
// [Replica] is one member of one shard.
//
// # Parts
//
// Package transport carries messages and snapshots and decides which of them count. Package
// raftlog keeps logs, package snapstore keeps snapshots, and package wire has the bytes that
// members exchange. This package starts and stops replicas, applies entries, proposes, reads
// and changes the membership.
//
// # Failure of a storage or a state machine
//
// dragonboat ends the process when a log, a snapshot or a state machine fails. Here the replica
// is fenced instead: nothing of it leaves the process and nothing is applied from then on,
// [Events.Failed] gives the cause, and the owner must stop the replica.
//
// # Applying
//
// dragonboat's workers serve many replicas, so they only hand entries and snapshots over to a
// queue of the replica. A goroutine of the replica takes them from there, in
// their order, and calls the state machine. dragonboat counts an entry as applied when it was
// handed over. What depends on the state waits for the queue: proposals, reads, snapshots and the
// report that the replica was removed. Entries that the queue has no room for stay in the log, from which
// the goroutine reads them.
//
// # Locks
//
// No lock of this package is held during calls of the owner's StateMachine, and of its Events but
// for Replica.mu, which serializes them. Engine.gate is held for reading during calls of
// dragonboat, so that Close can wait for them.
package engine
