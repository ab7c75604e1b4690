package state

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// Machine is a typed machine without its types.
type Machine interface {
	// Apply decodes and applies a command that was encoded at a level of the
	// schema, from 1 to Config.Level, or 0 if the level is not known. It is not ok
	// when the command cannot be decoded; err then says why. cmd must not be kept.
	Apply(at sm.ApplyContext, level uint32, cmd []byte) (result any, err error, ok bool)
	// CanSnapshot reports whether Snapshot and Restore work.
	CanSnapshot() bool
	Snapshot(w io.Writer) error
	// Restore replaces the whole state. What it reads is believed only after it
	// returned; when it fails, the machine is not used any more.
	Restore(r io.Reader) error
}

// FreezingMachine is a Machine whose state can perhaps be frozen.
type FreezingMachine interface {
	Machine
	// Freeze returns a view of the state as it is now, or nil if the machine cannot freeze
	// its state. What the view writes can be restored by Restore.
	Freeze() (sm.View, error)
}

// BatchMachine is a Machine that applies the commands of an entry together.
type BatchMachine interface {
	Machine
	// ApplyBatch decodes and applies commands of one level, the first of which info
	// describes and whose indices follow each other. Outcomes go into results, which is
	// empty and as long as cmds or, if nobody wants them, nil; that of a command
	// which cannot be decoded is [Undecodable].
	ApplyBatch(info sm.ApplyInfo, level uint32, cmds format.Commands, results []Result)
}

// Result is the outcome of one command on this replica.
type Result struct {
	Value any
	Err   error
}

// Delivery is the outcome of one entry of our own session.
type Delivery struct {
	Session  format.SessionID
	Sequence uint64
	Epoch    [16]byte // in which indices count
	First    sm.Index // the index of the first command, 0 when none was applied
	Results  []Result // one for each command, nil when Err is set
	// Err says why there are no results: [ErrForming], [ErrSealed], [ErrLevel],
	// [ErrUnknownSession], [ErrGap], [ErrResultLost], a [*PoisonedError] or an
	// [*OutdatedError].
	Err error
	// Restored marks what a snapshot told: all entries up to Sequence that were
	// not delivered before are used up. Err is [ErrResultLost] if the last of
	// them was applied, and the reason if it was refused.
	Restored bool
}

// Config says what a State is made of. The functions may be nil. They are
// called from the goroutine that applies, one at a time, in the order of the
// log and without a lock; they must not block.
type Config struct {
	Group   sm.Digest
	Network sm.Digest
	Epoch   [16]byte // in which the indices of commands count
	Machine Machine
	Level   uint32   // the highest level of its schema that Machine supports; 0 counts as 1
	History *History // told of every command; nil for none

	Deliver  func(Delivery)                          // an outcome of our own session
	Applied  func(commands sm.Index, raft sm.Cursor) // the state went on to raft
	Opened   func()                                  // the group is open now
	Sealed   func()                                  // the group is sealed now
	Ancestor func(epoch [16]byte)                    // the group continues another epoch
	Raised   func(level uint32)                      // the level of the schema is active now
	Poisoned func(*PoisonedError)                    // the replica is poisoned now
	Traced   func(Traced)                            // an applied entry that carries traces

	// Slow is told which calls of the machine run long, whenever that changes, one call at
	// a time. It is called from a goroutine of its own and must not block. nil: nobody looks.
	Slow func([]Slow)
}

// Traced tells of an applied entry that carries trace contexts.
type Traced struct {
	Entry    sm.Cursor     // the entry's position in Raft's log
	First    sm.Index      // the index of its first command
	Commands int           // how many commands it has
	Traces   format.Traces // valid during the call
	Took     time.Duration // how long it took to apply
}

// Status is what a State says about itself.
type Status struct {
	Commands sm.Index  // the dense index of the last command
	Raft     sm.Cursor // the position of the last entry
	Time     time.Time // the time of the last commands
	Level    uint32    // the level of the schema that is active, from 1
	Sessions int       // how many sessions are open
	Opened   bool
	Sealed   bool
	// Ancestors are the epochs that this one continues, oldest first.
	Ancestors [][16]byte
	Poisoned  *PoisonedError // nil if the machine is well
	Outdated  *OutdatedError // nil if this program knows all that was applied
}

