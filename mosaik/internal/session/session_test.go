package session

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

func TestEntryWithUnknownOutcomeIsSentAgainUnchanged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, _ *Config) {
			// Lost; later without a leader; applied but not answered; a duplicate.
			l.propose = l.script(answer(errTimeout), answer(errBusy), silent)
		})
		defer l.Close(nil)
		a := l.submit(t, "a")
		synctest.Wait()
		b := l.submit(t, "b")
		first, _ := values(t, a)
		second, _ := values(t, b)
		if first != 1 || second != 2 {
			t.Errorf("indices %d and %d, want 1 and 2", first, second)
		}
		if diff := cmp.Diff([][]string{{"a"}, {"a"}, {"a"}, {"a"}, {"b"}}, l.entries()); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		attempts := l.attempts()
		for _, s := range attempts[1:4] {
			if s.data != attempts[0].data {
				t.Error("a repeated entry has other bytes")
			}
		}
		if attempts[4].sequence != attempts[0].sequence+1 {
			t.Errorf("sequence %d after %d", attempts[4].sequence, attempts[0].sequence)
		}
		if diff := cmp.Diff([]string{"a", "b"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

func TestOutcomeOfAnEarlierAttemptEndsALaterOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var first []byte
		l := newLocal(func(l *local, _ *Config) {
			l.propose = l.script(
				func(_ context.Context, data []byte) error { first = bytes.Clone(data); return errTimeout },
				silent,
			)
		})
		defer l.Close(nil)
		c := l.submit(t, "a")
		time.Sleep(DefaultRetry + time.Millisecond) // bubble time: the second attempt is in flight
		synctest.Wait()
		started := time.Now()
		_ = l.apply(first)
		if first, _ := values(t, c); first != 1 {
			t.Errorf("index %d, want 1", first)
		}
		if took := time.Since(started); took != 0 {
			t.Errorf("the outcome waited for %v", took)
		}
		values(t, l.submit(t, "b"))
	})
}

func TestEntryThatWasNotAcceptedIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, _ *Config) { l.propose = l.script(answer(errBusy)) })
		defer l.Close(nil)
		a := l.submit(t, "a")
		synctest.Wait()
		b := l.submit(t, "b")
		values(t, a)
		values(t, b)
		if diff := cmp.Diff([][]string{{"a"}, {"a", "b"}}, l.entries()); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		if s := l.attempts(); s[0].sequence != s[1].sequence {
			t.Errorf("sequences %d and %d, want one used twice", s[0].sequence, s[1].sequence)
		}
	})
}

func TestSessionIsOpenedBeforeTheFirstCommands(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var opened []format.SessionID
		l := newLocal(func(l *local, _ *Config) {
			answers := []error{errBusy, errTimeout}
			l.session = func(_ context.Context, data []byte) error {
				e, _ := format.Parse(data)
				opened = append(opened, e.Session)
				if len(answers) > 0 {
					err := answers[0]
					answers = answers[1:]
					return err
				}
				return l.apply(data)
			}
		})
		defer l.Close(nil)
		synctest.Wait()
		if len(opened) != 0 {
			t.Error("a session was opened without need")
		}
		values(t, l.submit(t, "a"))
		values(t, l.submit(t, "b"))
		if len(opened) != 3 || opened[0] != opened[1] || opened[1] == opened[2] {
			t.Errorf("sessions %x were opened, want one, again the same, then another", opened)
		}
		for i, s := range l.attempts() {
			if s.session != opened[2] || s.sequence != uint64(i+1) {
				t.Errorf("entry %d has session %x and sequence %d", i, s.session, s.sequence)
			}
		}
	})
}

// evict makes the state drop all sessions that are not used meanwhile.
func (l *local) evict(round byte) {
	for i := range state.MaxSessions {
		id := format.SessionID{0xee, byte(i), byte(i >> 8), round}
		_ = l.apply(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindSession, Session: id}}))
	}
}

func TestDroppedSessionIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		defer l.Close(nil)
		values(t, l.submit(t, "a"))
		l.evict(1)
		// It was sent once and rejected once, so the call succeeds.
		if first, _ := values(t, l.submit(t, "b")); first != 2 {
			t.Errorf("index %d, want 2", first)
		}
		// An earlier copy may have been applied.
		l.evict(2)
		l.then(l.script(answer(errTimeout)))
		fails(t, l.submit(t, "c"), state.ErrUnknownSession, ErrUnknownOutcome)
		values(t, l.submit(t, "d"))
		if diff := cmp.Diff([]string{"a", "b", "d"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

func TestGapReplacesTheSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		defer l.Close(nil)
		values(t, l.submit(t, "a"))
		gap := func(_ context.Context, data []byte) error {
			e, _ := format.Parse(data)
			l.Deliver(state.Delivery{Session: e.Session, Sequence: e.Sequence, Err: state.ErrGap})
			return nil
		}
		// It was sent once and rejected once, so the call succeeds.
		l.then(l.script(gap))
		values(t, l.submit(t, "b"))
		if s := l.attempts(); s[1].session == s[2].session || s[2].sequence != 1 {
			t.Error("the session continues after a gap")
		}
		// An earlier copy may have been applied.
		l.then(l.script(answer(errTimeout), gap))
		fails(t, l.submit(t, "c"), state.ErrGap, ErrUnknownOutcome)
		values(t, l.submit(t, "d"))
		if diff := cmp.Diff([]string{"a", "b", "d"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

func TestResultIsLostWhenASnapshotCoversIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		remote := newLocal(nil)
		defer remote.Close(nil)
		release := make(chan struct{})
		l := newLocal(func(l *local, _ *Config) {
			both := func(_ context.Context, data []byte) error { _ = remote.apply(data); return l.apply(data) }
			l.session = both
			l.propose = l.script(func(ctx context.Context, data []byte) error {
				<-release
				return both(ctx, data)
			}, func(ctx context.Context, data []byte) error {
				// The group has applied it; this replica only receives the snapshot.
				_ = remote.apply(data)
				var b bytes.Buffer
				if err := errors.Join(remote.state.Snapshot(&b), l.state.Restore(&b)); err != nil {
					t.Error(err)
				}
				return silent(ctx, data)
			})
		})
		defer l.Close(nil)
		started := time.Now()
		l.submit(t, "a")
		synctest.Wait()
		calls := []*Call{l.submit(t, "b", "c"), l.submit(t, "d")}
		close(release)
		for i, want := range []sm.Index{2, 4} {
			first, results, err := calls[i].Wait(t.Context())
			if first != want || results != nil || !errors.Is(err, state.ErrResultLost) ||
				errors.Is(err, ErrNotApplied) || errors.Is(err, ErrUnknownOutcome) {
				t.Errorf("call %d ends with index %d and %v, want %d and %v", i, first, err, want, state.ErrResultLost)
			}
		}
		if took := time.Since(started); took != 0 {
			t.Errorf("the calls waited for %v", took)
		}
		if first, _ := values(t, l.submit(t, "e")); first != 5 {
			t.Errorf("index %d, want 5", first)
		}
		if diff := cmp.Diff([]string{"a", "b", "c", "d", "e"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

func TestOnlyMatchingOutcomesCount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		defer l.Close(nil)
		values(t, l.submit(t, "a"))
		strange := []state.Delivery{
			{Session: format.SessionID{1}, Sequence: 2},
			{Session: format.SessionID{1}, Sequence: 9, Restored: true},
			{Sequence: 1},
			{Sequence: 1, Restored: true},
			{Sequence: 3},
		}
		deliver := func(d state.Delivery, data []byte) {
			e, _ := format.Parse(data)
			if d.Session == (format.SessionID{}) {
				d.Session = e.Session
			}
			d.Err = state.ErrResultLost
			l.Deliver(d)
		}
		l.then(l.script(func(_ context.Context, data []byte) error {
			for _, d := range strange {
				deliver(d, data)
			}
			return l.apply(data)
		}))
		if first, _ := values(t, l.submit(t, "b")); first != 2 {
			t.Errorf("index %d, want 2", first)
		}
		l.Deliver(strange[0]) // nothing is in flight

		// A snapshot with a later number covers the entry as well, without its outcome.
		l.then(l.script(func(ctx context.Context, data []byte) error {
			deliver(state.Delivery{Sequence: 7, First: 5, Restored: true}, data)
			return silent(ctx, data)
		}))
		fails(t, l.submit(t, "c"), errCoveredBySnapshot, ErrUnknownOutcome)
		l.then(nil)
		values(t, l.submit(t, "d")) // in a new session, because the local replica has no such snapshot
		if s := l.attempts(); s[len(s)-2].sequence != 8 {
			t.Errorf("sequence %d after a snapshot at 7", s[len(s)-2].sequence)
		}
	})
}

func TestErrorsNameTheOutcome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		defer l.Close(nil)
		for _, test := range []struct{ err, also error }{
			{state.ErrForming, ErrNotApplied},
			{state.ErrSealed, ErrNotApplied},
			{state.ErrResultLost, state.ErrResultLost},
			{&consensus.PoisonedError{Value: errTimeout}, ErrUnknownOutcome},
		} {
			l.then(func(_ context.Context, data []byte) error {
				e, _ := format.Parse(data)
				l.Deliver(state.Delivery{Session: e.Session, Sequence: e.Sequence, Err: test.err})
				return nil
			})
			fails(t, l.submit(t, "a"), test.err, test.also)
		}
		var sequences []uint64
		for _, s := range l.attempts() {
			sequences = append(sequences, s.sequence)
		}
		if diff := cmp.Diff([]uint64{1, 2, 3, 4}, sequences); diff != "" {
			t.Errorf("sequences (-want +got):\n%s", diff)
		}
		// The transport reports it applied, and the state delivers no outcome.
		l.then(l.script(answer(nil)))
		fails(t, l.submit(t, "b"), ErrUnknownOutcome)
		values(t, l.submit(t, "c"))
	})
}

func TestPoisonReachesTheCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		defer l.Close(nil)
		for range 2 {
			_, _, err := l.submit(t, "panic").Wait(t.Context())
			var p *consensus.PoisonedError
			if !errors.As(err, &p) || p.Index != 1 {
				t.Errorf("the call ends with %v, want the panic", err)
			}
		}
	})
}
