// Package sm is the vocabulary of replicated state machines: what a service
// implements to have its state replicated by a mosaik group, and the small
// value types (digests, indices, terms) that describe where in a group's
// history a command stands.
//
// A machine is deterministic: its state after a command depends on its state
// before and on the command alone. Two replicas that applied the same commands
// hold the same state. Whatever differs between processes (the wall clock, a
// random source, map iteration order, the environment) must not reach the
// state; [ApplyContext] offers replicated substitutes for the first two.
//
// # Who calls what
//
// Apply runs on one goroutine per replica, one command at a time, in the order
// of the group's log, on every member. Queries run on the caller's goroutine,
// possibly several at once, and never overlap an Apply: a query may read the
// machine freely and must not change it.
package sm
