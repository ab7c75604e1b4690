// Package group is a member's part in one group: it finds an epoch or bootstraps one, joins it,
// keeps the membership in order while the member leads, and leaves. It does not know the types of
// commands.
//
// # Parts
//
// Two pure functions decide. [bootstrapper.next] decides for a member without an epoch, and
// [reconciler.next] for the leader of an epoch. A third, [abandonment.decide], decides whether a
// member may give up an epoch whose formation failed. The rest of the package collects what they
// need to know, and carries out their decisions:
//
//   - A [Group] is the member's part. It owns one goroutine, whose queue is the inbox (inbox.go).
//   - A localReplica is its replica of one epoch. It drives the replicated state, and ends when the
//     member enters another epoch. The commands of callers pass through package session.
//   - A bondHandler receives the bonds of other members, and their announcements (announcement.go)
//     and messages (handler.go). A remoteReplica is what they tell about another replica.
//   - replicaEvents and stateEvents receive what the engine and the replicated state report.
//   - Process identities: an [Incarnation] is one life of a log; a succession decides which of two
//     processes with one peer id takes part.
//   - The files of a group: the carryover of a recovery (carryover.go), and the count of starts
//     (starts.go).
//   - A [Status] is what callers see of it.
//
// # Ownership and locks
//
// A Group's state belongs to its goroutine. Every event is queued in its inbox, once, as a function
// that handles it. Slow work runs in workers, which post their result. Callers read atomics and
// watched values. The inbox's mutex is the only lock that other packages reach, and it is a leaf.
package group
