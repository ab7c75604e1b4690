package state

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/isolate"
	"github.com/mosaik-go/mosaik/sm"
)

// CanSnapshot reports whether Snapshot can be called: the machine has
// snapshots, and the replica is well.
func (s *State) CanSnapshot() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.over() == nil && s.cfg.Machine.CanSnapshot()
}

// Snapshot writes the whole state. Nothing may be applied meanwhile.
func (s *State) Snapshot(w io.Writer) error {
	view, _, err := s.Freeze()
	if err != nil {
		return err
	}
	return errors.Join(view.Snapshot(w), view.Close())
}

// Freeze returns a view of the whole state as it is now. If concurrent is true, entries may be
// applied and snapshots restored while the view is written. If it is false, that must wait until
// the view is closed. A replica that has stopped applying returns its
// [*PoisonedError] or [*OutdatedError]. A panic of the machine is a [*PanicError] and spoils
// nothing.
func (s *State) Freeze() (view sm.View, concurrent bool, err error) {
	s.mu.Lock() // a machine may have to change itself to be frozen, which queries must not see
	defer s.mu.Unlock()
	switch err := s.over(); {
	case err != nil:
		return nil, false, err
	case !s.cfg.Machine.CanSnapshot():
		return nil, false, ErrNoSnapshot
	case s.ancestry.next != 0:
		return nil, false, errInheriting
	}
	header := format.Snapshot{
		Opened:    s.opened,
		Sealed:    s.sealed,
		Level:     s.level,
		Commands:  uint64(s.commands),
		Index:     uint64(s.raft.Index),
		Term:      uint64(s.raft.Term),
		Time:      s.time,
		Sessions:  s.sessions.list(),
		Ancestors: slices.Clone(s.ancestry.epochs),
		TokenBase: s.tokens.Load(),
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

// Restore replaces the whole state by what Snapshot wrote. If it fails, the
// replica misses a part of its history and perhaps half of its machine: it is
// poisoned. A poisoned replica cannot be restored, since a machine that
// panicked may hold its own locks. A snapshot that only a newer program can restore
// is an [*OutdatedError], and nothing is replaced.
func (s *State) Restore(r io.Reader) error {
	n, err := s.restore(r)
	s.tell(n)
	return err
}

func (s *State) restore(r io.Reader) (n news, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.over(); err != nil {
		return n, err
	}
	if err = s.load(&n, r); err != nil {
		s.fail(&n, err)
	}
	s.noteWrites()
	return n, err
}

// fail ends the state's use because a snapshot could not be restored.
func (s *State) fail(n *news, err error) {
	switch err := err.(type) {
	case *OutdatedError:
		s.outdate(n, err)
	case *PoisonedError:
		s.poison(n, err)
	}
}

// load reads a snapshot into the state. Its errors are a [*PoisonedError] and,
// before anything was replaced, an [*OutdatedError].
func (s *State) load(n *news, r io.Reader) error {
	at := s.raft
	fail := func(err error) error { return &PoisonedError{Doing: "restore", Entry: at, Value: err} }
	if !s.cfg.Machine.CanSnapshot() {
		return fail(ErrNoSnapshot)
	}
	sr, snap, err := format.NewSnapshotReader(r)
	switch {
	case errors.Is(err, format.ErrVersion):
		return &OutdatedError{Supported: s.cfg.Level, Entry: at, Err: err}
	case err != nil:
		return fail(err)
	}
	at = sm.Cursor{Term: sm.Term(snap.Term), Index: sm.Index(snap.Index)}
	if snap.Level > s.cfg.Level {
		return &OutdatedError{Found: snap.Level, Supported: s.cfg.Level, Entry: at}
	}
	table, err := restoreSessions(snap.Sessions)
	if err != nil {
		return fail(err)
	}
	var machineErr error
	if broken, stack := isolate.Call(func() { machineErr = s.cfg.Machine.Restore(sr) }); broken != nil {
		return &PoisonedError{Doing: "restore", Entry: at, Value: broken, Stack: stack}
	}
	// Damage is the better explanation of what the machine complains about.
	if err := sr.Close(); err != nil {
		return fail(err)
	}
	if machineErr != nil {
		return fail(fmt.Errorf("restore state machine: %w", machineErr))
	}
	n.opened = snap.Opened && !s.open()
	n.sealed = snap.Sealed && !s.sealed
	s.opened, s.sealed = snap.Opened, snap.Sealed
	if level := max(1, snap.Level); level != s.level {
		s.level, n.raised = level, level
	}
	s.tokens.Store(snap.TokenBase)
	s.time = snap.Time
	s.commands, s.raft = sm.Index(snap.Commands), at
	s.sessions = table
	s.cfg.History.skip(s.commands + 1)
	n.ancestors = append(n.ancestors, snap.Ancestors...)
	s.ancestry = ancestry{epochs: snap.Ancestors}
	s.advance(n)
	s.deliverLost(n)
	return nil
}

func restoreSessions(lines []format.Session) (sessions, error) {
	t := newSessions()
	if len(lines) > MaxSessions {
		return t, fmt.Errorf("%w: snapshot with %d sessions, at most %d are kept", format.ErrMalformed, len(lines), MaxSessions)
	}
	for _, line := range lines {
		if t.byID[line.ID] != nil {
			return t, fmt.Errorf("%w: session %x stands twice in the snapshot", format.ErrMalformed, line.ID)
		}
		t.add(line)
	}
	return t, nil
}

// deliverLost tells our own session about entries that the snapshot covers and
// whose outcomes were never delivered.
func (s *State) deliverLost(n *news) {
	o := s.own.Load()
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
	n.delivery, n.deliver = d, true
}
