package state

import (
	"fmt"
	"io"

	"github.com/mosaik-go/mosaik/mosaik/internal/apart"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// CanSnapshot reports whether Snapshot can be called: the machine has
// snapshots, and the replica is well.
func (s *State) CanSnapshot() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.poisoned == nil && s.cfg.Machine.CanSnapshot()
}

// Snapshot writes the whole state, while nothing is applied. A poisoned
// replica's error is its [*PoisonedError]; a panic of the machine is a
// [*PanicError] and spoils nothing.
func (s *State) Snapshot(w io.Writer) (err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.poisoned != nil:
		return s.poisoned
	case !s.cfg.Machine.CanSnapshot():
		return ErrNoSnapshot
	case s.ancestry.next != 0:
		return errInheriting
	}
	sw, err := format.NewSnapshotWriter(w, &format.Snapshot{
		Opened:    s.opened,
		Sealed:    s.sealed,
		Level:     s.level,
		Commands:  uint64(s.commands),
		Index:     uint64(s.raft.Index),
		Term:      uint64(s.raft.Term),
		Time:      s.time,
		Sessions:  s.sessions.list(),
		Ancestors: s.ancestry.epochs,
	})
	if err != nil {
		return err
	}
	if broken, stack := apart.Call(func() { err = s.cfg.Machine.Snapshot(sw) }); broken != nil {
		return &PanicError{Doing: "snapshot", Value: broken, Stack: stack}
	}
	if err != nil {
		return fmt.Errorf("mosaik: snapshot state machine: %w", err)
	}
	return sw.Close()
}

// Restore replaces the whole state by what Snapshot wrote. If it fails, the
// replica misses a part of its history and perhaps half of its machine: it is
// poisoned. A poisoned replica cannot be restored, since a machine that
// panicked may hold its own locks.
func (s *State) Restore(r io.Reader) error {
	n, err := s.restore(r)
	s.tell(n)
	return err
}

func (s *State) restore(r io.Reader) (n news, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poisoned != nil {
		return n, s.poisoned
	}
	if p := s.load(&n, r); p != nil {
		s.poison(&n, p)
		return n, p
	}
	return n, nil
}

// load reads a snapshot into the state.
func (s *State) load(n *news, r io.Reader) *PoisonedError {
	at := s.raft
	fail := func(err error) *PoisonedError { return &PoisonedError{Doing: "restore", Entry: at, Value: err} }
	if !s.cfg.Machine.CanSnapshot() {
		return fail(ErrNoSnapshot)
	}
	sr, snap, err := format.NewSnapshotReader(r)
	if err != nil {
		return fail(err)
	}
	at = sm.Cursor{Term: sm.Term(snap.Term), Index: sm.Index(snap.Index)}
	table, err := restoreSessions(snap.Sessions)
	if err != nil {
		return fail(err)
	}
	var machineErr error
	if broken, stack := apart.Call(func() { machineErr = s.cfg.Machine.Restore(sr) }); broken != nil {
		return &PoisonedError{Doing: "restore", Entry: at, Value: broken, Stack: stack}
	}
	// Damage is the better explanation of what the machine complains about.
	if err := sr.Close(); err != nil {
		return fail(err)
	}
	if machineErr != nil {
		return fail(fmt.Errorf("mosaik: restore state machine: %w", machineErr))
	}
	n.opened = snap.Opened && !s.open()
	n.sealed = snap.Sealed && !s.sealed
	s.opened, s.sealed = snap.Opened, snap.Sealed
	s.level, s.time = snap.Level, snap.Time
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
		Session: o.id, Sequence: line.Sequence, First: sm.Index(line.First), Err: ErrResultLost, Restored: true,
	}
	if line.First == 0 && s.sealed {
		d.Err = ErrSealed
	} else if line.First == 0 {
		d.Err = ErrForming
	}
	n.delivery, n.deliver = d, true
}
