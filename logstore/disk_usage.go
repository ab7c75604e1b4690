package logstore

import (
	"github.com/mosaik-go/mosaik/logstore/internal/wal"
	"github.com/mosaik-go/mosaik/sm"
)

// usage counts the bytes of live entries in each segment. Entries are live until a prune
// or a replacement of them is on disk.
type usage struct {
	live  map[uint32]int64
	total int64
}

func (u *usage) add(r ref) {
	if r.length > 0 {
		u.live[r.segment] += int64(r.length)
		u.total += int64(r.length)
	}
}

func (u *usage) remove(r ref) {
	if r.length > 0 {
		u.live[r.segment] -= int64(r.length)
		u.total -= int64(r.length)
	}
}

// drop subtracts the entries with indices in [lo, hi).
func (u *usage) drop(refs *segments[ref], lo, hi sm.Index) {
	for i := lo; i < hi; i++ {
		u.remove(*refs.at(i))
	}
}

// cleaner moves the live entries of the oldest segment to the end of the log, so that the
// segment can be removed, when less than half of the log is live. It works in steps after
// rounds, each in proportion to the length of the round.
type cleaner struct {
	segment uint64 // the segment that is being cleaned
	offset  int64  // live entries before this offset have moved
	frame   []byte
	ops     []moveOp
}

// moveOp is an entry that moves.
type moveOp struct {
	group    *diskGroup
	index    sm.Index
	from     ref
	relative int // the offset of its new place in the payload
}

// cleanStep is the least number of bytes of a segment that one step reads.
const cleanStep = 1 << 20

// tidy frees space after a round of n bytes.
func (s *diskStore) tidy(n int) error {
	if err := s.dropDead(); err != nil || !s.wasteful() {
		return err
	}
	if err := s.clean(max(cleanStep, 4*n)); err != nil {
		return err
	}
	return s.dropDead()
}

// dropDead removes the oldest segments that have no live entries.
func (s *diskStore) dropDead() error {
	for s.wal.Oldest() < s.wal.Newest() && s.use.live[uint32(s.wal.Oldest())] == 0 {
		delete(s.use.live, uint32(s.wal.Oldest()))
		if err := s.wal.RemoveOldest(); err != nil {
			return err
		}
	}
	return nil
}

// wasteful reports whether less than half of the log is live, beyond two segments.
func (s *diskStore) wasteful() bool {
	if s.wal.Newest() < s.wal.Oldest()+2 {
		return false
	}
	return s.wal.Size()-2*s.cfg.segment > 2*s.use.total
}

// clean moves the live entries in the next bytes of the oldest segment.
func (s *diskStore) clean(bytes int) error {
	c := &s.cleaner
	if oldest := s.wal.Oldest(); c.segment != oldest {
		c.segment, c.offset = oldest, 0
	}
	c.frame, c.ops = append(c.frame[:0], make([]byte, wal.FrameHead)...), c.ops[:0]
	left := bytes
	next, err := s.wal.Scan(c.segment, c.offset, func(at wal.Place, kind wal.Kind, payload []byte) bool {
		if kind == wal.Data {
			s.collect(at, payload)
		}
		left -= len(payload)
		return left > 0
	})
	if err != nil {
		return err
	}
	if len(c.ops) > 0 {
		at, frame, err := s.append(c.frame)
		c.frame = frame
		if err != nil {
			return err
		}
		for _, op := range c.ops {
			to := ref{uint32(at.Segment), at.Offset + uint32(op.relative), op.from.length}
			op.group.move(op.index, op.from, to, s.use)
		}
	}
	clear(c.ops)
	c.offset = next
	if cap(c.frame) > maxRound {
		c.frame = nil
	}
	return nil
}

// collect adds the live entries of a payload to those that move.
func (s *diskStore) collect(at wal.Place, payload []byte) {
	c := &s.cleaner
	for base := 0; base < len(payload); {
		r, n, entries, err := parseRecord(payload[base:], s.room)
		if err != nil {
			return // it was parsed when the log was opened, or written by us
		}
		s.room = r.batch.Entries[:0]
		if g := s.numbered(r.number); g != nil {
			out := record{number: r.number, moved: true}
			offset := at.Offset + uint32(base+entries)
			kept := r.batch.Entries[:0]
			for _, e := range r.batch.Entries {
				here := ref{uint32(at.Segment), offset, uint32(entryHead + len(e.Data))}
				offset += here.length
				if now, ok := g.at(e.Index); ok && now == here {
					kept = append(kept, e)
					c.ops = append(c.ops, moveOp{group: g, index: e.Index, from: here})
				}
			}
			if out.batch.Entries = kept; len(kept) > 0 {
				var first int
				c.frame, first = out.appendTo(c.frame)
				for i := range kept {
					op := &c.ops[len(c.ops)-len(kept)+i]
					op.relative = first - wal.FrameHead
					first += int(op.from.length)
				}
			}
		}
		base += n
	}
}
