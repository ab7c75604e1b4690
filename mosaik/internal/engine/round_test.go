package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
)

// asked is a leader that answers when the test says so.
type asked struct{ begins, answer chan error }

func newAsked() (asked, *reads) {
	a := asked{make(chan error), make(chan error)}
	return a, &reads{ask: func() error {
		a.begins <- nil
		return <-a.answer
	}}
}

func mustJoin(t *testing.T, s *reads) *round {
	t.Helper()
	n, err := s.join()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A round that began before a call must not answer it.
func TestReadsJoinTheNextRound(t *testing.T) {
	t.Parallel()
	leader, s := newAsked()
	first := mustJoin(t, s)
	<-leader.begins
	second := mustJoin(t, s)
	if second == first {
		t.Fatal("a call joined a round that had begun before it")
	}
	if third := mustJoin(t, s); third != second {
		t.Error("two calls during a round do not share the next one")
	}
	leader.answer <- nil
	<-first.done
	<-leader.begins
	select {
	case <-second.done:
		t.Error("the second round ended with the first")
	default:
	}
	leader.answer <- nil
	<-second.done
	if first.err != nil || second.err != nil {
		t.Errorf("the rounds ended with %v and %v", first.err, second.err)
	}
	s.running.Wait() // no call waits for a round, so the goroutine ends
	again := mustJoin(t, s)
	<-leader.begins
	leader.answer <- nil
	<-again.done
	s.close()
}

func TestFailedRoundFailsTheNext(t *testing.T) {
	t.Parallel()
	leader, s := newAsked()
	first := mustJoin(t, s)
	<-leader.begins
	second := mustJoin(t, s)
	leader.answer <- ErrUnanswered
	<-first.done
	<-second.done
	if first.err != ErrUnanswered || second.err != ErrUnanswered {
		t.Errorf("the rounds ended with %v and %v, want %v", first.err, second.err, ErrUnanswered)
	}
	s.close()
}

func TestClosedReadsWaitForTheRound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		leader, s := newAsked()
		joined := mustJoin(t, s)
		<-leader.begins
		var closing sync.WaitGroup
		closed := false
		closing.Go(func() {
			s.close()
			closed = true
		})
		synctest.Wait()
		if closed {
			t.Error("close did not wait for the round")
		}
		if _, err := s.join(); !errors.Is(err, ErrClosed) {
			t.Errorf("a call on closed reads: %v, want %v", err, ErrClosed)
		}
		leader.answer <- ErrClosed
		closing.Wait()
		if joined.err != ErrClosed {
			t.Errorf("the round ended with %v", joined.err)
		}
	})
}

func TestReadWithoutALeaderEndsInTime(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	r := cluster(t, 1)[0].start(1, rec, true, func(c *ReplicaConfig) {
		c.ElectionTimeout = time.Hour
		c.ReadTimeout = 20 * time.Millisecond
	})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			if err := r.ReadIndex(enginetest.Within(t)); !errors.Is(err, ErrUnanswered) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("read without a leader: %v; want ErrUnanswered", err)
			}
		})
	}
	readers.Wait()
	elect(t, r, rec)
	for errors.Is(r.ReadIndex(enginetest.Within(t)), ErrUnanswered) {
	}
}

// A joiner drops the answers that come before it has applied its membership.
func TestChangeEndsATry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReplica(&Engine{tick: tick, logs: raftlog.NewRouter(int(workers.ExecShards))}, ReplicaConfig{Shard: 1, Replica: 1})
		if _, err := r.engine.logs.Register(1, 1, enginetest.MemoryLog(t), nil, r.fail); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		go func() {
			synctest.Wait()
			r.changes.signal()
		}()
		var tries []time.Duration
		_, err := attempt(t.Context(), r, 0, func(ctx context.Context) (struct{}, error) {
			tries = append(tries, time.Since(started))
			if len(tries) < 3 { // the second one is lost without a change
				<-ctx.Done()
				return struct{}{}, errLost
			}
			return struct{}{}, nil
		})
		if diff := cmp.Diff([]time.Duration{0, 0, firstTry}, tries); err != nil || diff != "" {
			t.Errorf("error %v, tries began after (-want +got):\n%s", err, diff)
		}
	})
}

// TestReadTimes has rounds that are not answered, and answers.
func TestReadTimes(t *testing.T) {
	t.Parallel()
	p := newReadTimes(time.Second)
	check := func(what string, round, try time.Duration) {
		t.Helper()
		if p.round != round || p.try != try {
			t.Errorf("%s a round may take %v and its first try %v, want %v and %v", what, p.round, p.try, round, try)
		}
	}
	check("at first", time.Second, 0)
	p.unanswered()
	check("after no answer", 2*time.Second, time.Second)
	for range 5 {
		p.unanswered()
	}
	check("after many", 4*time.Second, 2*time.Second)
	p.answered(1500 * time.Millisecond)
	check("after a late answer", 4*time.Second, 3*time.Second)
	p.answered(400 * time.Millisecond)
	check("after an answer", 1600*time.Millisecond, 800*time.Millisecond)
	p.answered(time.Millisecond)
	check("after a fast one", time.Second, 2*time.Millisecond)
}
