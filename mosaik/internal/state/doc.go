// Package state is what one replica of a group applies its log to: the user's
// machine, and beside it what mosaik itself replicates, so that commands are
// counted, applied once and refused alike on every replica.
//
// # Rules
//
// Every rule depends on the log alone.
//
//   - Commands have dense indices from 1. Refused entries and all other kinds
//     of entries do not count.
//   - Before an open entry, commands are refused with [ErrForming]. A seal entry
//     that applies while no command has been counted seals the group: commands
//     are refused with [ErrSealed] for ever. Any other seal is void.
//   - Entries of commands belong to a session and are numbered in it from 1. The
//     number after the last is applied or, for the reasons above, refused; it is
//     used up either way, so that a late copy of a refused entry stays refused.
//     A number that was used up is a duplicate: nothing happens. A higher one is
//     refused with [ErrGap], an unknown session with [ErrUnknownSession].
//   - At most [MaxSessions] sessions are kept; opening one more drops the one
//     whose last entry lies furthest back in the log.
//   - A command that cannot be decoded has no effect but counts: the indices of
//     the commands behind it in its entry are settled by their place.
//   - An entry that is damaged does nothing. One that a newer program wrote
//     poisons the replica: passing over it would make replicas differ.
package state
