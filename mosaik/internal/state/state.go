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

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// Machine is a state machine whose commands and results have no static types.
type Machine interface {
	// Apply decodes and applies a command that was encoded at a level of the
	// schema, from 1 to Config.Level, or 0 if the level is not known. ok is
	// false if the command cannot be decoded, with the cause in err. Apply must not keep cmd.
	Apply(at sm.ApplyContext, level uint32, cmd []byte) (result any, err error, ok bool)
	// CanSnapshot reports whether Snapshot and Restore work.
	CanSnapshot() bool
	Snapshot(w io.Writer) error
	// Restore replaces the whole state. The caller verifies the checksum of the data only
	// after Restore returns. After a failure the machine is not used again.
	Restore(r io.Reader) error
}

// FreezingMachine is a Machine that may be able to freeze its state.
type FreezingMachine interface {
	Machine
	// Freeze returns a view of the current state, or nil if the machine cannot freeze its
	// state. The view writes the format that Restore reads.
	Freeze() (sm.View, error)
}

// BatchMachine is a Machine that applies the commands of an entry together.
type BatchMachine interface {
	Machine
	// ApplyBatch decodes and applies commands of one level with consecutive indices. info
	// describes the first one. ApplyBatch stores a result for each command in results, which
	// has the length of cmds; nil discards the results. The result of a command that cannot
	// be decoded is [Undecodable].
	ApplyBatch(info sm.ApplyInfo, level uint32, cmds format.Commands, results []Result)
}

// Result is the outcome of one command on this replica.
type Result struct {
	Value any
	Err   error
}

// Delivery is the outcome of one entry of this member's session.
type Delivery struct {
	Session  format.SessionID
	Sequence uint64
	Epoch    [16]byte // the epoch of First
	First    sm.Index // index of the first command, 0 if none was applied
	Results  []Result // one for each command, nil if Err is set
	// Err is why there are no results: [ErrForming], [ErrSealed], [ErrLevel],
	// [ErrUnknownSession], [ErrGap], [ErrResultLost], a [*consensus.PoisonedError] or a
	// [*consensus.OutdatedError].
	Err error
	// Restored is set if the outcome is from a snapshot. It is then that of all entries up to
	// Sequence that were not delivered before: their numbers are used up. Err is
	// [ErrResultLost] if the last of them was applied, and the cause if it was rejected.
	Restored bool
}

// Config holds the settings and callbacks of a State. Callbacks may be nil. All but Slow are called
// on the goroutine that applies, one at a time, in the order of the log and without a lock. They
// must not block.
type Config struct {
	Group   sm.Digest
	Network sm.Digest
	Epoch   [16]byte // in which indices count
	Machine Machine
	Level   uint32   // the highest level of its schema that Machine supports; 0 counts as 1
	History *History // records the applied commands; nil for none

	Deliver  func(Delivery)                              // an outcome of this member's session
	Applied  func(appliedIndex sm.Index, raft sm.Cursor) // the last command and entry changed
	Opened   func()                                      // the epoch opened
	Sealed   func()                                      // the epoch was sealed
	Ancestor func(epoch [16]byte)                        // the epoch continues another one
	Raised   func(level uint32)                          // the level of the schema became active
	Poisoned func(*consensus.PoisonedError)              // the machine panicked or a restore failed
	Traced   func(Traced)                                // an entry with trace contexts was applied

	// Slow receives the calls of the machine that have run for longer than [SlowLimit],
	// whenever they change. It is called on a timer's goroutine, one call at a time, and must
	// not block. nil turns the watchdog off.
	Slow func([]consensus.SlowCall)
}

// Traced describes an applied entry that carries trace contexts.
type Traced struct {
	Entry    sm.Cursor     // the entry's position in Raft's log
	First    sm.Index      // index of its first command
	Commands int           // number of its commands
	Traces   format.Traces // valid during the call
	Took     time.Duration // how long it took to apply
}

// Status is a summary of a State at one moment.
type Status struct {
	AppliedIndex sm.Index  // index of the last applied command
	Raft         sm.Cursor // the position of the last applied entry in Raft's log
	Time         time.Time // the time of the last command, which never decreases
	Level        uint32    // the active level of the schema, from 1
	Sessions     int       // number of open sessions
	Opened       bool      // the epoch has an open entry and its carryover is complete
	Sealed       bool      // the epoch yields to another one
	// Ancestors are the epochs that this one continues, oldest first.
	Ancestors [][16]byte
	Poisoned  *consensus.PoisonedError // why the state is poisoned, nil if it is not
	Outdated  *consensus.OutdatedError // why a newer program is needed, nil if it is not
}

