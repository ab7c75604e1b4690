package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
)

// roundTrip is the round-trip time to a distant group.
const roundTrip = 50 * time.Millisecond

// distant is a proposer with a long round-trip time. Entries arrive in the order in which they were
// sent.
type distant struct {
	*local
	trip  time.Duration // how long an entry takes
	wire  sync.Mutex
	lose  map[uint64][]error // by number, the errors of attempts whose entry does not arrive
	swap  uint64             // the entry that the next one overtakes
	pipe  []func()           // the arrivals of entries in flight
	peak  int                // the largest number of attempts in flight
	under int
}

func newDistant(edit func(*distant, *Config)) *distant {
	d := &distant{trip: roundTrip, lose: map[uint64][]error{}}
	d.local = newLocal(func(l *local, cfg *Config) {
		d.local = l
		cfg.Transport, cfg.MaxInflight = d, 0
		if edit != nil {
			edit(d, cfg)
		}
	})
	return d
}

// Start implements Transport.
func (d *distant) Start(_ context.Context, data []byte) (Attempt, error) {
	propose := d.begin(data)
	e, err := format.Parse(slices.Clone(data))
	if err != nil {
		panic(err)
	}
	data = slices.Clone(data)
	a := make(distantAttempt, 1)
	if e.Kind == format.KindSession {
		go func() {
			time.Sleep(d.trip) // bubble time
			a <- propose(context.Background(), data)
		}()
		return a, nil
	}
	d.wire.Lock()
	defer d.wire.Unlock()
	d.under++
	d.peak = max(d.peak, d.under)
	var lost error
	if fates := d.lose[e.Sequence]; len(fates) > 0 {
		lost, d.lose[e.Sequence] = fates[0], fates[1:]
	}
	d.pipe = append(d.pipe, func() {
		if lost != nil {
			a <- lost
			return
		}
		a <- propose(context.Background(), data)
	})
	if n := len(d.pipe); d.swap > 0 && d.swap+1 == e.Sequence && n > 1 {
		d.pipe[n-1], d.pipe[n-2], d.swap = d.pipe[n-2], d.pipe[n-1], 0
	}
	time.AfterFunc(d.trip, func() {
		d.wire.Lock()
		defer d.wire.Unlock()
		d.under--
		d.pipe[0]()
		d.pipe = d.pipe[1:]
	})
	return a, nil
}

// distantAttempt is an attempt that ends whether or not a goroutine waits for it.
type distantAttempt chan error

func (a distantAttempt) Wait(ctx context.Context, interrupt <-chan struct{}) (settled bool, err error) {
	select {
	case err := <-a:
		return true, err
	case <-interrupt:
		return false, nil
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

// first lets the command 0 be applied.
func (d *distant) first(t *testing.T) {
	t.Helper()
	values(t, d.submit(t, "0"))
}

// issue submits the commands 1 to n, a call every so often, and returns how long
// each took.
func (d *distant) issue(t *testing.T, n int, every time.Duration) []time.Duration {
	t.Helper()
	took := make([]time.Duration, n)
	var wg sync.WaitGroup
	for i := range n {
		issued := time.Now()
		c := d.submit(t, fmt.Sprint(i+1))
		wg.Go(func() {
			values(t, c)
			took[i] = time.Since(issued)
		})
		time.Sleep(every) // bubble time
	}
	wg.Wait()
	return took
}

// wantLines fails the test unless the commands 0 to n were applied once and in order.
func (d *distant) wantLines(t *testing.T, n int) {
	t.Helper()
	var want []string
	for i := range n + 1 {
		want = append(want, fmt.Sprint(i))
	}
	if diff := cmp.Diff(want, d.machine.Lines); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

func TestEntriesFollowEachOtherAtThePace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDistant(nil)
		defer d.Close(nil)
		d.first(t)
		took := d.issue(t, 100, 500*time.Microsecond)
		if worst := slices.Max(took); worst > roundTrip+DefaultPace {
			t.Errorf("a call took %v, want at most a round trip and a pace", worst)
		}
		if most := int(roundTrip/DefaultPace) + 1; d.peak < most/2 || d.peak > most {
			t.Errorf("%d entries were in flight at a time, want up to %d", d.peak, most)
		}
		d.wantLines(t, 100)
	})
}

