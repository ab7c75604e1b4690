package engine

import (
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/transport"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

var (
	// ErrNotApplied reports a proposal that is not applied and never will be. It is safe to
	// propose it again.
	ErrNotApplied = errors.New("engine: the proposal was not applied")
	// ErrUnknown reports a proposal that may be applied, now or later.
	ErrUnknown = errors.New("engine: it is not known whether the proposal was applied")
	// ErrTooLarge reports a proposal of more than [MaxProposal] bytes.
	ErrTooLarge = errors.New("engine: the proposal is too large")
	// ErrClosed reports a call on a stopped replica or a closed engine.
	ErrClosed = transport.ErrClosed
	// ErrRejected reports a membership change that the group refused: a stale change id, a
	// replica or a peer that is a member already, a used replica id, or the removal of the
	// last voter.
	ErrRejected = errors.New("engine: the membership change was rejected")
	// ErrBusy reports a membership change while another one is in flight.
	ErrBusy = errors.New("engine: another membership change is in flight")
)

// DefaultMaxBacklog is the default of [ReplicaConfig.MaxBacklog], in bytes.
const DefaultMaxBacklog = 16 << 20

// MaxProposal is the largest proposal in bytes.
const MaxProposal = wire.MaxProposal

// StateMachine is the state machine to which a replica applies its log. One goroutine of the
// replica calls its methods. A call that never returns affects no other replica.
type StateMachine interface {
	// Apply applies one entry. It must not keep Data after it returns. An error means that
	// only a newer program can apply the entry, and that none may follow it here: it fences
	// the replica, and its log is not written from then on. If the error has a method
	// NeedsLevel() uint32, the level is noted in the log first.
	Apply(e Entry) error
	// CanSnapshot reports whether the other two methods work. If it returns false, they are
	// not called and the log is kept whole.
	CanSnapshot() bool
	// Freeze returns a view of the whole state, which the engine writes and closes. If
	// concurrent is false, nothing may be applied or restored until the view is closed. An
	// error or a panic, of Freeze or of the view, skips this snapshot and is reported by
	// [Events.SnapshotFailed]; the replica keeps running.
	Freeze() (view sm.View, concurrent bool, err error)
	// Restore replaces the whole state by what a view wrote, on this replica or on another.
	// An error fences the replica as one of Apply does.
	Restore(r io.Reader) error
}

// Network opens connections to peers.
type Network = transport.Network

// Trouble is a failure of connections to a peer that has not ended.
type Trouble = transport.Trouble

// Config is what an [Engine] needs. All fields but Logger are required.
type Config struct {
	Self    sm.PeerID
	Tick    time.Duration // 1ms or more, in whole milliseconds
	Logger  *slog.Logger  // nil: slog's default
	Network Network
}

// ReplicaConfig identifies the replica to start.
type ReplicaConfig struct {
	Shard   uint64 // not 0
	Replica uint64 // not 0, and never used in the shard with another log
	// Bootstrap makes the replica the first and only voter of a new shard. Otherwise the
	// replica waits until a member adds it as non-voting. A restart uses the value of the
	// first start.
	Bootstrap bool
	// ElectionTimeout is how long a follower waits for its leader before it campaigns, 3 ticks
	// or more. dragonboat draws each wait from [ElectionTimeout, 2·ElectionTimeout).
	ElectionTimeout time.Duration
	// ReadTimeout bounds a round of [Replica.ReadIndex], 0 for no bound. A round that follows
	// one without an answer may take twice as long, up to four times ReadTimeout.
	ReadTimeout time.Duration
	Log         logstore.Log
	// LevelOf returns the level to which an entry may raise the schema, 0 for none. The log
	// keeps the highest one, see [Past]. nil stands for a function that returns 0.
	LevelOf func(data []byte) uint32
	Machine StateMachine
	// A snapshot is taken when the state machine has applied SnapshotEvery entries, or
	// SnapshotBytes of them, since the last one was taken or tried. 0 is no bound; with both
	// 0 none is taken.
	SnapshotEvery, SnapshotBytes uint64
	// MaxBacklog bounds the entries, in bytes, that are committed and that the state machine has
	// not applied; 0 is [DefaultMaxBacklog]. A replica with a larger backlog accepts no entries
	// from other members, and receives them later. It holds no more than this in memory.
	MaxBacklog int
	Events     Events
}

// Events is the owner of a replica. One goroutine per engine makes all calls, one after
// another; the methods must not block and must not wait for a call of the engine.
type Events interface {
	// LeaderChanged reports a new leader or term; leader 0 means none.
	LeaderChanged(leader uint64, term sm.Term)
	// MembershipChanged reports that Raft applied a membership change here. The state machine may
	// have yet to apply entries before it.
	MembershipChanged()
	// Removed reports that the replica applied its own removal, and its state machine everything
	// before that: the replica no longer participates and should be stopped. A removed replica
	// that is partitioned does not learn of its removal.
	Removed()
	// LogStalled reports that a call of the replica's log, or of a log whose replica the same
	// worker serves, has taken an election timeout and has not returned, and later, with
	// false, that it has. Meanwhile the replica sends nothing and learns nothing, also not
	// that another one leads. took is how long the call has taken.
	LogStalled(stalled bool, took time.Duration)
	// Lagging reports that the state machine has fallen behind the log by more than
	// [ReplicaConfig.MaxBacklog], and later, with false, that less than half of that is left. What
	// the log held when the replica started does not count. entries and bytes are the backlog at
	// that moment.
	Lagging(behind bool, entries, bytes int)
	// SnapshotTaken reports a snapshot that lets the log be compacted.
	SnapshotTaken()
	// SnapshotFailed reports a snapshot that the state machine could not write or the disk
	// could not keep. The log is kept whole; the replica keeps running and tries again later.
	SnapshotFailed(err error)
	// Failed reports that the replica's log or state machine failed. The replica is fenced and
	// must be stopped. It is called at most once.
	Failed(err error)
}
