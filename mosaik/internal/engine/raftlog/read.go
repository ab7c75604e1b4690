package raftlog

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// ReadSize is how many bytes of entries a read yields before it ends, unless the first
// entry is larger. dragonboat asks for up to 64 MB, which it would send as one message.
const ReadSize = 2 << 20

// lastSnapshot returns the record of the last snapshot, the zero one if there is none.
func (l *Log) lastSnapshot() (pb.Snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fromRecord(l.snapshot)
}

// raftState returns the state from which dragonboat starts. Its entries begin after the
// snapshot at the given index.
func (l *Log) raftState(snapshot uint64) (raftio.RaftState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pb.IsEmptyState(l.hard) {
		return raftio.RaftState{}, raftio.ErrNoSavedLog
	}
	st := raftio.RaftState{State: l.hard}
	// dragonboat applies before it saves the commit index, so a snapshot may reach the
	// storage before the commit index that it covers.
	st.State.Commit = max(st.State.Commit, snapshot)
	if _, last := l.terms.span(); snapshot < uint64(last) {
		st.FirstIndex, st.EntryCount = snapshot+1, uint64(last)-snapshot
	}
	return st, nil
}

// iterate appends the entries with indices in [low, high), as far as the log holds them, to
// out, whose size is size, until the size exceeds ReadSize or a maxSize other than 0. In
// both cases it returns a size above maxSize: dragonboat then drops the last entry and asks
// for the rest later.
func (l *Log) iterate(out []pb.Entry, size uint64, low, high sm.Index, maxSize uint64) ([]pb.Entry, uint64) {
	l.mu.Lock()
	first, last := l.terms.span()
	high = min(high, last+1)
	if low < first || low >= high {
		l.mu.Unlock()
		return out, size
	}
	var err error
	if !l.fenced.Load() {
		c := collector{out: out, size: size, maxSize: min(maxSize, ReadSize)}
		if err = Guard(func() error { return c.read(l.storage, low, high) }); err == nil {
			l.mu.Unlock()
			if c.full() {
				l.cuts.add(c.out[max(0, len(c.out)-2)].Index)
				c.size = max(c.size, maxSize+1)
			}
			return c.out, c.size
		}
	}
	c := collector{out: out, size: size, maxSize: maxSize}
	for i := low; i < high && c.add(blank(i, l.terms.at(i))); i++ {
	}
	_ = l.unlock("read from", err)
	return c.out, c.size
}

// ErrReplaced reports entries that the log no longer holds because a received snapshot replaced
// it.
var ErrReplaced = errors.New("engine: a snapshot replaced the entries")

// errFenced reports a log that is not read because it is fenced.
var errFenced = errors.New("engine: the log is fenced")

// committed returns the proposals among the entries with indices in [low, high), which must be
// committed. It stops after about [ReadSize] bytes; next is the index at which to continue.
func (l *Log) committed(low, high sm.Index) (proposals []Entry, next sm.Index, err error) {
	l.mu.Lock()
	if first, _ := l.terms.span(); low < first {
		l.mu.Unlock()
		return nil, 0, ErrReplaced
	}
	if l.fenced.Load() {
		l.mu.Unlock()
		return nil, 0, errFenced
	}
	c := collector{maxSize: ReadSize}
	err = Guard(func() error { return c.read(l.storage, low, high) })
	if err != nil {
		_ = l.unlock("read from", err)
		return nil, 0, errFenced
	}
	l.mu.Unlock()
	for i := range c.out {
		e := &c.out[i]
		next = sm.Index(e.Index) + 1
		if e.ClientID != wire.ProposalClient {
			continue
		}
		data, err := wire.Payload(e)
		if err != nil {
			return nil, 0, err
		}
		proposals = append(proposals, Entry{Index: sm.Index(e.Index), Term: sm.Term(e.Term), Data: data})
	}
	return proposals, next, nil
}

// collector gathers entries up to a size.
type collector struct {
	out           []pb.Entry
	size, maxSize uint64
}

// add appends an entry and reports whether there is room for more.
func (c *collector) add(e pb.Entry) bool {
	c.out = append(c.out, e)
	c.size += uint64(e.SizeUpperLimit())
	return !c.full()
}

func (c *collector) full() bool { return c.maxSize != 0 && c.size > c.maxSize }

// read adds the entries of a log with indices in [low, high), all of which it must hold.
func (c *collector) read(log logstore.Log, low, high sm.Index) error {
	next := low
	for e, err := range log.Entries(low, high) {
		if err != nil {
			return err
		}
		if e.Index != next {
			return fmt.Errorf("it yielded entry %d where %d comes next", e.Index, next)
		}
		restored, err := fromStored(&e)
		if err != nil {
			return err
		}
		if !c.add(restored) {
			return nil
		}
		next++
	}
	if next < high {
		return fmt.Errorf("it yielded no entry at %d, though it accepted entries through %d", next, high-1)
	}
	return nil
}

// cuts holds the indices of the last entries of the 64 most recent reads that ended because
// they had yielded enough.
type cuts struct {
	mu   sync.Mutex
	last [64]uint64
	next int
}

func (c *cuts) add(index uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[c.next%len(c.last)] = index
	c.next++
}

func (c *cuts) has(index uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.last[:], index)
}