// TestEntriesAreSpreadOverTheRoundTrip has a round-trip time in which more entries fit at the pace
// than may be in flight. They are spread over it.
func TestEntriesAreSpreadOverTheRoundTrip(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDistant(func(_ *distant, cfg *Config) { cfg.MaxInflight = 5 })
		defer d.Close(nil)
		d.first(t)
		took := d.issue(t, 200, 500*time.Microsecond)
		if worst := slices.Max(took); worst > roundTrip+roundTrip/5 {
			t.Errorf("a call took %v, want at most %v and a fifth of it", worst, roundTrip)
		}
	})
}

func TestOneEntryAtATimeWithAShortRoundTrip(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDistant(func(_ *distant, cfg *Config) { cfg.Pace = 2 * roundTrip })
		defer d.Close(nil)
		d.first(t)
		d.issue(t, 50, time.Millisecond)
		if d.peak != 1 {
			t.Errorf("%d entries were in flight at a time, want 1", d.peak)
		}
		d.wantLines(t, 50)
	})
}

// TestRTTIsLearned has entries take long once, repeatedly, and no longer. Only repeated delays
// allow more entries in flight, until the first quick entry.
func TestRTTIsLearned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDistant(func(d *distant, _ *Config) { d.trip = DefaultPace / 2 })
		defer d.Close(nil)
		d.first(t)
		peak := func(trip time.Duration, entries int) int {
			d.wire.Lock()
			d.trip, d.peak = trip, 0
			d.wire.Unlock()
			for range entries {
				d.issue(t, 10, trip/5)
			}
			return d.peak
		}
		if n := peak(2*DefaultPace, 1); n != 1 {
			t.Errorf("%d entries in flight at a time during a stall, want 1", n)
		}
		for what, much := range map[string][]string{
			"large":         {strings.Repeat("x", int(2*DefaultPace/workPerByte))},
			"many commands": slices.Repeat([]string{"x"}, int(2*DefaultPace/workPerCommand)),
		} {
			for range 3 * rttSamples {
				values(t, d.submit(t, much...))
			}
			if n := peak(2*DefaultPace, 1); n != 1 {
				t.Errorf("%d entries in flight at a time after %s, want 1", n, what)
			}
		}
		if n := peak(10*DefaultPace, rttSamples); n == 1 {
			t.Error("one entry in flight at a time with a long round-trip time")
		}
		values(t, d.submit(t, "the last from afar"))
		if peak(DefaultPace/2, 1); d.rtt > DefaultPace {
			t.Errorf("after a quick entry the round-trip estimate is %v", d.rtt)
		}
		if n := peak(2*DefaultPace, 1); n != 1 {
			t.Errorf("%d entries in flight at a time during a stall, want 1", n)
		}
	})
}

func TestFullEntriesDoNotWaitForThePace(t *testing.T) {
	pad := strings.Repeat(" ", format.MaxTrace)
	two := format.MaxOverhead + 2*format.CommandSize(1+len(pad)) // bytes of an entry with two commands
	for name, test := range map[string]struct {
		commands, bytes int
		pace            time.Duration
		peak            int
	}{
		"full by their commands":     {commands: 2, bytes: 1 << 20, pace: roundTrip - 1, peak: 3},
		"so many bytes on their way": {commands: 2, bytes: two + 1, pace: roundTrip - 1, peak: 2},
		"full by their bytes":        {commands: 100, bytes: two, pace: roundTrip - 1, peak: 2},
		"full, but near":             {commands: 2, bytes: 1 << 20, pace: roundTrip, peak: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				opened := make(chan struct{})
				d := newDistant(func(d *distant, cfg *Config) {
					cfg.Pace, cfg.MaxCommands, cfg.MaxEntry = test.pace, test.commands, test.bytes
					d.session = func(_ context.Context, data []byte) error {
						<-opened
						return d.apply(data)
					}
				})
				defer d.Close(nil)
				var calls []*Call
				for i := range 6 {
					calls = append(calls, d.submit(t, fmt.Sprint(i)+pad))
				}
				synctest.Wait()
				close(opened)
				for _, c := range calls {
					values(t, c)
				}
				if d.peak != test.peak {
					t.Errorf("%d entries were in flight at a time, want %d", d.peak, test.peak)
				}
				if diff := cmp.Diff([][]string{{"0" + pad, "1" + pad}, {"2" + pad, "3" + pad}, {"4" + pad, "5" + pad}}, d.entries()); diff != "" {
					t.Errorf("entries (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestEntriesInFlightAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDistant(func(_ *distant, cfg *Config) { cfg.MaxInflight = 3 })
		defer d.Close(nil)
		d.first(t)
		d.issue(t, 40, 3*time.Millisecond)
		if d.peak != 3 {
			t.Errorf("%d entries were in flight at a time, want 3", d.peak)
		}
		d.wantLines(t, 40)
	})
}

func TestLostEntryIsSentAgainBeforeLaterOnes(t *testing.T) {
	for name, lost := range map[string]error{"surely": errBusy, "perhaps": errTimeout} {
		for _, sequence := range []uint64{2, 3, 4, 6} {
			t.Run(fmt.Sprint(name, " ", sequence), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					d := newDistant(func(d *distant, _ *Config) { d.lose[sequence] = []error{lost} })
					defer d.Close(nil)
					d.first(t)
					d.issue(t, 20, 3*time.Millisecond)
					d.wantLines(t, 20)
				})
			})
		}
	}
}

