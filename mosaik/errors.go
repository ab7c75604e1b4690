package mosaik

import (
	"errors"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/mosaik/internal/session"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
)

// CloseCode says why a peer refused or ended a connection or a bond. It is a
// number, of which String says what it means; docs/formats.md lists them. Those
// that a program may want to know: 401 no valid entry of the peer, 30403 ticket
// refused, 30405 wrong proof of the key, 30406 superseded, 30408 silent for too
// long, 30409 other membership policy, 30410 other levels of the schema.
type CloseCode = link.Code

// RefusedError reports a peer that refused a connection or a bond, or was
// refused one. It is what [Status] lists, and in the errors of
// [Network.Connected]. Its fields are Peer, a [PeerID], and Code, a [CloseCode].
type RefusedError = link.RefusedError

// PoisonedError is an [ErrPoisoned] of a machine that panicked, or that could not restore
// a snapshot. Its fields are Doing, "apply" or "restore"; Command, the type of the command;
// Index, the command's index; Entry and Offset, its place in the log; Value, which Apply
// panicked with, or the error; and Stack, as [runtime/debug.Stack] words it. Where a machine
// applies batches, the command is the first of its log entry.
type PoisonedError = state.PoisonedError

// BehindError reports applied commands that this member does not hold one by one.
// Its fields are of type sm.Index: Index, of the command that was asked for, and
// First, of the first command that is held, or of the next one. See
// [Group.Applied].
type BehindError = state.BehindError

// OutdatedError is an [ErrOutdated] with what is needed. Its fields are Found, the
// level that the log or the snapshot needs, 0 where it is a matter of formats;
// Supported, the highest level that the machine here supports; Entry, the cursor of
// the log entry or of the snapshot, zero if the log's metadata said so; and Err,
// which names the format.
type OutdatedError = state.OutdatedError

