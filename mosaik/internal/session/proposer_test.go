package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

func TestIdleProposerSendsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		defer l.Close(nil)
		started := time.Now()
		for i := range 3 {
			first, got := values(t, l.submit(t, "a", "b"))
			if first != sm.Index(2*i+1) || !slices.Equal(got, []string{"a", "b"}) {
				t.Errorf("call %d: index %d, results %q", i, first, got)
			}
		}
		if took := time.Since(started); took != 0 {
			t.Errorf("three calls waited for %v", took)
		}
	})
}

func TestCallsGatherWhileAnEntryIsOnItsWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLocal(func(l *local, _ *Config) {
			l.propose = l.script(func(_ context.Context, data []byte) error { <-release; return l.apply(data) })
		})
		defer l.Close(nil)
		calls := []*Call{l.submit(t, "a")}
		synctest.Wait()
		calls = append(calls, l.submit(t, "b", "c"))
		traced, err := l.Submit(t.Context(), encode([]string{"d"}), format.Span{Flags: 7})
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, traced, l.submit(t, "e", "f"))
		close(release)
		for i, want := range []sm.Index{1, 2, 4, 5} {
			if first, _ := values(t, calls[i]); first != want {
				t.Errorf("call %d has index %d, want %d", i, first, want)
			}
		}
		if diff := cmp.Diff([][]string{{"a"}, {"b", "c", "d", "e", "f"}}, l.entries()); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		e, err := format.Parse([]byte(l.attempts()[1].data))
		if err != nil {
			t.Fatal(err)
		}
		want := []format.Trace{{Offset: 2, Span: format.Span{Flags: 7}}}
		if diff := cmp.Diff(want, slices.Collect(e.Traces.All())); diff != "" {
			t.Errorf("traces (-want +got):\n%s", diff)
		}
	})
}

func TestEntriesKeepTheirLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		const maxEntry = 1000
		l := newLocal(func(l *local, cfg *Config) {
			cfg.MaxEntry, cfg.MaxCommands = maxEntry, 4
			l.propose = l.script(func(_ context.Context, data []byte) error { <-release; return l.apply(data) })
		})
		defer l.Close(nil)
		room := maxEntry - format.MaxOverhead - format.MaxTrace
		half := strings.Repeat("x", room/2+format.MaxTrace)
		full := strings.Repeat("y", room-format.CommandSize(room)+room)
		if _, err := l.Submit(t.Context(), encode([]string{full + "y"}), format.Span{Flags: 1}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("too large a call: %v", err)
		}
		if _, err := l.Submit(t.Context(), nil, format.Span{}); !errors.Is(err, ErrEmpty) {
			t.Errorf("empty call: %v", err)
		}
		l.submit(t, "first")
		synctest.Wait()
		var last *Call
		for _, cmds := range [][]string{
			{half}, {half}, {"1"}, {"2", "3"}, {"4", "5"}, {"1", "2", "3", "4", "5"}, {"z"},
		} {
			last = l.submit(t, cmds...)
		}
		if _, err := l.Submit(t.Context(), encode([]string{full}), format.Span{Flags: 1}); err != nil {
			t.Fatal(err)
		}
		last = l.submit(t, "last")
		close(release)
		values(t, last)
		want := [][]string{
			{"first"}, {half}, {half, "1", "2", "3"}, {"4", "5"}, {"1", "2", "3", "4", "5"}, {"z"}, {full}, {"last"},
		}
		if diff := cmp.Diff(want, l.entries()); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		for _, s := range l.attempts() {
			if len(s.data) > maxEntry {
				t.Errorf("an entry of %d bytes, at most %d are allowed", len(s.data), maxEntry)
			}
		}
	})
}

func TestUnknownFateIsSentAgainUnchanged(t *testing.T) {
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
		time.Sleep(DefaultRetry + time.Millisecond) // bubble time: the second attempt is under way
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

func TestOutcomeEndsTheRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var first []byte
		l := newLocal(func(l *local, cfg *Config) {
			cfg.Retry, cfg.MaxRetry = time.Hour, time.Hour
			l.propose = l.script(
				func(_ context.Context, data []byte) error { first = bytes.Clone(data); return errTimeout },
			)
		})
		defer l.Close(nil)
		c := l.submit(t, "a")
		synctest.Wait()
		started := time.Now()
		_ = l.apply(first)
		values(t, c)
		if took := time.Since(started); took != 0 {
			t.Errorf("the outcome waited for %v", took)
		}
		if n := len(l.attempts()); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
	})
}

func TestLeaderChangeEndsTheRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		changed := make(chan struct{})
		l := newLocal(func(l *local, cfg *Config) {
			cfg.Retry, cfg.MaxRetry = time.Hour, time.Hour
			cfg.Leader = func() <-chan struct{} { return changed }
			l.propose = l.script(answer(errBusy))
		})
		defer l.Close(nil)
		c := l.submit(t, "a")
		synctest.Wait()
		started := time.Now()
		close(changed)
		values(t, c)
		if took := time.Since(started); took != 0 {
			t.Errorf("the next attempt waited for %v", took)
		}
	})
}

func TestPausesGrowToTheirBound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, cfg *Config) {
			cfg.Retry, cfg.MaxRetry = 10*time.Millisecond, 35*time.Millisecond
			busy := answer(errBusy)
			l.propose = l.script(busy, busy, busy, busy, l.applyEntry, busy)
		})
		defer l.Close(nil)
		values(t, l.submit(t, "a"))
		values(t, l.submit(t, "b"))
		var pauses []time.Duration
		attempts := l.attempts()
		for i := range attempts[1:] {
			pauses = append(pauses, attempts[i+1].at.Sub(attempts[i].at)/time.Millisecond)
		}
		if diff := cmp.Diff([]time.Duration{10, 20, 35, 35, 0, 10}, pauses); diff != "" {
			t.Errorf("pauses in ms (-want +got):\n%s", diff)
		}
	})
}

func TestAttemptIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, cfg *Config) {
			cfg.Attempt = 3 * time.Second
			l.propose = l.script(silent)
		})
		defer l.Close(nil)
		started := time.Now()
		values(t, l.submit(t, "a"))
		if took := time.Since(started); took != 3*time.Second+DefaultRetry {
			t.Errorf("the call took %v, want one attempt and one pause", took)
		}
	})
}

func TestEntryThatWasNotAcceptedIsMadeAnew(t *testing.T) {
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

func TestRefusedEntryFailsAndTheNextGoes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, _ *Config) { l.propose = l.script(answer(errRefused)) })
		defer l.Close(nil)
		fails(t, l.submit(t, "a"), errRefused, ErrNotApplied)
		if first, _ := values(t, l.submit(t, "b")); first != 1 {
			t.Errorf("index %d, want 1", first)
		}
	})
}

func TestQueuedCallIsTakenBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLocal(func(l *local, _ *Config) {
			l.propose = l.script(func(_ context.Context, data []byte) error { <-release; return l.apply(data) })
		})
		defer l.Close(nil)
		a := l.submit(t, "a")
		synctest.Wait()
		b, c := l.submit(t, "b"), l.submit(t, "c")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := b.Wait(ctx)
		if !errors.Is(err, ErrNotApplied) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("the queued call ends with %v", err)
		}
		fails(t, b, ErrNotApplied) // and stays so
		close(release)
		values(t, a)
		values(t, c)
		if diff := cmp.Diff([]string{"a", "c"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

func TestGivenUpEntryIsStillBroughtToItsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, _ *Config) { l.propose = l.script(silent, silent, silent) })
		defer l.Close(nil)
		a := l.submit(t, "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := a.Wait(ctx)
		if !errors.Is(err, ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNotApplied) {
			t.Errorf("the call that was sent ends with %v", err)
		}
		first, _ := values(t, l.submit(t, "b"))
		if first != 2 {
			t.Errorf("the next call has index %d, want 2", first)
		}
		if first, _, err := a.Wait(ctx); first != 1 || err != nil {
			t.Errorf("a later Wait finds index %d and %v, want 1", first, err)
		}
		if diff := cmp.Diff([][]string{{"a"}, {"a"}, {"a"}, {"a"}, {"b"}}, l.entries()); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	})
}

func TestGivenUpCallThatComesBackIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLocal(func(l *local, _ *Config) {
			l.propose = l.script(func(context.Context, []byte) error { <-release; return errBusy })
		})
		defer l.Close(nil)
		a := l.submit(t, "a")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := a.Wait(ctx); !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("the call ends with %v", err)
		}
		b := l.submit(t, "b")
		close(release)
		values(t, b)
		fails(t, a, ErrNotApplied, context.Canceled)
		if diff := cmp.Diff([]string{"b"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

func TestFullQueueBlocksInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLocal(func(l *local, cfg *Config) {
			cfg.MaxQueue, cfg.MaxCommands = 3, 2
			l.propose = l.script(func(_ context.Context, data []byte) error { <-release; return l.apply(data) })
		})
		defer l.Close(nil)
		l.submit(t, "on its way")
		synctest.Wait()
		l.submit(t, "1", "2") // the queue has room for one command
		done := make(chan *Call)
		entered := make([]bool, 4)
		for i, cmds := range [][]string{{"3", "4", "5"}, {"given up"}, {"6"}} {
			go func() {
				ctx, cancel := t.Context(), func() {}
				if i == 1 {
					ctx, cancel = context.WithTimeout(ctx, time.Second)
				}
				defer cancel()
				c, err := l.Submit(ctx, encode(cmds), format.Span{})
				if i == 1 && (!errors.Is(err, ErrNotApplied) || !errors.Is(err, context.DeadlineExceeded)) {
					t.Errorf("submit to a full queue: %v", err)
				} else if i != 1 && err != nil {
					t.Error(err)
				}
				entered[i] = true
				done <- c
			}()
			synctest.Wait()
			if entered[i] {
				t.Fatalf("call %d entered a queue without room for it or for one before it", i)
			}
		}
		if c := <-done; c != nil { // after a second
			t.Error("the call that was given up was taken")
		}
		close(release)
		values(t, <-done)
		values(t, <-done)
		want := [][]string{{"on its way"}, {"1", "2"}, {"3", "4", "5"}, {"6"}}
		if diff := cmp.Diff(want, l.entries()); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	})
}

func TestStalledGroupFailsItsCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		errStalled := errors.New("no quorum")
		var isStalled atomic.Bool
		l := newLocal(func(l *local, cfg *Config) {
			cfg.Stalled = func() error {
				if isStalled.Load() {
					return errStalled
				}
				return nil
			}
			cfg.MaxQueue = 1
			l.propose = answer(errBusy)
		})
		defer l.Close(nil)
		a := l.submit(t, "a")
		waiting := make(chan *Call)
		synctest.Wait() // a is back in the queue
		go func() { waiting <- l.submit(t, "waits for room") }()
		synctest.Wait()
		isStalled.Store(true)
		fails(t, a, errStalled, ErrNotApplied)
		fails(t, <-waiting, errStalled, ErrNotApplied)
		fails(t, l.submit(t, "b"), errStalled, ErrNotApplied)

		// An entry of unknown fate fails as such, and is brought to its end.
		l.then(answer(errTimeout))
		fails(t, l.submit(t, "c"), errStalled, ErrUnknownOutcome)
		fails(t, l.submit(t, "d"), errStalled, ErrNotApplied)
		isStalled.Store(false)
		l.then(nil)
		if first, _ := values(t, l.submit(t, "e")); first != 2 {
			t.Errorf("index %d, want 2", first)
		}
		if diff := cmp.Diff([]string{"c", "e"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
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

// evict makes the state forget all sessions that are not used meanwhile.
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
		// Sent once, refused once: nobody notices.
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
		l.then(l.script(func(_ context.Context, data []byte) error {
			e, _ := format.Parse(data)
			l.Deliver(state.Delivery{Session: e.Session, Sequence: e.Sequence, Err: state.ErrGap})
			return nil
		}))
		fails(t, l.submit(t, "b"), state.ErrGap, ErrUnknownOutcome)
		values(t, l.submit(t, "c"))
		if s := l.attempts(); s[1].session == s[2].session || s[2].sequence != 1 {
			t.Error("the session goes on after a gap")
		}
	})
}

func TestResultIsLostWhenASnapshotPassesIt(t *testing.T) {
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
				// The group has it, this replica only gets the snapshot.
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

func TestOnlyMeantOutcomesCount(t *testing.T) {
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
		l.Deliver(strange[0]) // nothing is on its way

		// A snapshot that is further than the entry covers it too.
		l.then(l.script(func(ctx context.Context, data []byte) error {
			deliver(state.Delivery{Sequence: 7, First: 5, Restored: true}, data)
			return silent(ctx, data)
		}))
		c := l.submit(t, "c")
		fails(t, c, state.ErrResultLost)
		if first, _, _ := c.Wait(t.Context()); first != 0 {
			t.Errorf("index %d, want 0: it is that of another entry", first)
		}
		l.then(answer(errRefused))
		fails(t, l.submit(t, "d"), errRefused)
		if s := l.attempts(); s[len(s)-1].sequence != 8 {
			t.Errorf("sequence %d behind a snapshot at 7", s[len(s)-1].sequence)
		}
	})
}

