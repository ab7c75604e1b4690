// Package sm defines replicated state machines: the interfaces that a service
// implements to have its state replicated by a mosaik group, and the value types
// (digests, indices, terms) that identify machines and positions in a group's log.
//
// A machine is deterministic: its state after a command depends only on its state
// before and on the command. Two replicas that applied the same commands hold the same
// state. What differs between processes (the wall clock, random numbers, the order of
// map iteration, the environment) must not affect the state. [ApplyContext] provides
// replicated substitutes for the first two.
//
// # State that is large
//
// [Map], [Set] and [List] hold state that a member writes to a snapshot while it applies
// further commands. They take the place of plain maps and slices: a member applies
// nothing while it writes a snapshot of these. Copies of containers are independent and
// cost the same for any size.
//
// # Concurrency
//
// Every member applies the commands of the group's log in their order, one at a time.
// Queries run on the goroutine of the caller, several at once, but never during an
// Apply. So a query may read the machine without locks, and must not change it.
package sm
