package state

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// History holds the commands that were applied last, for whoever follows them.
// It outlives the states of a member's lives: commands that a later life of the
// same epoch applies again are known already. Recording costs nothing before
// [State.Record] or [History.Record]. Its methods may be called from any
// goroutine.
type History struct {
	limit     int // bytes
	recording atomic.Bool

	mu         sync.Mutex
	epoch      [16]byte   // zero before the first
	epochs     [][16]byte // in which indices mean the same as in this one, itself included
	used       bool       // indices of these epochs stand for commands
	generation uint64     // of what indices mean
	records    []Record
	bytes      int
	next       sm.Index      // of the next command
	changed    chan struct{} // closed at the next change; nil while nobody waits
	poisoned   error         // of the present life
	ended      error
}

// Record is an applied log entry with commands.
type Record struct {
	Epoch    [16]byte
	First    sm.Index // of its first command
	Term     sm.Term
	Time     time.Time
	Level    uint32 // at which the commands are encoded, 0 if it is not known
	Commands format.Commands
}

// recordCost is what a record takes beside the bytes of its commands.
const recordCost = 112

// end returns the index behind the record's last command.
func (r Record) end() sm.Index { return r.First + sm.Index(r.Commands.Len()) }

func (r Record) size() int { return recordCost + r.Commands.Size() }

// NewHistory returns a History that keeps about so many bytes, and always the
// last entry.
func NewHistory(limit int) *History { return &History{limit: limit, next: 1} }

// Record begins to record, before the first entry of a state.
func (h *History) Record() { h.record(1) }

// record begins to record, with the next command's index.
func (h *History) record(next sm.Index) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.recording.Load() {
		h.next = next
		h.recording.Store(true)
	}
}

// Record begins to record what is applied to the state from now on, if its
// history does not do so already.
func (s *State) Record() {
	s.mu.RLock() // no entry is half applied
	defer s.mu.RUnlock()
	s.cfg.History.record(s.commands + 1)
}

// Enter says that the next state is in the epoch, and how many commands the state before
// had applied. Indices keep their meaning if it is the same epoch, if it continues what
// this member applied, or if nothing was applied in the one before.
func (h *History) Enter(epoch [16]byte, continues bool, applied sm.Index) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used = h.used || applied > 0
	if epoch != h.epoch && !continues && h.used {
		h.generation++
		h.epochs, h.used = nil, false
		h.forget(1)
	}
	if !slices.Contains(h.epochs, epoch) {
		h.epochs = append(h.epochs, epoch)
	}
	h.epoch, h.poisoned = epoch, nil
	h.wake()
}

// Poison says why the present life applies nothing any more.
func (h *History) Poison(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.poisoned = err
	h.wake()
}

// End says why nothing will be applied any more.
func (h *History) End(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = err
	h.wake()
}

// Wake lets every waiting [History.Next] look again whether it is to stop.
func (h *History) Wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake()
}

// add records an entry that was applied; its commands are copied. A nil History
// records nothing.
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
		h.forget(first)
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

// skip takes into account that a snapshot led past commands.
func (h *History) skip(next sm.Index) {
	if h == nil || !h.recording.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if next > h.next {
		h.forget(next)
		h.wake()
	}
}

// forget drops all records; the caller holds the lock.
func (h *History) forget(next sm.Index) {
	h.records, h.bytes, h.next = nil, 0, next
}

// wake ends the present waits; the caller holds the lock.
func (h *History) wake() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// first returns the index of the first command that is held; the caller holds the
// lock.
func (h *History) first() sm.Index {
	if len(h.records) == 0 {
		return h.next
	}
	return h.records[0].First
}

// Origin is what indices mean to a consumer.
type Origin struct {
	generation uint64
	epoch      [16]byte // zero for that of the generation
}

// Origin returns what the indices of an epoch mean, the zero epoch standing for the
// present one.
func (h *History) Origin(epoch [16]byte) Origin {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Origin{h.generation, epoch}
}

// isOther reports whether indices have another meaning now; the caller holds the lock.
func (h *History) isOther(o Origin) bool {
	if o.generation != h.generation {
		return true
	}
	var none [16]byte
	return o.epoch != none && h.epoch != none && !slices.Contains(h.epochs, o.epoch)
}

// Next returns the entry that holds the command of the index, at least 1, and
// waits until there is one. Errors are a [*BehindError], [ErrOtherEpoch], the
// context's error, what stop returns, why the replica is poisoned and why the
// history ended. stop runs under the history's lock.
func (h *History) Next(ctx context.Context, from Origin, index sm.Index, stop func() error) (Record, error) {
	for {
		r, changed, err := h.look(from, index, stop)
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

// look returns the entry, or a channel that is closed when it is worth looking
// again.
func (h *History) look(from Origin, index sm.Index, stop func() error) (r Record, changed <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := stop(); err != nil {
		return r, nil, err
	}
	switch first := h.first(); {
	case h.isOther(from):
		return r, nil, ErrOtherEpoch
	case index < first:
		return r, nil, &BehindError{Index: index, First: first}
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
