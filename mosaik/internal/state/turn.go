package state

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/isolate"
	"github.com/mosaik-go/mosaik/sm"
)

// turn is the machine's turn at an entry. Its memory is used again for the next.
type turn struct {
	machine Machine
	caller  *isolate.Caller
	// applying is the index of the command that is being applied, of the first one while
	// a batch is, and 0 between entries.
	applying atomic.Uint64

	ending   sync.Mutex // held when a turn ends, and by those who look at its commands
	first    sm.Index   // of the entry's first command
	commands format.Commands
	results  []Result     // nil if nobody wants them
	info     sm.ApplyInfo // of the command that is being applied
	offset   int          // its offset in the entry
	level    uint32       // at which the commands are encoded, 0 if it is not known
}

func newTurn(m Machine) *turn {
	t := &turn{machine: m}
	t.caller = isolate.New(t.take)
	return t
}

// run applies the commands of an entry, and keeps their results if anybody
// wants them. If the machine panics, the state is only fit to be poisoned.
func (s *State) run(at sm.Cursor, e *format.Envelope, results []Result) *PoisonedError {
	s.time = max(s.time, e.Time)
	if e.Commands.Len() == 0 {
		return nil
	}
	t := s.turn
	t.first, t.commands, t.results, t.offset, t.level = s.commands+1, e.Commands, results, 0, e.Level
	t.info = sm.ApplyInfo{
		Index:   s.commands,
		Term:    at.Term,
		Group:   s.cfg.Group,
		Network: s.cfg.Network,
		Time:    time.Unix(0, s.time),
		Seed:    e.Seed,
	}
	t.applying.Store(uint64(t.first))
	s.watchdog.begin()
	broken, stack := t.caller.Call()
	t.end()
	if broken != nil {
		return &PoisonedError{
			Doing: "apply", Index: t.info.Index, Entry: at, Offset: t.offset, Value: broken, Stack: stack,
			Command: s.watchdog.names(e.Level, e.Commands.At(t.offset)),
		}
	}
	s.commands += sm.Index(e.Commands.Len())
	return nil
}

// end ends the turn.
func (t *turn) end() {
	t.ending.Lock()
	t.applying.Store(0)
	t.commands, t.results = format.Commands{}, nil
	t.ending.Unlock()
}

// peek returns a copy of the command that is being applied, and the level at which it is
// encoded. It is not ok when another one is by now. It may be called from any goroutine.
func (t *turn) peek(index sm.Index) (level uint32, cmd []byte, ok bool) {
	t.ending.Lock()
	defer t.ending.Unlock()
	if t.applying.Load() != uint64(index) {
		return 0, nil, false
	}
	return t.level, bytes.Clone(t.commands.At(int(index - t.first))), true
}

// take lets the machine apply the commands, at least one. It keeps a frame of its own, by
// which [State.IsCaller] knows the goroutine.
//
//go:noinline
func (t *turn) take() {
	if m, ok := t.machine.(BatchMachine); ok {
		t.info.Index++ // a panic is that of the first, for all that is known
		m.ApplyBatch(t.info, t.level, t.commands, t.results)
		return
	}
	for i, cmd := range t.commands.All() {
		t.offset = i
		t.info.Index++
		if i > 0 {
			t.applying.Store(uint64(t.info.Index))
		}
		value, err, ok := t.machine.Apply(sm.NewApplyContext(t.info), t.level, cmd)
		if t.results == nil {
			continue
		}
		if !ok {
			value, err = nil, Undecodable(err)
		}
		t.results[i] = Result{value, err}
	}
}
