package logstore

import (
	"github.com/mosaik-go/mosaik/logstore/internal/wal"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// maxRound is how long a round is before others wait for the next one, and
	// how much of a buffer is kept, in bytes.
	maxRound = 4 << 20
	// maxBatch is how long a batch may be, in bytes.
	maxBatch = 512 << 20
)

// round is what is written and synced together. Saves that come while a round
// is being written gather in the next one. The first of them leads it: it waits
// its turn and writes for all. So there is no goroutine but the callers', and
// who comes alone waits for nobody.
type round struct {
	frame []byte
	ops   []diskOp
	led   bool          // somebody is going to write it
	done  chan struct{} // closed when it is over, nil if nobody waits for that
	err   error         // valid then
}

// diskOp is what to do once a round is on disk: a batch that was saved, or a prune.
type diskOp struct {
	group    *diskGroup
	next     change
	batch    *Batch   // nil for a prune
	relative int      // offset of the first entry in the payload
	prune    sm.Index // through which to forget
}

// commit writes what op does, as r says, with what others write. It returns
// when that is on disk.
func (s *diskStore) commit(op diskOp, r *record) error {
	s.mu.Lock()
	now, err := s.enter(op, r)
	switch {
	case err != nil:
		s.mu.Unlock()
		return err
	case !s.busy:
		s.busy, s.forming = true, nil
		s.mu.Unlock()
		s.run(now)
	case !now.led:
		now.led = true
		s.mu.Unlock()
		<-s.turn
		s.mu.Lock()
		s.forming = nil
		s.mu.Unlock()
		s.run(now)
	default:
		s.await(now)
	}
	return now.err
}

// later writes what op does with the next round.
func (s *diskStore) later(op diskOp, r *record) error {
	s.mu.Lock()
	if s.forming != nil && len(s.forming.frame) > maxRound {
		s.mu.Unlock()
		return s.commit(op, r)
	}
	defer s.mu.Unlock()
	_, err := s.enter(op, r)
	return err
}

// enter adds op to the round that is forming. Called with s.mu, which it may
// give up for a while.
func (s *diskStore) enter(op diskOp, r *record) (*round, error) {
	for s.forming != nil && s.forming.led && len(s.forming.frame) > maxRound {
		s.await(s.forming)
		s.mu.Lock()
	}
	if s.failed != nil {
		return nil, s.failed
	}
	if s.forming == nil {
		s.forming = &round{frame: s.spare.frame, ops: s.spare.ops}
		s.spare = round{}
		if s.forming.frame == nil {
			s.forming.frame = make([]byte, wal.FrameHead, 4096)
		}
	}
	now := s.forming
	g := op.group
	if g.number == 0 {
		s.next++
		g.number = s.next
		s.numbers[g.number] = g
	}
	if r.number = g.number; !g.named {
		r.names, g.named = &g.id, true
	}
	now.frame, op.relative = r.appendTo(now.frame)
	op.relative -= wal.FrameHead
	now.ops = append(now.ops, op)
	return now, nil
}

// await gives up s.mu and waits until r is over.
func (s *diskStore) await(r *round) {
	if r.done == nil {
		r.done = make(chan struct{})
	}
	s.mu.Unlock()
	<-r.done
}

// run writes a round. The caller is the one who may write.
func (s *diskStore) run(r *round) {
	n := len(r.frame)
	failed := s.write(r)
	if failed != nil {
		r.err = failed
	}
	s.mu.Lock()
	s.fail(failed)
	clear(r.ops)
	if cap(r.frame) <= maxRound && cap(r.ops) <= 4096 {
		s.spare = round{frame: r.frame[:wal.FrameHead], ops: r.ops[:0]}
	}
	if r.done != nil {
		close(r.done)
	}
	s.mu.Unlock()
	if failed == nil {
		failed = s.tidy(n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail(failed)
	if s.forming != nil && s.forming.led {
		s.turn <- struct{}{}
	} else {
		s.busy = false
	}
}

// write makes a round durable and then visible.
func (s *diskStore) write(r *round) error {
	at, frame, err := s.append(r.frame)
	r.frame = frame
	if err != nil {
		return err
	}
	for i := range r.ops {
		op := &r.ops[i]
		if op.batch == nil {
			op.group.forget(op.prune, s.use)
			continue
		}
		first := wal.Place{Segment: at.Segment, Offset: at.Offset + uint32(op.relative)}
		op.group.apply(op.next, op.batch.Entries, first, s.use)
	}
	return nil
}