func TestEntryThatOvertakesIsSentAgain(t *testing.T) {
	for _, calls := range []int{3, 20} {
		t.Run(fmt.Sprint(calls, " calls"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := newDistant(func(d *distant, _ *Config) {
					d.swap = 3
					d.lose[4] = []error{nil, errBusy}
				})
				defer d.Close(nil)
				d.first(t)
				d.issue(t, calls, 3*time.Millisecond)
				d.wantLines(t, calls)
				// Another copy may exist, so the entry must not change.
				first, again := map[uint64]string{}, 0
				for _, s := range d.attempts() {
					if data, ok := first[s.sequence]; ok && data != s.data {
						t.Errorf("entry %d was sent with other bytes", s.sequence)
					} else if ok {
						again++
					}
					first[s.sequence] = s.data
				}
				if again == 0 {
					t.Error("no entry was sent again")
				}
			})
		})
	}
}

// TestWindowThatWasNotAcceptedIsRequeued has no entry of the window accepted. All calls are
// requeued, so a caller that stops waiting learns that its commands were not applied.
func TestWindowThatWasNotAcceptedIsRequeued(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDistant(func(d *distant, _ *Config) {
			for i := range uint64(10) {
				d.lose[i+2] = []error{errBusy}
			}
		})
		defer d.Close(nil)
		d.first(t)
		var calls []*Call
		for i := range 10 {
			calls = append(calls, d.submit(t, fmt.Sprint(i+1)))
			time.Sleep(3 * time.Millisecond) // bubble time
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := calls[4].Wait(over); !errors.Is(err, ErrUnknownOutcome) {
			t.Errorf("stopped waiting while in flight: %v", err)
		}
		for i, c := range calls {
			if i != 4 {
				values(t, c)
			}
		}
		fails(t, calls[4], ErrNotApplied, context.Canceled)
		if diff := cmp.Diff([]string{"0", "1", "2", "3", "4", "6", "7", "8", "9", "10"}, d.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

func TestDroppedSessionUnderManyEntries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDistant(nil)
		defer d.Close(nil)
		d.first(t)
		var calls []*Call
		for i := range 5 {
			calls = append(calls, d.submit(t, fmt.Sprint(i+1)))
			time.Sleep(3 * time.Millisecond) // bubble time
		}
		d.evict(1)
		for _, c := range calls {
			values(t, c)
		}
		d.wantLines(t, 5)
	})
}

// TestDroppedSessionUnderAnUnknownOutcome drops the session of an entry that may have been applied.
// No later entry continues in that session, and the outcome stays unknown.
func TestDroppedSessionUnderAnUnknownOutcome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDistant(nil)
		defer d.Close(nil)
		d.first(t)
		d.wire.Lock()
		d.lose[2] = []error{errTimeout}
		d.wire.Unlock()
		first := d.submit(t, "lost")
		time.Sleep(3 * time.Millisecond) // bubble time
		second := d.submit(t, "1")
		synctest.Wait()
		d.evict(1)
		fails(t, first, ErrUnknownOutcome, state.ErrUnknownSession)
		values(t, second)
		values(t, d.submit(t, "2"))
		d.wantLines(t, 2)
	})
}

func TestCloseWithManyEntries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := newDistant(nil)
		d.first(t)
		var calls []*Call
		for i := range 5 {
			calls = append(calls, d.submit(t, fmt.Sprint(i+1)))
			time.Sleep(3 * time.Millisecond) // bubble time
		}
		d.Close(nil)
		if n := len(d.attempts()); n != 6 {
			t.Errorf("%d entries were sent, want 6", n)
		}
		for _, c := range calls {
			fails(t, c, ErrUnknownOutcome, ErrClosed)
		}
	})
}
