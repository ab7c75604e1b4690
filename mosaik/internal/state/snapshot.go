package state

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/isolate"
	"github.com/mosaik-go/mosaik/sm"
)

// CanSnapshot reports whether the machine has snapshots and the state has not stopped. Snapshot can
// still fail, with errors of the machine.
func (s *State) CanSnapshot() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.stopCause() == nil && s.cfg.Machine.CanSnapshot()
}

// Snapshot writes the whole state. No entry may be applied until it returns.
func (s *State) Snapshot(w io.Writer) error {
	view, _, err := s.Freeze()
	if err != nil {
		return err
	}
	return errors.Join(view.Snapshot(w), view.Close())
}

// Freeze returns a view of the whole current state, which the caller must close. If concurrent is
// true, entries may be applied and snapshots restored while the view is written. If it is false,
// both must wait until the view is closed. A stopped state returns its [*consensus.PoisonedError]
// or [*consensus.OutdatedError]. A panic of the machine is returned as a [*PanicError] and does not
// poison the state.
func (s *State) Freeze() (view sm.View, concurrent bool, err error) {
	s.mu.Lock() // Freeze may change the machine, so queries must not run
	defer s.mu.Unlock()
	switch err := s.stopCause(); {
	case err != nil:
		return nil, false, err
	case !s.cfg.Machine.CanSnapshot():
		return nil, false, ErrNoSnapshot
	case s.carryover.next != 0:
		return nil, false, errCarryover
	}
	header := format.Snapshot{
		Opened:    s.opened,
		Sealed:    s.sealed,
		Level:     s.level,
		Commands:  uint64(s.appliedIndex),
		Index:     uint64(s.raft.Index),
		Term:      uint64(s.raft.Term),
		Time:      s.time,
		Sessions:  s.sessions.list(),
		Ancestors: slices.Clone(s.ancestors),
		TokenBase: s.tokenBase.Load(),
	}
	frozen, err := freeze(s.cfg.Machine)
	switch {
	case err != nil:
		return nil, false, err
	case frozen == nil:
		return &liveView{state: s, header: header}, false, nil
	}
	return &frozenView{machine: frozen, header: header}, true, nil
}

// Restore replaces the whole state by one that Snapshot wrote. A failed Restore poisons the state,
// since commands are missing and the machine may be partially replaced. A poisoned state cannot be
// restored, because a machine that panicked may hold its own locks. For a snapshot that needs a
// newer program Restore returns a [*consensus.OutdatedError] and replaces nothing.
func (s *State) Restore(r io.Reader) error {
	c, err := s.restore(r)
	s.notify(c)
	return err
}

func (s *State) restore(r io.Reader) (c changes, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stopCause(); err != nil {
		return c, err
	}
	if err = s.load(&c, r); err != nil {
		s.stopFailedRestore(&c, err)
	}
	s.publishLevels()
	return c, err
}

// stopFailedRestore stops the state with an error of load.
func (s *State) stopFailedRestore(c *changes, err error) {
	switch err := err.(type) {
	case *consensus.OutdatedError:
		s.stopOutdated(c, err)
	case *consensus.PoisonedError:
		s.poison(c, err)
	}
}

// load reads a snapshot into the state. It returns a [*consensus.PoisonedError] or, before anything
// is replaced, a [*consensus.OutdatedError]. The caller holds s.mu.
func (s *State) load(c *changes, r io.Reader) error {
	at := s.raft
	fail := func(err error) error { return &consensus.PoisonedError{Doing: "restore", Entry: at, Value: err} }
	if !s.cfg.Machine.CanSnapshot() {
		return fail(ErrNoSnapshot)
	}
	sr, snap, err := format.NewSnapshotReader(r)
	switch {
	case errors.Is(err, format.ErrVersion):
		return &consensus.OutdatedError{Supported: s.cfg.Level, Entry: at, Err: err}
	case err != nil:
		return fail(err)
	}
	at = sm.Cursor{Term: sm.Term(snap.Term), Index: sm.Index(snap.Index)}
	if snap.Level > s.cfg.Level {
		return &consensus.OutdatedError{Found: snap.Level, Supported: s.cfg.Level, Entry: at}
	}
	table, err := restoreSessions(snap.Sessions)
	if err != nil {
		return fail(err)
	}
	var machineErr error
	if broken, stack := isolate.Call(func() { machineErr = s.cfg.Machine.Restore(sr) }); broken != nil {
		return &consensus.PoisonedError{Doing: "restore", Entry: at, Value: broken, Stack: stack}
	}
	// A damaged snapshot also makes the machine fail; the damage is the cause to report.
	if err := sr.Close(); err != nil {
		return fail(err)
	}
	if machineErr != nil {
		return fail(fmt.Errorf("restore state machine: %w", machineErr))
	}
	c.opened = snap.Opened && !s.acceptsCommands()
	c.sealed = snap.Sealed && !s.sealed
	s.opened, s.sealed = snap.Opened, snap.Sealed
	if level := max(1, snap.Level); level != s.level {
		s.level, c.raised = level, level
	}
	s.tokenBase.Store(snap.TokenBase)
	s.time = snap.Time
	s.appliedIndex, s.raft = sm.Index(snap.Commands), at
	s.sessions = table
	s.cfg.History.skipTo(s.appliedIndex + 1)
	c.ancestors = append(c.ancestors, snap.Ancestors...)
	s.ancestors, s.carryover = snap.Ancestors, carryoverProgress{}
	s.advance(c)
	s.deliverLost(c)
	return nil
}

// restoreSessions returns the session table of a snapshot.
func restoreSessions(lines []format.Session) (sessions, error) {
	t := newSessions()
	if len(lines) > MaxSessions {
		return t, fmt.Errorf("%w: snapshot has %d sessions, the limit is %d", format.ErrMalformed, len(lines), MaxSessions)
	}
	for _, line := range lines {
		if t.byID[line.ID] != nil {
			return t, fmt.Errorf("%w: session %x occurs twice in the snapshot", format.ErrMalformed, line.ID)
		}
		t.add(line)
	}
	return t, nil
}

// deliverLost delivers the outcome of the entries of this member's session that the snapshot covers
// and that were not delivered.
func (s *State) deliverLost(c *changes) {
	o := s.ownSession.Load()
	if o == nil {
		return
	}
	line := s.sessions.byID[o.id]
	if line == nil || line.Sequence <= o.delivered {
		return
	}
	o.delivered = line.Sequence
	d := Delivery{
		Session: o.id, Sequence: line.Sequence, Epoch: s.cfg.Epoch, First: sm.Index(line.First), Err: ErrResultLost, Restored: true,
	}
	if line.First == 0 && s.sealed {
		d.Err = ErrSealed
	} else if line.First == 0 {
		d.Err = ErrForming
	}
	c.delivery, c.deliver = d, true
}
