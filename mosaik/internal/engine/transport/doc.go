// Package transport carries Raft messages and snapshots between the replicas of this process
// and those of peers, over the connections of package link.
//
// A connection carries data in one direction: the end that sends opens it. [Transport] is
// dragonboat's transport, which sends; [Transport.ServeRaft] and [Transport.ServeSnapshot]
// receive on connections that peers have opened.
//
// # Rights of a sender
//
// A peer's bytes are hostile. A message counts only if the identity of its sender was
// admitted with [Transport.Admit] for the shard and the replica that it speaks for, and only
// for the replica that has an [Endpoint] here. A malformed message costs its sender the
// connection. A message that the sender may not send, or that dragonboat would misuse, is
// dropped (rights.go).
//
// # Flow
//
// The receiver acknowledges the bytes that arrive (stream.go, acks.go). The sender limits the
// bytes in flight and lets heartbeats overtake entries (backlog.go), replaces a connection on
// which nothing is acknowledged (monitor.go), and keeps a replica that catches up supplied
// (pipeline.go).
package transport
