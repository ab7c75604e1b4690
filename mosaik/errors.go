package mosaik

import (
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/internal/session"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
)

// Errors that a caller branches on, with [errors.Is]. For any error of a call, [OutcomeOf] reports
// whether the call took effect, and [Retryable] whether to repeat it. Errors that carry data are
// types of package consensus. It also has the two variables that such errors match:
// [consensus.ErrPoisoned] of a machine that panicked, and [consensus.ErrOutdated] of a program that
// is too old.
var (
	// ErrForming reports a group that does not accept commands yet: it has not formed, or
	// fewer voters than expected have joined. [When.Online] waits for it.
	ErrForming = group.ErrForming
	// ErrStalled reports that too few voters can be reached for a quorum. Weak reads keep
	// working; everything works again once enough voters are back. See [Group.Recover].
	ErrStalled = group.ErrStalled
	// ErrLevel reports a command that needs a higher level of the machine's schema than the
	// group has. It can be issued again once [consensus.Status].Level was raised.
	ErrLevel = state.ErrLevel
	// ErrTooLarge reports a batch that does not fit into one log entry of about 4 MiB. The
	// error names both sizes. Split the batch.
	ErrTooLarge = session.ErrTooLarge
	// ErrInvalid reports a call that fails however often it is made: a command that is nil or
	// cannot be encoded, a batch without commands, an unknown [Consistency], or a call of the
	// group that its machine's Apply makes on the goroutine that applies, which would wait for
	// itself. Calls of other goroutines that Apply waits for are not noticed, and wait until
	// their context ends.
	ErrInvalid = state.ErrInvalid
	// ErrResultLost reports commands that were applied exactly once, but whose results are
	// not known here, because this member caught up by snapshot. Query the machine instead.
	ErrResultLost = state.ErrResultLost
	// ErrUndecodable is the result of a command that this machine's codec cannot decode. The
	// command has an index and changed nothing.
	ErrUndecodable = state.ErrUndecodable
	// ErrOtherEpoch ends [Group.Commands] when this member is in another epoch than the
	// consumer, where indices refer to different commands. Discard state derived from the
	// old indices, read the machine, and resume after the index of that answer.
	ErrOtherEpoch = state.ErrOtherEpoch

	// ErrNotLeader reports a call that only the leader can carry out.
	ErrNotLeader = group.ErrNotLeader
	// ErrPrecondition reports a call that the state of the group does not allow; the error gives
	// the reason. [Group.Recover]: the group has a quorum or may still elect a leader.
	// [Group.Yield]: no other epoch holds commands. [Group.TransferLeadership]: the peer cannot
	// lead. [Group.Remove]: the member must stay. Join: the group is joined already with another
	// machine type, storage type or settings. Nothing was done.
	ErrPrecondition = group.ErrPrecondition
	// ErrVoteNeeded reports a member that left although the group could not let it go: its
	// vote is needed, and no other member could take its place. The group misses it as it
	// would after a crash.
	ErrVoteNeeded = group.ErrVoteNeeded
	// ErrNotStopped reports [Group.Leave] or [Network.Close] that returned although something
	// is still running: an Apply or a query of the machine, or the disk of a log, does not
	// return. The rest ends when that returns.
	ErrNotStopped = group.ErrNotStopped

	// ErrClosed reports a call on a handle that was closed, on a group that was left, or on a
	// closed network.
	ErrClosed = group.ErrClosed
	// ErrSuperseded reports that another process with this one's identity takes precedence:
	// it joined later, or it joined earlier by a clock that was ahead and is alive, or this
	// process continues from an older copy of its directory. All groups of this process end.
	ErrSuperseded = group.ErrSuperseded
	// ErrStorage reports that this member's log could not be opened, read or written: the disk
	// is full, or fails. The group has ended on this member; other members continue. The
	// error wraps the cause. All groups whose logs are in one directory end together. Leave
	// the group, and join it again when the storage works: a log on disk keeps everything that
	// was acknowledged.
	ErrStorage = group.ErrStorage
)
