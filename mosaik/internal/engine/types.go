package engine

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

var (
	// ErrNotApplied reports a proposal that is surely not applied and never
	// will be. It is safe to propose it again.
	ErrNotApplied = errors.New("engine: the proposal was not applied")
	// ErrUnknown reports a proposal that may be applied, now or later, or not.
	ErrUnknown = errors.New("engine: it is not known whether the proposal was applied")
	// ErrTooLarge reports a proposal of more than [MaxProposal] bytes.
	ErrTooLarge = errors.New("engine: the proposal is too large")
	// ErrClosed reports a call on a stopped replica or a closed engine.
	ErrClosed = errors.New("engine: closed")
	// ErrRejected reports a membership change that the group refused: a stale
	// change id, a replica or a peer that is there already, a used replica id,
	// or the removal of the last voter.
	ErrRejected = errors.New("engine: the membership change was rejected")
	// ErrStorage reports that the log of a replica could not be read or written.
	ErrStorage = errors.New("log storage failed")
	// ErrBusy reports a membership change while another one is under way.
	ErrBusy = errors.New("engine: another membership change is under way")
)

// MaxProposal is the largest proposal in bytes. Larger frames would hold up
// heartbeats for long enough to cost a leader its quorum.
const MaxProposal = 8 << 20

// StateMachine is what a replica applies its log to. Its methods are called by
// the engine only, never two at a time.
type StateMachine interface {
	// Apply applies one entry. It must not keep Data after it returns. An error says
	// that the entry must be applied by another program, and none may follow: it
	// mutes the replica, and from then on nothing is written to its log. If the error
	// has a method NeedsLevel() uint32, the level is noted in the log first.
	Apply(e Entry) error
	// CanSnapshot reports whether the other two methods work. If not they are
	// never called and the log is kept whole.
	CanSnapshot() bool
	// Snapshot writes the whole state. An error or a panic skips this snapshot
	// and is reported by [Events.SnapshotFailed]; the replica goes on.
	Snapshot(w io.Writer) error
	// Restore replaces the whole state by what Snapshot wrote, on this replica
	// or on another. An error mutes the replica as one of Apply does.
	Restore(r io.Reader) error
}

// Entry is a committed entry of the log that a proposal made. Index and Term
// are Raft's.
type Entry struct {
	Index sm.Index
	Term  sm.Term
	Data  []byte
}

// Network opens connections to peers.
type Network interface {
	// Connect returns a connection to peer, whose address it finds itself, and proves
	// that it is that peer. Either end may have opened it; this one sends on it.
	Connect(ctx context.Context, peer sm.PeerID, p link.Protocol) (*link.Conn, error)
}

// Config is what an [Engine] needs. All fields but Logger are required.
type Config struct {
	Self    sm.PeerID
	Tick    time.Duration // 1ms or more, in whole milliseconds
	Logger  *slog.Logger  // nil: slog's default
	Network Network
}

// ReplicaConfig says which replica to start.
type ReplicaConfig struct {
	Shard   uint64 // not 0
	Replica uint64 // not 0, and never used before in the shard with another log
	// Bootstrap makes the replica the first and only voter of a new shard.
	// Without it the replica waits to be added as non-voting by a member. A
	// restart says what the first start said.
	Bootstrap bool
	// ElectionTimeout is how long a follower waits for its leader before it
	// stands for election, 3 ticks or more. dragonboat draws each wait from
	// [ElectionTimeout, 2·ElectionTimeout).
	ElectionTimeout time.Duration
	// ReadTimeout bounds a round of [Replica.ReadIndex], 0 for no bound. A round
	// that follows one without an answer may take twice as long, up to four times
	// ReadTimeout.
	ReadTimeout time.Duration
	Log         logstore.Log
	// LevelOf returns the level to which an entry may raise the schema, 0 for none.
	// The highest is kept in the log, see [Past]. nil: none does.
	LevelOf func(data []byte) uint32
	Machine StateMachine
	// A snapshot is taken when the machine has applied SnapshotEvery entries, or
	// SnapshotBytes of them, since the last one was taken or tried. 0 is no
	// bound; with both 0 none is taken.
	SnapshotEvery, SnapshotBytes uint64
	Events                       Events
}

// Events tells the owner of a replica what happens to it. All calls come from
// one goroutine per engine, one after another; they must not block and must not
// wait for a call of the engine.
type Events interface {
	// LeaderChanged reports a new leader or term; leader 0 means none.
	LeaderChanged(leader uint64, term sm.Term)
	// MembershipChanged reports that the replica applied a membership change.
	MembershipChanged()
	// Removed reports that the replica applied its own removal: it has stopped
	// taking part and should be stopped. A removed replica that is cut off
	// never hears of it.
	Removed()
	// LogHangs reports that a call of the replica's log, or of one whose replica
	// is served by the same worker, has taken an election timeout and is still
	// under way, and then that it is over. For so long the replica says nothing
	// and learns nothing, not even that another one leads.
	LogHangs(hangs bool)
	// SnapshotTaken reports a snapshot that lets the log be compacted.
	SnapshotTaken()
	// SnapshotFailed reports a snapshot that the machine could not write or its
	// disk could not keep. The log is kept whole, and the replica goes on and
	// tries again later.
	SnapshotFailed(err error)
	// Failed reports that the replica's log or machine failed. The replica is
	// muted and must be stopped. It is called once at most.
	Failed(err error)
}

// Membership is the configuration of a shard.
type Membership struct {
	// ChangeID is what the next change must quote.
	ChangeID uint64
	Voters   map[uint64]sm.PeerID
	// NonVoting replicas receive the log but do not count.
	NonVoting map[uint64]sm.PeerID
	// Removed replicas can never come back.
	Removed map[uint64]struct{}
}