// State is the replicated state of one group on one replica. One goroutine calls Apply and Restore;
// all other methods are safe for concurrent use. Apply, Restore and Freeze hold mu for writing
// while they call the machine, Read holds it for reading. Lock order: mu before readers.mu and
// History.mu.
type State struct {
	cfg           Config
	ownSession    atomic.Pointer[ownSession]
	activeLevel   atomic.Uint32 // the result of Level, for reading without mu
	encodingLevel atomic.Uint32 // the result of EncodingLevel, for reading without mu
	execution     *execution    // owned by the goroutine that applies

	watchdog *watchdog
	readers  readers

	mu           sync.RWMutex // guards the machine and the fields below
	appliedIndex sm.Index
	raft         sm.Cursor     // position of the last applied entry
	time         int64         // of the last command, in nanoseconds since 1970; never decreases
	level        uint32        // the active level of the schema, from 1
	opened       bool          // an open entry was applied, perhaps one of the carryover
	sealed       bool          // a seal entry took effect
	tokenBase    atomic.Uint64 // written with mu held, read without
	sessions     sessions
	ancestors    [][16]byte // epochs that this one continues, oldest first
	carryover    carryoverProgress
	poisoned     *consensus.PoisonedError // final; at most one of the two is set
	outdated     *consensus.OutdatedError // final
}

// ownSession is the session of this member, whose outcomes are delivered.
type ownSession struct {
	id format.SessionID
	// delivered is the last sequence whose outcome was delivered. The goroutine that applies
	// owns it.
	delivered uint64
}

// New returns the state before the first entry.
func New(cfg Config) *State {
	cfg.Level = max(1, cfg.Level)
	s := &State{cfg: cfg, execution: newExecution(cfg.Machine), sessions: newSessions(), level: 1}
	s.watchdog = newWatchdog(s.execution, &s.cfg)
	s.publishLevels()
	return s
}

// SetOwnSession sets the session whose outcomes are delivered. It replaces the session set before.
// Call it before the first entry of the session is proposed.
func (s *State) SetOwnSession(id format.SessionID) { s.ownSession.Store(&ownSession{id: id}) }

// Status returns a summary of the current state.
func (s *State) Status() Status {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Status{
		AppliedIndex: s.appliedIndex,
		Raft:         s.raft,
		Time:         time.Unix(0, s.time).UTC(),
		Level:        s.level,
		Sessions:     len(s.sessions.byID),
		Opened:       s.acceptsCommands(),
		Sealed:       s.sealed,
		Ancestors:    slices.Clone(s.ancestors),
		Poisoned:     s.poisoned,
		Outdated:     s.outdated,
	}
}

// Level returns the active level of the schema, from 1. It takes no lock.
func (s *State) Level() uint32 { return s.activeLevel.Load() }

// EncodingLevel returns the level at which commands must be encoded, or 0 while the epoch accepts
// no commands. It takes no lock.
func (s *State) EncodingLevel() uint32 { return s.encodingLevel.Load() }

// TokenBase returns the base that all fencing tokens of the epoch exceed, 0 for none. It never
// decreases. It takes no lock.
func (s *State) TokenBase() uint64 { return s.tokenBase.Load() }

// stopCause returns why the state has stopped: it is poisoned or outdated. It returns nil while the
// state applies entries. The caller holds s.mu.
func (s *State) stopCause() error {
	switch {
	case s.poisoned != nil:
		return s.poisoned
	case s.outdated != nil:
		return s.outdated
	}
	return nil
}

// Read runs the query with the AppliedIndex. No entry is applied meanwhile, so the query sees whole
// entries only. Read returns the query's error, a [*PanicError] if the query panicked, the
// [*consensus.PoisonedError] or [*consensus.OutdatedError] of a stopped state, [ErrInApply], or the
// context's error, wrapped, if the context ends while Read waits for an Apply. The caller must not
// reuse q before Read returns.
func (s *State) Read(ctx context.Context, q *Query) (err error) {
	if s.mu.TryRLock() {
		defer s.mu.RUnlock()
	} else {
		if s.InApply(s.Applying()) {
			return ErrInApply
		}
		release, err := s.readers.await(ctx, &s.mu)
		if err != nil {
			return fmt.Errorf("wait for an Apply: %w", err)
		}
		defer release()
	}
	if err := s.stopCause(); err != nil {
		return err
	}
	q.at = s.appliedIndex
	slot := s.watchdog.watch(q)
	defer func() {
		unwatch(slot)
		if v := recover(); v != nil {
			err = &PanicError{Doing: "query " + callName(q.Call), Value: v, Stack: debug.Stack()}
		}
	}()
	return q.Run(q.at, s.cfg.Machine)
}
