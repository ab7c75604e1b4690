// Package mosaik gives a service replicated, typed state: members that share a
// key find each other, elect a leader and apply the same commands in the same
// order to a state machine that the service writes.
//
// # Joining
//
// [Open] puts the process on a network: it gets a peer id, listens on one TCP
// port, and learns of the other peers from any seed. A group is joined with a
// builder; the machine comes first, then its storage, anything else in any
// order:
//
//	net, err := mosaik.Open(ctx, mosaik.NewNetworkID("bank"), mosaik.WithSeeds("10.0.0.1:7000"))
//	b := mosaik.WithStateMachine(net.Groups().WithKey(key), ledger.New)
//	group, err := b.WithMembership(mosaik.Policy{Expected: 3}).Join(ctx)
//	err = group.When().Online(ctx)
//
// Say how many members you expect. The group then accepts commands, and has a
// leader for the world outside ([Group.IsLeader]), only once more than half of them
// are together. Otherwise a member that finds nobody is a group, and two that do
// not find each other are two.
//
// Everything that members must agree on (the key, the consensus timing, the
// machine and the shape of its commands, the ticket validators) is part of the
// group's id: members that differ in any of it are in different groups and
// never meet.
//
// # Commands and queries
//
// [Execute] replicates a command, waits until it is applied on this member, and
// returns the command's own result. [Query] asks the machine: [Strong] answers
// reflect everything that was acknowledged anywhere before the call, [Weak]
// ones what this member has applied, [AtLeast] ones a command of a given index.
// All work on every member.
//
// # Errors
//
// Errors that a caller branches on are variables of this package, to be tested
// with errors.Is; a context's end comes back as the context's error, wrapped, and
// beside it as its cause, where it has another one (context.Cause).
// [Retryable] says whether the same call may simply be made again, and
// docs/guarantees.md what each error means.
package mosaik
