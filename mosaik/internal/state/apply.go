package state

import (
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// changes collects what an entry or a snapshot changed. State.notify reports it by the functions of
// Config after s.mu is released, so these may call the state.
type changes struct {
	opened       bool       // the epoch opened
	sealed       bool       // the epoch was sealed
	ancestors    [][16]byte // epochs that this one continues, oldest first; nil if unchanged
	raised       uint32     // the new active level, 0 if unchanged
	poisoned     *consensus.PoisonedError
	outdated     *consensus.OutdatedError
	advanced     bool // appliedIndex and raft are set
	appliedIndex sm.Index
	raft         sm.Cursor
	deliver      bool // delivery is set
	delivery     Delivery
	traced       Traced // set if it has commands
}

// Apply applies the entry at a position of Raft's log. A query sees all of its commands or none.
// Apply does not panic and does not keep data. On a poisoned replica it has no effect. An
// [*consensus.OutdatedError] means that neither this entry nor any later one is applied: they need
// a newer program.
func (s *State) Apply(index sm.Index, term sm.Term, data []byte) error {
	c := s.apply(sm.Cursor{Term: term, Index: index}, data)
	s.notify(c)
	if c.outdated != nil {
		return c.outdated
	}
	return nil
}

func (s *State) apply(at sm.Cursor, data []byte) (c changes) {
	e, err := format.Parse(data)
	s.mu.Lock()
	defer s.mu.Unlock()
	if cause := s.stopCause(); cause != nil {
		c.outdated = s.outdated
		if err == nil && e.Kind == format.KindCommands {
			c.add(s.ownSessionIf(e.Session), &e, Delivery{Err: cause})
		}
		return c
	}
	before := s.raft
	s.raft = at
	switch {
	case errors.Is(err, format.ErrVersion):
		s.stopAtUnknownFormat(&c, at, err)
	case err != nil:
		// Damaged: every replica ignores it.
	case e.Kind == format.KindOpen:
		c.opened = !s.acceptsCommands()
		s.opened, s.carryover.next = true, 0
		s.raiseTokens(e.Sequence)
	case e.Kind == format.KindSeal:
		c.sealed = s.sealedBy(&e)
		s.sealed = s.sealed || c.sealed
	case e.Kind == format.KindAncestor:
		s.beginCarryover(&c, &e)
	case e.Kind == format.KindReplay:
		s.applyReplay(&c, at, &e)
	case e.Kind == format.KindRestore:
		s.applyRestore(&c, at, &e)
	case e.Kind == format.KindCommands:
		s.applyCommands(&c, at, &e, s.acceptsCommands())
	case e.Kind == format.KindLevel && s.carryover.next != 0:
		// Void: the carryover determines the level.
	default:
		s.applyMetadata(&c, at, &e)
	}
	switch {
	case s.outdated != nil:
		s.raft = before
	case s.poisoned == nil:
		s.advance(&c)
	}
	if e.Kind != format.KindCommands {
		s.publishLevels()
	}
	return c
}

// applyMetadata applies an entry that changes the data beside the machine: a session or a level.
func (s *State) applyMetadata(c *changes, at sm.Cursor, e *format.Envelope) {
	switch e.Kind {
	case format.KindLevel:
		s.applyLevel(c, at, e.Level)
	case format.KindSession:
		s.sessions.open(e.Session, uint64(at.Index))
	}
}

// raiseTokens raises the token base to that of an open entry. A log can hold several open entries,
// and a lower or invalid base has no effect.
func (s *State) raiseTokens(base uint64) {
	if base <= format.MaxTokenBase && base > s.tokenBase.Load() {
		s.tokenBase.Store(base)
	}
}

// SealedBy reports whether an entry would seal the epoch if it were applied next.
func (s *State) SealedBy(data []byte) bool {
	e, err := format.Parse(data)
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && e.Kind == format.KindSeal && s.sealedBy(&e)
}

// sealedBy reports whether a seal entry would seal the epoch. The caller holds s.mu.
func (s *State) sealedBy(seal *format.Envelope) bool {
	return !s.sealed && uint64(s.appliedIndex) <= seal.Sequence
}

// advance records the new position for Config.Applied.
func (s *State) advance(c *changes) {
	c.advanced, c.appliedIndex, c.raft = true, s.appliedIndex, s.raft
}

// applyCommands applies an entry of commands, or rejects it by the rules in the package comment.
// open reports whether the epoch accepts commands.
func (s *State) applyCommands(c *changes, at sm.Cursor, e *format.Envelope, open bool) {
	own := s.ownSessionIf(e.Session)
	session := s.sessions.use(e.Session, uint64(at.Index))
	switch {
	case session == nil:
		c.add(own, e, Delivery{Err: ErrUnknownSession})
		return
	case e.Sequence <= session.Sequence:
		return
	case e.Sequence > session.Sequence+1:
		c.add(own, e, Delivery{Err: ErrGap})
		return
	}
	session.Sequence, session.First = e.Sequence, 0
	if own != nil {
		own.delivered = e.Sequence
	}
	switch {
	case s.sealed:
		c.add(own, e, Delivery{Err: ErrSealed})
		return
	case !open:
		c.add(own, e, Delivery{Err: ErrForming})
		return
	case e.Level > s.level:
		c.add(own, e, Delivery{Err: ErrLevel})
		return
	}

	var started time.Time
	traced := s.cfg.Traced != nil && e.Traces.Len() > 0
	if traced {
		started = time.Now()
	}
	var d Delivery
	if e.Commands.Len() > 0 {
		d.Epoch, d.First = s.cfg.Epoch, s.appliedIndex+1
		session.First = uint64(d.First)
	}
	if own != nil {
		d.Results = make([]Result, e.Commands.Len())
	}
	if err := s.applyToMachine(at, e, d.Results); err != nil {
		s.poison(c, err)
		c.add(own, e, Delivery{Err: err})
		return
	}
	s.cfg.History.add(s.appliedIndex+1-sm.Index(e.Commands.Len()), at.Term, s.time, e.Level, e.Commands)
	c.add(own, e, d)
	if traced {
		c.traced = Traced{at, d.First, e.Commands.Len(), e.Traces, time.Since(started)}
	}
}

// Undecodable returns the result of a command that the codec rejected with err.
func Undecodable(err error) error {
	if err == nil {
		return ErrUndecodable
	}
	return fmt.Errorf("%w: %w", ErrUndecodable, err)
}

// ownSessionIf returns this member's session if id names it, and nil otherwise.
func (s *State) ownSessionIf(id format.SessionID) *ownSession {
	if o := s.ownSession.Load(); o != nil && o.id == id {
		return o
	}
	return nil
}

// add makes d the outcome of e. It has no effect if own is nil: e is of another session.
func (c *changes) add(own *ownSession, e *format.Envelope, d Delivery) {
	if own == nil {
		return
	}
	d.Session, d.Sequence = e.Session, e.Sequence
	c.delivery, c.deliver = d, true
}

// poison stops the state with err. The caller holds s.mu.
func (s *State) poison(c *changes, err *consensus.PoisonedError) {
	s.poisoned = err
	c.poisoned = err
	s.publishLevels()
}

// notify calls the functions of Config. Deliver is last: when a caller learns the outcome of its
// command, all other effects of the entry are visible. The caller does not hold s.mu.
func (s *State) notify(c changes) {
	for _, epoch := range c.ancestors {
		if s.cfg.Ancestor != nil {
			s.cfg.Ancestor(epoch)
		}
	}
	if c.raised != 0 && s.cfg.Raised != nil {
		s.cfg.Raised(c.raised)
	}
	if c.opened && s.cfg.Opened != nil {
		s.cfg.Opened()
	}
	if c.sealed && s.cfg.Sealed != nil {
		s.cfg.Sealed()
	}
	if c.poisoned != nil && s.cfg.Poisoned != nil {
		s.cfg.Poisoned(c.poisoned)
	}
	if c.advanced && s.cfg.Applied != nil {
		s.cfg.Applied(c.appliedIndex, c.raft)
	}
	if c.traced.Commands > 0 {
		s.cfg.Traced(c.traced)
	}
	if c.deliver && s.cfg.Deliver != nil {
		s.cfg.Deliver(c.delivery)
	}
}