func TestRefusalsSayWhatIsKnown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		defer l.Close(nil)
		for _, test := range []struct{ err, also error }{
			{state.ErrForming, ErrNotApplied},
			{state.ErrSealed, ErrNotApplied},
			{state.ErrResultLost, state.ErrResultLost},
			{&state.PoisonedError{Value: errTimeout}, ErrUnknownOutcome},
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
		// Applied, says the transport, and the state says nothing.
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
			var p *state.PoisonedError
			if !errors.As(err, &p) || p.Index != 1 {
				t.Errorf("the call ends with %v, want the poison", err)
			}
		}
	})
}

func TestCloseFailsEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		cause := errors.New("superseded")
		l := newLocal(func(l *local, cfg *Config) {
			cfg.MaxQueue = 1
			l.propose = silent
		})
		a := l.submit(t, "a")
		synctest.Wait()
		b := l.submit(t, "b")
		waiting := make(chan *Call)
		go func() { waiting <- l.submit(t, "waits for room") }()
		synctest.Wait()
		l.Close(cause)
		l.Close(nil)
		fails(t, a, cause, ErrUnknownOutcome)
		fails(t, b, cause, ErrNotApplied)
		fails(t, <-waiting, cause, ErrNotApplied)
		if _, err := l.Submit(t.Context(), encode([]string{"late"}), format.Span{}); !errors.Is(err, cause) || !errors.Is(err, ErrNotApplied) {
			t.Errorf("submit after close: %v", err)
		}
		if n := len(l.attempts()); n != 1 {
			t.Errorf("%d attempts, want 1", n)
		}
	})
}

func TestCloseWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var ended atomic.Bool
		l := newLocal(func(l *local, _ *Config) {
			l.propose = func(ctx context.Context, _ []byte) error {
				<-ctx.Done()
				time.Sleep(time.Second) // bubble time
				ended.Store(true)
				return ctx.Err()
			}
		})
		l.submit(t, "a")
		synctest.Wait()
		l.Close(nil)
		if !ended.Load() {
			t.Error("an attempt goes on behind Close")
		}
	})
}

func TestCloseOfAnIdleProposer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		l.Close(nil)
		l.Close(nil)
		if _, err := l.Submit(t.Context(), encode([]string{"late"}), format.Span{}); !errors.Is(err, ErrClosed) {
			t.Errorf("submit after close: %v", err)
		}
	})
}

func TestOutcomeBeforeCloseIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(func(l *local, _ *Config) {
			l.propose = func(ctx context.Context, data []byte) error { _ = l.apply(data); return silent(ctx, data) }
		})
		a := l.submit(t, "a")
		synctest.Wait()
		l.Close(nil)
		if first, _ := values(t, a); first != 1 {
			t.Errorf("index %d, want 1", first)
		}
	})
}

func TestHeaderOfEntries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var draws uint64
		l := newLocal(func(_ *local, cfg *Config) {
			cfg.Level = 5
			cfg.Clock = func() time.Time { return time.Unix(0, 77) }
			cfg.Rand = func() uint64 { draws++; return draws }
		})
		defer l.Close(nil)
		values(t, l.submit(t, "a"))
		e, err := format.Parse([]byte(l.attempts()[0].data))
		if err != nil {
			t.Fatal(err)
		}
		want := format.Header{
			Kind: format.KindCommands, Level: 5, Session: format.SessionID{0: 1, 8: 2}, Sequence: 1, Time: 77, Seed: 4,
		}
		if diff := cmp.Diff(want, e.Header); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
	})
}

func TestManyCallersKeepTheirOrder(t *testing.T) {
	t.Parallel()
	l := newLocal(func(_ *local, cfg *Config) { cfg.MaxQueue, cfg.MaxCommands = 8, 16 })
	defer l.Close(nil)
	const callers, calls = 16, 100
	done := make(chan struct{})
	for caller := range callers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range calls {
				first, got := values(t, l.submit(t, fmt.Sprintf("%d/%d", caller, i), "x"))
				if first == 0 || len(got) != 2 {
					t.Errorf("index %d, results %q", first, got)
				}
			}
		}()
	}
	for range callers {
		<-done
	}
	next := make(map[string]int)
	for i, line := range l.machine.Lines {
		if i%2 == 1 {
			if line != "x" {
				t.Fatalf("a call was torn apart by %q", line)
			}
			continue
		}
		caller, n, _ := strings.Cut(line, "/")
		if n != fmt.Sprint(next[caller]) {
			t.Fatalf("command %s of caller %s, want %d", n, caller, next[caller])
		}
		next[caller]++
	}
	if len(l.machine.Lines) != 2*callers*calls {
		t.Errorf("%d commands applied, want %d", len(l.machine.Lines), 2*callers*calls)
	}
}
