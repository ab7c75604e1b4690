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
//     number after the last is applied or, by the other rules, refused; it is
//     used up either way, so that a late copy of a refused entry stays refused.
//     A number that was used up is a duplicate: nothing happens. A higher one is
//     refused with [ErrGap], an unknown session with [ErrUnknownSession].
//   - At most [MaxSessions] sessions are kept; opening one more drops the one
//     whose last entry lies furthest back in the log.
//   - A command that cannot be decoded has no effect but counts: the indices of
//     the commands behind it in its entry are settled by their place.
//   - The active level of the schema is 1 at first. A level entry raises it by one;
//     any other is void, and so is one that comes while another epoch is taken
//     over, whose level counts. Commands of a level above the active one are
//     refused with [ErrLevel], undecoded, by programs that know the level as by
//     those that do not. Others are decoded by the level of their entry.
//   - An entry that is damaged does nothing. One of a format that only a newer
//     program knows, a level entry above what the machine supports, and a snapshot
//     of such a level end the state's use with an [*OutdatedError]: passing over it
//     would make replicas differ.
package state
