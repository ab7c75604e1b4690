package state

import (
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// news is what an entry changed that others want to hear about. It is told
// after the lock was released.
type news struct {
	opened    bool
	sealed    bool
	ancestors [][16]byte // that became known
	raised    uint32     // the level that is active now, 0 if it did not change
	poisoned  *PoisonedError
	outdated  *OutdatedError
	advanced  bool // to commands and raft
	commands  sm.Index
	raft      sm.Cursor
	deliver   bool
	delivery  Delivery
	traced    Traced
}

// Apply applies the entry at a position of Raft's log, as a whole: a query sees
// all of its commands or none. It never panics. data is not kept. A poisoned
// replica does nothing. An [*OutdatedError] says that the entry is not applied, nor
// any that follows: they need a newer program.
func (s *State) Apply(index sm.Index, term sm.Term, data []byte) error {
	n := s.apply(sm.Cursor{Term: term, Index: index}, data)
	s.tell(n)
	if n.outdated != nil {
		return n.outdated
	}
	return nil
}

func (s *State) apply(at sm.Cursor, data []byte) (n news) {
	e, err := format.Parse(data)
	s.mu.Lock()
	defer s.mu.Unlock()
	if over := s.over(); over != nil {
		n.outdated = s.outdated
		if err == nil && e.Kind == format.KindCommands {
			n.add(s.ours(e.Session), &e, Delivery{Err: over})
		}
		return n
	}
	before := s.raft
	s.raft = at
	switch {
	case errors.Is(err, format.ErrVersion):
		s.unknown(&n, at, err)
	case err != nil:
		// Damaged, and refused alike by every replica.
	case e.Kind == format.KindOpen:
		n.opened = !s.open()
		s.opened, s.ancestry.next = true, 0
		s.raiseTokens(e.Sequence)
	case e.Kind == format.KindSeal:
		n.sealed = s.sealedBy(&e)
		s.sealed = s.sealed || n.sealed
	case e.Kind == format.KindAncestor:
		s.descend(&n, &e)
	case e.Kind == format.KindReplay:
		s.replay(&n, at, &e)
	case e.Kind == format.KindRestore:
		s.inherit(&n, at, &e)
	case e.Kind == format.KindCommands:
		s.applyCommands(&n, at, &e, s.open())
	case e.Kind == format.KindLevel && s.ancestry.next != 0:
		// Void: the level is that of the epoch which is taken over.
	default:
		s.applyMark(&n, at, &e)
	}
	switch {
	case s.outdated != nil:
		s.raft = before
	case s.poisoned == nil:
		s.advance(&n)
	}
	if e.Kind != format.KindCommands {
		s.noteWrites()
	}
	return n
}

// applyMark applies an entry that only concerns what is kept beside the machine.
func (s *State) applyMark(n *news, at sm.Cursor, e *format.Envelope) {
	switch e.Kind {
	case format.KindLevel:
		s.raise(n, at, e.Level)
	case format.KindSession:
		s.sessions.open(e.Session, uint64(at.Index))
	}
}

// raiseTokens raises the token base to that of an open entry, which may come again.
func (s *State) raiseTokens(base uint64) {
	if base <= format.MaxTokenBase && base > s.tokens.Load() {
		s.tokens.Store(base)
	}
}

// SealedBy reports whether an entry would seal the state if it came next.
func (s *State) SealedBy(data []byte) bool {
	e, err := format.Parse(data)
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && e.Kind == format.KindSeal && s.sealedBy(&e)
}

// sealedBy says so of an entry that is a seal.
func (s *State) sealedBy(seal *format.Envelope) bool {
	return !s.sealed && uint64(s.commands) <= seal.Sequence
}

// advance makes news of where the state stands.
func (s *State) advance(n *news) {
	n.advanced, n.commands, n.raft = true, s.commands, s.raft
}

// applyCommands applies or refuses an entry of commands, which it does for as
// long as the group is not open.
func (s *State) applyCommands(n *news, at sm.Cursor, e *format.Envelope, open bool) {
	ours := s.ours(e.Session)
	session := s.sessions.use(e.Session, uint64(at.Index))
	switch {
	case session == nil:
		n.add(ours, e, Delivery{Err: ErrUnknownSession})
		return
	case e.Sequence <= session.Sequence:
		return
	case e.Sequence > session.Sequence+1:
		n.add(ours, e, Delivery{Err: ErrGap})
		return
	}
	session.Sequence, session.First = e.Sequence, 0
	if ours != nil {
		ours.delivered = e.Sequence
	}
	switch {
	case s.sealed:
		n.add(ours, e, Delivery{Err: ErrSealed})
		return
	case !open:
		n.add(ours, e, Delivery{Err: ErrForming})
		return
	case e.Level > s.level:
		n.add(ours, e, Delivery{Err: ErrLevel})
		return
	}

	var started time.Time
	traced := s.cfg.Traced != nil && e.Traces.Len() > 0
	if traced {
		started = time.Now()
	}
	var d Delivery
	if e.Commands.Len() > 0 {
		d.Epoch, d.First = s.cfg.Epoch, s.commands+1
		session.First = uint64(d.First)
	}
	if ours != nil {
		d.Results = make([]Result, e.Commands.Len())
	}
	if err := s.run(at, e, d.Results); err != nil {
		s.poison(n, err)
		n.add(ours, e, Delivery{Err: err})
		return
	}
	s.cfg.History.add(s.commands+1-sm.Index(e.Commands.Len()), at.Term, s.time, e.Level, e.Commands)
	n.add(ours, e, d)
	if traced {
		n.traced = Traced{at, d.First, e.Commands.Len(), e.Traces, time.Since(started)}
	}
}

// Undecodable returns the outcome of a command that the codec refused with err.
func Undecodable(err error) error {
	if err == nil {
		return ErrUndecodable
	}
	return fmt.Errorf("%w: %w", ErrUndecodable, err)
}

// ours returns our own session if id names it, otherwise nil.
func (s *State) ours(id format.SessionID) *own {
	if o := s.own.Load(); o != nil && o.id == id {
		return o
	}
	return nil
}

// add makes d the outcome of e if e is of our own session.
func (n *news) add(ours *own, e *format.Envelope, d Delivery) {
	if ours == nil {
		return
	}
	d.Session, d.Sequence = e.Session, e.Sequence
	n.delivery, n.deliver = d, true
}

// poison ends the state's use.
func (s *State) poison(n *news, err *PoisonedError) {
	s.poisoned = err
	n.poisoned = err
	s.noteWrites()
}

// tell calls the functions of the configuration. Whoever learns an outcome
// finds everything else told already.
func (s *State) tell(n news) {
	for _, epoch := range n.ancestors {
		if s.cfg.Ancestor != nil {
			s.cfg.Ancestor(epoch)
		}
	}
	if n.raised != 0 && s.cfg.Raised != nil {
		s.cfg.Raised(n.raised)
	}
	if n.opened && s.cfg.Opened != nil {
		s.cfg.Opened()
	}
	if n.sealed && s.cfg.Sealed != nil {
		s.cfg.Sealed()
	}
	if n.poisoned != nil && s.cfg.Poisoned != nil {
		s.cfg.Poisoned(n.poisoned)
	}
	if n.advanced && s.cfg.Applied != nil {
		s.cfg.Applied(n.commands, n.raft)
	}
	if n.traced.Commands > 0 {
		s.cfg.Traced(n.traced)
	}
	if n.deliver && s.cfg.Deliver != nil {
		s.cfg.Deliver(n.delivery)
	}
}
