package logstore

import (
	"github.com/mosaik-go/mosaik/logstore/internal/wal"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// maxRound is the length of a round above which further batches wait for the next
	// one, and the highest size of a buffer that is kept, in bytes.
	maxRound = 4 << 20
	// maxBatch is the highest length of a batch, in bytes.
	maxBatch = 512 << 20
)

// round is a frame that is written and synced at once. Saves during the write of a round
// join the next one. The first of them is its leader, which waits for its turn and writes
// for all. So only goroutines of callers write, and a single caller never waits.
type round struct {
	frame []byte
	ops   []diskOp
	led   bool          // it has a leader
	done  chan struct{} // closed after the write, nil if no goroutine waits
	err   error         // valid after the write
}

// diskOp is an effect of a round once it is on disk: of a saved batch, or of a prune.
type diskOp struct {
	group    *diskGroup
	next     change
	batch    *Batch   // nil for a prune
	relative int      // the offset of the first entry in the payload
	prune    sm.Index // the last index to remove
}

// commit writes r, which encodes op, in a round with what others save. It returns when
// the round is on disk.
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

// later writes r, which encodes op, with the next round. It waits only if that is long.
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

// enter adds op to the next round. The caller holds s.mu, which enter may release and
// take again.
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

// await releases s.mu and waits until r is written.
func (s *diskStore) await(r *round) {
	if r.done == nil {
		r.done = make(chan struct{})
	}
	s.mu.Unlock()
	<-r.done
}

// run writes a round. The caller has set busy, or got it from turn.
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

// write makes a round durable, and then visible.
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