var (
	// ErrForming reports that the group does not accept commands yet: it has
	// not formed, or fewer voters than expected have joined. Nothing was
	// applied, unless it also is [ErrUnknownOutcome]. [When.Online] waits for it.
	ErrForming = group.ErrForming
	// ErrStalled reports that too few voters can be reached for a quorum.
	// Nothing was applied, unless it also is [ErrUnknownOutcome]. Weak reads go
	// on; commands work again once enough voters are back.
	ErrStalled = group.ErrStalled
	// ErrNotStalled reports [Group.Recover] of a group that has a quorum or may
	// still elect a leader.
	ErrNotStalled = group.ErrNotStalled
	// ErrNotApart reports [Group.Yield] where no other epoch holds commands.
	ErrNotApart = group.ErrNotApart
	// ErrNotLeader reports a call that only the leader can carry out.
	ErrNotLeader = group.ErrNotLeader
	// ErrCannotLead reports a peer that cannot take the lead now.
	ErrCannotLead = group.ErrCannotLead
	// ErrCannotRemove reports [Group.Remove] of a member that must not be removed now.
	// The error says why in words.
	ErrCannotRemove = group.ErrCannotRemove
	// ErrNotStopped reports [Group.Leave] or [Network.Close] that returned although
	// something still runs: an Apply or a query of the machine, or the disk of a log,
	// does not return. The rest ends when that returns.
	ErrNotStopped = group.ErrNotStopped
	// ErrVoteNeeded reports a member that left although the group could not let
	// it go: its vote is needed, and nobody could take its place. The group
	// misses it as it would after a crash.
	ErrVoteNeeded = group.ErrVoteNeeded
	// ErrSuperseded reports that another process with this one's identity takes
	// precedence in a group: it joined later, or it lives and joined earlier by a
	// clock that was ahead, or this process continues from an older copy of its
	// directory. All groups of this process end.
	ErrSuperseded = group.ErrSuperseded
	// ErrClosed reports a call on a handle that was closed, a group that was
	// left, or a closed network.
	ErrClosed = group.ErrClosed
	// ErrUnknownOutcome reports that it is not known whether the commands were
	// applied: the caller stopped waiting, or the member ended, while they were
	// under way. They are applied at most once.
	ErrUnknownOutcome = session.ErrUnknownOutcome
	// ErrResultLost reports commands that were applied exactly once but whose
	// results are not known here, because this member caught up by snapshot.
	ErrResultLost = state.ErrResultLost
	// ErrNotApplied reports commands that were not applied and never will be;
	// the error that it wraps says why. Issuing them again is safe.
	ErrNotApplied = session.ErrNotApplied
	// ErrPoisoned reports that the machine panicked on this member, in tests also
	// that it ended its goroutine (runtime.Goexit, which t.Fatal calls), or
	// that its constructor failed; the member applies and answers nothing any more. The
	// error names the command's index and what it panicked with.
	ErrPoisoned = state.ErrPoisoned
	// ErrInApply reports a command, a query, or a call of [Group.Leave], [Group.Recover],
	// [Group.Yield] or [Network.Close], that the Apply of the group's machine made on the
	// goroutine that applies. It would wait for itself; nothing was done. The same calls
	// from a goroutine that Apply waits for are not noticed, and wait until their context
	// ends.
	ErrInApply = state.ErrInApply
	// ErrStorage reports that this member's log could not be read or written: the
	// disk is full, or fails. The group has ended on this member, others go on.
	// The error that it wraps says why. Leave the group, and join it again when
	// the storage works; a log on disk goes on with all that was acknowledged.
	// All groups whose logs are in one directory end together. Join returns it
	// where the log cannot be opened.
	ErrStorage = group.ErrStorage
	// ErrOutdated reports that this program is older than what the group's log holds,
	// a snapshot that another member sent included: the schema was raised to a level
	// that the machine here does not support, or a newer release of this library
	// wrote the log. The group has ended on this member, or Join did not begin; the
	// log is left as it is. Run a newer program, which continues from there. An
	// [*OutdatedError] names both levels.
	ErrOutdated = group.ErrOutdated
	// ErrLevel reports a command that needs a higher level of the machine's schema
	// than the group has. Nothing was applied. It can be issued again once the
	// group's level was raised, see [Status].
	ErrLevel = state.ErrLevel
	// ErrTooLarge reports a batch that does not fit into one log entry, of about
	// 4 MiB; the error names both sizes. Nothing was applied.
	ErrTooLarge = session.ErrTooLarge
	// ErrEmptyBatch reports a batch without commands.
	ErrEmptyBatch = session.ErrEmpty
	// ErrUndecodable is the outcome of a command that this machine's codec
	// refuses to decode. It counts as a command and changes nothing.
	ErrUndecodable = state.ErrUndecodable
	// ErrOtherEpoch ends [Group.Applied] when this member is in another epoch than the
	// consumer, where indices refer to different commands. Discard state derived from the
	// old indices, read the machine, and resume after the index of that answer.
	ErrOtherEpoch = state.ErrOtherEpoch
	// ErrEncode reports a command that could not be encoded, nil ones among them,
	// or whose codec panicked. Nothing was applied.
	ErrEncode = errors.New("mosaik: the command cannot be encoded")
	// ErrJoinedDifferently reports a second join of a group whose machine type,
	// storage type or settings differ from the first.
	ErrJoinedDifferently = errors.New("mosaik: the group is joined already with other settings")
)

// Retryable reports whether the error of a command or a query says that nothing
// was done, and that the same call may succeed later on the same handle: once
// [When.Online] returned, or after a pause. Where a command's context ended, it
// takes another context; the end of a query's says nothing of the group, and comes
// alone. It is false for whatever may have been applied, for what can
// only fail again, and for errors that are not this package's, the machine's own
// among them. docs/guarantees.md says for each error what it means.
func Retryable(err error) bool {
	is := func(target error) bool { return errors.Is(err, target) }
	if slices.ContainsFunc([]error{ErrUnknownOutcome, ErrClosed, ErrNotStopped, ErrSuperseded, ErrStorage, ErrPoisoned, ErrOutdated, ErrTooLarge}, is) {
		return false
	}
	return slices.ContainsFunc([]error{ErrNotApplied, ErrForming, ErrStalled, ErrLevel}, is)
}
