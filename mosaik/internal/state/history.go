package state

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// History keeps the commands that were applied last, for the readers of [History.Next]. It outlives
// the replicas of a member. Commands of the same epoch that a later replica applies again are not
// recorded twice. Before [State.Record] or [History.Record] an applied entry costs one atomic load.
// Its methods are safe for concurrent use. No other lock is acquired under mu, except by the stop
// function of Next. State acquires mu while it holds its own lock.
type History struct {
	limit     int // in bytes, of all records but the last
	recording atomic.Bool

	mu          sync.Mutex
	epoch       [16]byte      // the current epoch, zero before the first
	epochs      [][16]byte    // the epochs of the generation: their indices mean the same commands
	hasCommands bool          // commands were applied in these epochs
	generation  uint64        // counts the changes of the meaning of indices
	records     []Record      // consecutive, oldest first
	bytes       int           // size of the records
	next        sm.Index      // index of the next command
	changed     chan struct{} // closed at the next change; nil while no Next blocks
	poisoned    error         // of the current replica, nil for none
	ended       error         // of End, nil before
}

// Record is an applied log entry with commands.
type Record struct {
	Epoch    [16]byte
	First    sm.Index // index of the first command
	Term     sm.Term
	Time     time.Time
	Level    uint32 // at which the commands are encoded, 0 if unknown
	Commands format.Commands
}

// recordCost is the size of a record in bytes without its commands.
const recordCost = 112

// end returns the index after the last command of the record.
func (r Record) end() sm.Index { return r.First + sm.Index(r.Commands.Len()) }

func (r Record) size() int { return recordCost + r.Commands.Size() }

// NewHistory returns a History that keeps about limit bytes of entries. It keeps the last entry
// even if that is larger.
func NewHistory(limit int) *History { return &History{limit: limit, next: 1} }

// Record starts recording. Call it before the first entry of a state.
func (h *History) Record() { h.record(1) }

// record starts recording at the index next, unless h records already.
func (h *History) record(next sm.Index) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.recording.Load() {
		h.next = next
		h.recording.Store(true)
	}
}

// Record starts recording with the next command that the state applies, unless its history records
// already.
func (s *State) Record() {
	s.mu.RLock() // so that no entry is partially applied
	defer s.mu.RUnlock()
	s.cfg.History.record(s.appliedIndex + 1)
}

// EnterEpoch prepares for the next state, which belongs to epoch. applied is the AppliedIndex of
// the state before it. The indices keep their meaning if the epoch is the same, if continues is
// true because the epoch continues what this member applied, or if no command was applied before.
func (h *History) EnterEpoch(epoch [16]byte, continues bool, applied sm.Index) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hasCommands = h.hasCommands || applied > 0
	if epoch != h.epoch && !continues && h.hasCommands {
		h.generation++
		h.epochs, h.hasCommands = nil, false
		h.reset(1)
	}
	if !slices.Contains(h.epochs, epoch) {
		h.epochs = append(h.epochs, epoch)
	}
	h.epoch, h.poisoned = epoch, nil
	h.wake()
}

// Poison makes Next return err after the last command, until the next EnterEpoch.
func (h *History) Poison(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.poisoned = err
	h.wake()
}

// End makes Next return err after the last command, for good.
func (h *History) End(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = err
	h.wake()
}

// Wake makes each blocked [History.Next] call its stop function again.
func (h *History) Wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake()
}

// add records an applied entry and copies its commands. A nil History records nothing.
func (h *History) add(first sm.Index, term sm.Term, at int64, level uint32, commands format.Commands) {
	if h == nil || !h.recording.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r := Record{Epoch: h.epoch, First: first, Term: term, Time: time.Unix(0, at).UTC(), Level: level, Commands: commands}
	if commands.Len() == 0 || r.end() <= h.next {
		return
	}
	if first > h.next {
		h.reset(first)
	}
	r.Commands = commands.Clone()
	h.records = append(h.records, r)
	h.bytes += r.size()
	h.next = r.end()
	for h.bytes > h.limit && len(h.records) > 1 {
		h.bytes -= h.records[0].size()
		h.records[0] = Record{}
		h.records = h.records[1:]
	}
	h.wake()
}

// skipTo drops all records if a restored snapshot covers commands that were not recorded. next is
// the index of the first command after the snapshot.
func (h *History) skipTo(next sm.Index) {
	if h == nil || !h.recording.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if next > h.next {
		h.reset(next)
		h.wake()
	}
}

// reset drops all records. The next command has the index next. The caller holds h.mu.
func (h *History) reset(next sm.Index) {
	h.records, h.bytes, h.next = nil, 0, next
}

// wake unblocks all calls of Next. The caller holds h.mu.
func (h *History) wake() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// first returns the index of the first recorded command. The caller holds h.mu.
func (h *History) first() sm.Index {
	if len(h.records) == 0 {
		return h.next
	}
	return h.records[0].First
}

// Origin identifies the epochs in which a reader's indices are valid. Values of one History can be
// compared.
type Origin struct {
	generation uint64
	epoch      [16]byte // zero for any epoch of the generation
}

// Origin returns the origin of indices of an epoch. The zero epoch stands for the current one.
func (h *History) Origin(epoch [16]byte) Origin {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Origin{h.generation, epoch}
}

// isOtherOrigin reports whether indices of o are invalid in the current epoch. The caller holds
// h.mu.
func (h *History) isOtherOrigin(o Origin) bool {
	if o.generation != h.generation {
		return true
	}
	var none [16]byte
	return o.epoch != none && h.epoch != none && !slices.Contains(h.epochs, o.epoch)
}

// Next returns the entry that holds the command with the index, which must be at least 1. It blocks
// until there is one. It returns a [*consensus.BehindError], [ErrOtherEpoch], the error of ctx, of
// stop, of [History.Poison] or of [History.End]. stop is called with h.mu held: it must not block
// or use h.
func (h *History) Next(ctx context.Context, from Origin, index sm.Index, stop func() error) (Record, error) {
	for {
		r, changed, err := h.tryNext(from, index, stop)
		if err != nil || changed == nil {
			return r, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r, watch.Cause(ctx)
		}
	}
}

// tryNext returns the entry, an error, or a channel that is closed at the next change.
func (h *History) tryNext(from Origin, index sm.Index, stop func() error) (r Record, changed <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := stop(); err != nil {
		return r, nil, err
	}
	switch first := h.first(); {
	case h.isOtherOrigin(from):
		return r, nil, ErrOtherEpoch
	case index < first:
		return r, nil, &consensus.BehindError{Index: index, First: first}
	case index < h.next:
		at, _ := slices.BinarySearchFunc(h.records, index+1, func(r Record, index sm.Index) int {
			if r.end() < index {
				return -1
			}
			return 1
		})
		return h.records[at], nil, nil
	case h.ended != nil:
		return r, nil, h.ended
	case h.poisoned != nil:
		return r, nil, h.poisoned
	}
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return r, h.changed, nil
}
