// Package state is the replicated state of one group on one replica: the user's machine and the
// data that mosaik replicates beside it. It applies the entries of Raft's log, so that every
// replica counts the same commands, applies each once and rejects the same ones.
//
// # Rules
//
// Every rule depends on the log alone.
//
//   - Commands have dense indices from 1. Rejected entries and all other kinds of entries do not
//     count.
//   - Before an open entry, commands are rejected with [ErrForming]. A seal entry seals the epoch
//     unless more commands were applied than the entry allows. A sealed epoch rejects all
//     commands with [ErrSealed]. Any other seal entry is void.
//   - An entry of commands belongs to a session, and entries are numbered from 1 within their
//     session. The next number is used up even if another rule rejects the entry, so that a late
//     copy of a rejected entry is not applied. An entry with a used number is a duplicate and has
//     no effect. An entry with a higher number is rejected with [ErrGap], one of an unknown
//     session with [ErrUnknownSession].
//   - The session table holds [MaxSessions] sessions. To open another one drops the session whose
//     last entry has the lowest index.
//   - A command that cannot be decoded has no effect but counts, so the indices of the commands
//     after it depend only on their position in the entry.
//   - The active level of the schema starts at 1. A level entry raises it by one. Level entries
//     for another level are void. During a carryover, which determines the level, all are void.
//     Commands of a level above the active one are rejected with [ErrLevel] before they are
//     decoded, also by programs that know the level. Other commands are decoded at the level of
//     their entry.
//   - A damaged entry has no effect. An entry or a snapshot in a format that only a newer program
//     knows, a level entry above the levels of the machine, and a snapshot of such a level stop
//     the state with a [*consensus.OutdatedError]: replicas would diverge if one skipped them.
package state
