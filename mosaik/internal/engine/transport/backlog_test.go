package transport

import (
	"math/rand/v2"
	"testing"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
)

// content holds the bytes of all commands in these tests.
var content [maxBacklog]byte

// replicate returns an append of entries [lo, hi) of size bytes each, all of one term.
func replicate(term, lo, hi uint64, size int) pb.Message {
	m := pb.Message{Type: pb.Replicate, ShardID: enginetest.Shard, From: 1, To: 2, Term: term, LogIndex: lo - 1, LogTerm: term}
	for i := lo; i < hi; i++ {
		m.Entries = append(m.Entries, pb.Entry{Index: i, Term: term, Cmd: content[:size]})
	}
	return m
}

// sorter is a backlog with a clock and a stream.
type sorter struct {
	t *testing.T
	backlog
	at position
}

func newSorter(t *testing.T) *sorter {
	s := &sorter{t: t, at: position{now: time.Unix(1, 0), ackTimeout: time.Second}}
	s.replicas = map[replicaKey]*progress{}
	return s
}

// put sorts one message and checks which entries [lo, hi) of it are sent now, none if
// they are equal.
func (s *sorter) put(what string, m pb.Message, room int64, lo, hi uint64) {
	s.t.Helper()
	direct, lost, _ := s.enqueue([]pb.Message{m}, room, s.at)
	if len(lost) > 0 {
		s.t.Errorf("%s: reported as lost", what)
	}
	if lo == hi {
		if len(direct) > 0 {
			s.t.Errorf("%s: sent behind %d, want nothing sent", what, direct[0].LogIndex)
		}
		return
	}
	if len(direct) != 1 || direct[0].LogIndex != lo-1 || direct[0].LogIndex+uint64(len(direct[0].Entries)) != hi-1 {
		s.t.Errorf("%s: sent %v, want entries [%d, %d)", what, direct, lo, hi)
	}
}

func TestEntriesAreSentOnce(t *testing.T) {
	t.Parallel()
	s := newSorter(t)
	const room = 1 << 20
	s.put("the first", replicate(1, 1, 11, 10), room, 1, 11)
	s.put("the same", replicate(1, 1, 11, 10), room, 0, 0)
	s.put("a part", replicate(1, 3, 5, 10), room, 0, 0)
	s.put("an overlap", replicate(1, 6, 16, 10), room, 11, 16)
	s.put("what follows", replicate(1, 16, 18, 10), room, 16, 18)
	s.noteWritten([]pb.Message{replicate(1, 16, 18, 10)}, 1000)
	s.at.acked = 999
	s.put("what is in flight", replicate(1, 1, 18, 10), room, 0, 0)
	s.at.acked = 1000
	s.put("what has arrived", replicate(1, 1, 18, 10), room, 0, 0)
	s.at.now = s.at.now.Add(s.at.ackTimeout - 1)
	s.put("what arrived lately", replicate(1, 1, 18, 10), room, 0, 0)
	s.at.now = s.at.now.Add(1)
	s.put("what arrived long ago", replicate(1, 1, 18, 10), room, 1, 18)
	s.put("what was sent again", replicate(1, 1, 18, 10), room, 0, 0)
	s.forget(replicaKey{enginetest.Shard, 2})
	s.put("what the replica lacks", replicate(1, 1, 18, 10), room, 1, 18)
	s.put("another term", replicate(2, 17, 19, 10), room, 17, 19)
	if direct, _, _ := s.enqueue([]pb.Message{replicate(2, 30, 30, 10)}, room, s.at); len(direct) != 1 {
		t.Error("a message without entries is not sent")
	}
}

func TestFullBacklog(t *testing.T) {
	t.Parallel()
	s := newSorter(t)
	const size = maxBacklog / 4
	for i := range uint64(4) {
		s.put("what waits", replicate(1, 1+i, 2+i, size), 0, 0, 0)
	}
	if direct, lost, _ := s.enqueue([]pb.Message{replicate(1, 5, 6, size)}, 0, s.at); len(direct) > 0 || len(lost) != 1 {
		t.Errorf("sent %d and lost %d messages when the backlog is full, want one lost", len(direct), len(lost))
	}
	s.put("behind the gap", replicate(1, 6, 7, 1), 0, 0, 0)
	s.put("behind the gap, without entries", replicate(1, 7, 7, 1), 0, 0, 0)
	if _, lost, _ := s.enqueue([]pb.Message{replicate(1, 3, 6, size)}, 0, s.at); len(lost) > 0 {
		t.Error("a gap was reported twice")
	}
	heartbeat := pb.Message{Type: pb.Heartbeat, ShardID: enginetest.Shard, From: 1, To: 2, Term: 1}
	if direct, _, _ := s.enqueue([]pb.Message{heartbeat}, 0, s.at); len(direct) != 1 {
		t.Error("a heartbeat waits")
	}
	if messages, more := s.dequeue(1); !more || len(messages) != 1 {
		t.Fatalf("took %d messages", len(messages))
	}
	s.put("the gap", replicate(1, 3, 6, size), 0, 0, 0)
	want := uint64(2)
	for messages, more := s.dequeue(1); more; messages, more = s.dequeue(1) {
		for _, m := range messages {
			if m.LogIndex != want-1 || len(m.Entries) != 1 {
				t.Fatalf("took entries behind %d, want entry %d", m.LogIndex, want)
			}
			want++
		}
	}
	if want != 6 || s.size != 0 || s.draining {
		t.Errorf("took entries until %d, %d bytes are left, busy: %v; want all until 6", want, s.size, s.draining)
	}
}

// TestBacklogKeepsTheLogWhole sends a log as dragonboat does, with repetitions, gaps and
// little room. Each message that leaves continues the one before, unless the
// replica was forgotten.
func TestBacklogKeepsTheLogWhole(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := newSorter(t)
		sent := uint64(1) // the next entry that has not left
		leave := func(messages []pb.Message) {
			for _, m := range messages {
				if next := m.LogIndex + 1; next > sent && len(m.Entries) > 0 {
					t.Fatalf("seed %d: entry %d leaves before %d", seed, next, sent)
				} else if next < sent && len(m.Entries) > 0 {
					t.Fatalf("seed %d: entry %d leaves again", seed, next)
				}
				sent += uint64(len(m.Entries))
			}
		}
		next := uint64(1) // as the leader believes
		for range 200 {
			n := r.Uint64N(20)
			direct, lost, _ := s.enqueue([]pb.Message{replicate(1, next, next+n, 64<<10)}, int64(r.IntN(2<<20)), s.at)
			leave(direct)
			next += n
			if len(lost) > 0 || r.IntN(5) == 0 {
				next = 1 + r.Uint64N(sent) // it begins again behind what was acknowledged
			}
			if r.IntN(3) == 0 {
				messages, _ := s.dequeue(1 << r.IntN(22))
				leave(messages)
			}
		}
		for messages, more := s.dequeue(1 << 20); more; messages, more = s.dequeue(1 << 20) {
			leave(messages)
		}
	}
}
