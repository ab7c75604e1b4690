// Package raftlog keeps the Raft logs of replicas in the groups' storages. It implements
// dragonboat's log database.
//
// A [Router] directs dragonboat's calls to the [Log] of each replica. dragonboat panics on
// every error of its log database, so a log that fails is fenced instead: dragonboat sees
// success from then on, the storage is not used again, and the owner is notified once.
//
// The package also reads what a stored log proves about a replica that does not run: whose
// log it is, which proposals it holds, and whether the replica was needed for every commit.
package raftlog
