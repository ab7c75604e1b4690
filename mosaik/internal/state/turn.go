package state

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/apart"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// turn is the machine's turn at an entry. Its memory is used again for the next.
type turn struct {
	machine Machine
	caller  *apart.Caller

	commands format.Commands
	results  []Result     // nil if nobody wants them
	info     sm.ApplyInfo // of the command that is being applied
	offset   int          // its offset in the entry
	level    uint32       // at which the commands are encoded, 0 if it is not known
}

func newTurn(m Machine) *turn {
	t := &turn{machine: m}
	t.caller = apart.New(t.take)
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
	t.commands, t.results, t.offset, t.level = e.Commands, results, 0, e.Level
	t.info = sm.ApplyInfo{
		Index:   s.commands,
		Term:    at.Term,
		Group:   s.cfg.Group,
		Network: s.cfg.Network,
		Time:    time.Unix(0, s.time),
		Seed:    e.Seed,
	}
	broken, stack := t.caller.Call()
	t.commands, t.results = format.Commands{}, nil
	if broken != nil {
		return &PoisonedError{Doing: "apply", Index: t.info.Index, Entry: at, Offset: t.offset, Value: broken, Stack: stack}
	}
	s.commands += sm.Index(e.Commands.Len())
	return nil
}

// take lets the machine apply the commands, at least one.
func (t *turn) take() {
	if m, ok := t.machine.(BatchMachine); ok {
		t.info.Index++ // a panic is that of the first, for all that is known
		m.ApplyBatch(t.info, t.level, t.commands, t.results)
		return
	}
	for i, cmd := range t.commands.All() {
		t.offset = i
		t.info.Index++
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