// State is the replicated state of one group on one replica. Apply and Restore
// are called by one goroutine; everything else may be called concurrently.
type State struct {
	cfg    Config
	own    atomic.Pointer[own]
	active atomic.Uint32 // what Level returns
	writes atomic.Uint32 // what Writes returns
	turn   *turn         // belongs to the goroutine that applies

	watchdog *watchdog
	readers  readers

	mu       sync.RWMutex
	commands sm.Index
	raft     sm.Cursor
	time     int64
	level    uint32
	opened   bool
	sealed   bool
	tokens   atomic.Uint64 // the token base; set with mu
	sessions sessions
	ancestry ancestry
	poisoned *PoisonedError
	outdated *OutdatedError
}

// own is the session whose outcomes are delivered.
type own struct {
	id format.SessionID
	// delivered is the last sequence whose outcome was delivered. It belongs
	// to the goroutine that applies.
	delivered uint64
}

// New returns the state before the first entry.
func New(cfg Config) *State {
	cfg.Level = max(1, cfg.Level)
	s := &State{cfg: cfg, turn: newTurn(cfg.Machine), sessions: newSessions(), level: 1}
	s.watchdog = newWatchdog(s.turn, &s.cfg)
	s.noteWrites()
	return s
}

// Own makes id the session whose outcomes are delivered, in place of the one
// before. It is called before the first entry of the session is proposed.
func (s *State) Own(id format.SessionID) { s.own.Store(&own{id: id}) }

// Status returns where the state stands.
func (s *State) Status() Status {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Status{
		Commands:  s.commands,
		Raft:      s.raft,
		Time:      time.Unix(0, s.time).UTC(),
		Level:     s.level,
		Sessions:  len(s.sessions.byID),
		Opened:    s.open(),
		Sealed:    s.sealed,
		Ancestors: slices.Clone(s.ancestry.epochs),
		Poisoned:  s.poisoned,
		Outdated:  s.outdated,
	}
}

// Level returns the level of the schema that is active, from 1. It takes no lock.
func (s *State) Level() uint32 { return s.active.Load() }

// Writes returns the active level, at which commands are to be encoded, 0 as long
// as none are let in. It takes no lock.
func (s *State) Writes() uint32 { return s.writes.Load() }

// TokenBase returns what fencing tokens of the epoch are above, 0 for nothing. It
// never falls. It takes no lock.
func (s *State) TokenBase() uint64 { return s.tokens.Load() }

// over returns why nothing is applied or read any more, nil while it is. Called
// with s.mu.
func (s *State) over() error {
	switch {
	case s.poisoned != nil:
		return s.poisoned
	case s.outdated != nil:
		return s.outdated
	}
	return nil
}

// Commands returns the dense index of the last command.
func (s *State) Commands() sm.Index {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.commands
}

// Read runs the query with the index of the last command, while nothing is
// applied: it sees whole entries only. It returns the query's error, a
// [*PanicError] if the query panicked, the [*PoisonedError] or [*OutdatedError]
// of the replica, [ErrInApply], or the context's error, wrapped, when that ends while
// something is applied. q must not be used again before Read returned.
func (s *State) Read(ctx context.Context, q *Query) (err error) {
	if s.mu.TryRLock() {
		defer s.mu.RUnlock()
	} else {
		if s.IsCaller(s.Applying()) {
			return ErrInApply
		}
		release, err := s.readers.await(ctx, &s.mu)
		if err != nil {
			return fmt.Errorf("wait for an Apply: %w", err)
		}
		defer release()
	}
	if err := s.over(); err != nil {
		return err
	}
	q.at = s.commands
	place := s.watchdog.enter(q)
	defer func() {
		leave(place)
		if v := recover(); v != nil {
			err = &PanicError{Doing: "query " + nameOf(q.Call), Value: v, Stack: debug.Stack()}
		}
	}()
	return q.Run(q.at, s.cfg.Machine)
}
