package state

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/isolate"
	"github.com/mosaik-go/mosaik/sm"
)

// execution is the machine's execution of the commands of one entry. A State has one, which it
// reuses for each entry to avoid allocations. The goroutine that applies owns it. Other goroutines
// may read applying, and under mu the fields first, commands and level while applying is not 0.
type execution struct {
	machine Machine
	caller  *isolate.Caller
	// applying is the index of the command that is being applied, of the first one while a
	// batch is, and 0 between entries.
	applying atomic.Uint64

	mu       sync.Mutex // held by finish and current
	first    sm.Index   // index of the entry's first command
	commands format.Commands
	results  []Result     // nil to discard them
	info     sm.ApplyInfo // of the command that is being applied
	offset   int          // its offset in the entry
	level    uint32       // at which the commands are encoded, 0 if unknown
}

func newExecution(m Machine) *execution {
	x := &execution{machine: m}
	x.caller = isolate.New(x.applyCommands)
	return x
}

// applyToMachine lets the machine apply the commands of an entry, and stores their results unless
// results is nil. After a panic of the machine the caller must poison the state.
func (s *State) applyToMachine(at sm.Cursor, e *format.Envelope, results []Result) *consensus.PoisonedError {
	s.time = max(s.time, e.Time)
	if e.Commands.Len() == 0 {
		return nil
	}
	x := s.execution
	x.first, x.commands, x.results, x.offset, x.level = s.appliedIndex+1, e.Commands, results, 0, e.Level
	x.info = sm.ApplyInfo{
		Index:   s.appliedIndex,
		Term:    at.Term,
		Group:   s.cfg.Group,
		Network: s.cfg.Network,
		Time:    time.Unix(0, s.time),
		Seed:    e.Seed,
	}
	x.applying.Store(uint64(x.first))
	s.watchdog.arm()
	broken, stack := x.caller.Call()
	x.finish()
	if broken != nil {
		return &consensus.PoisonedError{
			Doing: "apply", Index: x.info.Index, Entry: at, Offset: x.offset, Value: broken, Stack: stack,
			Command: s.watchdog.commandName(e.Level, e.Commands.At(x.offset)),
		}
	}
	s.appliedIndex += sm.Index(e.Commands.Len())
	return nil
}

// finish ends the execution and releases the entry.
func (x *execution) finish() {
	x.mu.Lock()
	x.applying.Store(0)
	x.commands, x.results = format.Commands{}, nil
	x.mu.Unlock()
}

// current returns a copy of the command with the index and the level at which it is encoded. ok is
// false if that command is no longer being applied. It is safe for concurrent use.
func (x *execution) current(index sm.Index) (level uint32, cmd []byte, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.applying.Load() != uint64(index) {
		return 0, nil, false
	}
	return x.level, bytes.Clone(x.commands.At(int(index - x.first))), true
}

// applyCommands lets the machine apply the commands, at least one. It must not be inlined:
// [State.InApply] finds its frame on the stack, and [Frames] its name.
//
//go:noinline
func (x *execution) applyCommands() {
	if m, ok := x.machine.(BatchMachine); ok {
		x.info.Index++ // a panic is attributed to the first command
		m.ApplyBatch(x.info, x.level, x.commands, x.results)
		return
	}
	for i, cmd := range x.commands.All() {
		x.offset = i
		x.info.Index++
		if i > 0 {
			x.applying.Store(uint64(x.info.Index))
		}
		value, err, ok := x.machine.Apply(sm.NewApplyContext(x.info), x.level, cmd)
		if x.results == nil {
			continue
		}
		if !ok {
			value, err = nil, Undecodable(err)
		}
		x.results[i] = Result{value, err}
	}
}
