// Package mosaik gives a service replicated, typed state: members that share a key find each
// other, elect a leader, and apply the same commands in the same order to a state machine that
// the service writes.
//
// # Joining
//
// [Open] puts the process on a network: it gets a peer id, listens on one TCP port, and learns
// of the other peers from any seed. A builder joins a group. The machine comes first, then its
// storage, and everything else in any order:
//
//	net, err := mosaik.Open(ctx, mosaik.NetworkID("bank"), mosaik.WithSeeds("10.0.0.1:7000"))
//	b := mosaik.WithStateMachine(net.Groups().WithKey(key), ledger.New)
//	group, err := b.WithMembership(consensus.Policy{Expected: 3}).Join(ctx)
//	err = group.When().Online(ctx)
//
// State how many members you expect. The group then accepts commands, and has a leader that may act
// outside of it ([Group.IsLeader]), only when more than half of them have joined. With no expected
// number, a member that finds no other is a group, and two that do not find each other are two
// groups.
//
// Everything that members must agree on is part of the group's id: the key, the consensus
// timing, the machine and the shape of its commands, and the ticket validators. Members that
// differ in any of it are in different groups and never meet.
//
// # Commands and queries
//
// [Execute] replicates a command, waits until it is applied on this member, and returns the
// command's own result. [Query] and [Read] ask the machine: [Strong] answers reflect everything
// that was acknowledged on any member before the call, [Weak] answers what this member has
// applied, and [AtLeast] answers a command of a given index. All work on every member, and all
// return a [Result], with the index and the epoch of what they saw. [Group.Commands] follows the
// commands as they are applied.
//
// # Waiting
//
// [Group.Status] is what the member knows now. [Group.When] waits until that changes:
// [When.Online], [When.Settled], [When.Leading] and [When.Applied] for what is needed most,
// [When.Until] for any condition.
//
// # Types
//
// The plain types that this package accepts and returns are in package consensus: a group's
// configuration ([consensus.Config], [consensus.Policy], [consensus.Role]), what a member reports
// ([consensus.Status]), and the errors that carry data. The ids of peers, networks and groups, and
// what a machine is made of, are in package sm.
//
// # Errors
//
// Errors that a caller branches on are variables of this package, to be tested with
// [errors.Is]. For the error of any call, [OutcomeOf] reports whether the command was applied, and
// [Retryable] whether the same call may succeed later. A context's end comes back as the context's
// error, wrapped, together with its cause where it has another one ([context.Cause]).
package mosaik
