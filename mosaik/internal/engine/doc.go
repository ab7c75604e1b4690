// Package engine is dragonboat behind one door: the only package of mosaik
// that imports it.
//
// An [Engine] is one NodeHost without a disk: it runs the replicas that this
// process holds, carries their messages over mosaik's own TLS links and keeps
// their logs in the groups' storages. A [Replica] is one member of one shard.
//
// # What others can do to an Engine
//
// Nothing that comes over a link is believed. A message counts only if its
// sender's identity was admitted with [Engine.Admit] for the shard and the
// replica that it speaks for, and only for the replica that runs here. Bytes
// that do not decode, messages that never travel, and entries and snapshots on
// which dragonboat would panic cost their sender the connection, and nothing
// else.
//
// # Failure of a storage or a machine
//
// dragonboat ends the process when a log, a snapshot or a machine fails. Here
// the replica is muted instead: nothing of it leaves the node any more, nothing
// is applied any more, [Events.Failed] says why, and the owner stops it.
package engine
