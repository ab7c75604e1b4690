package linear_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/examples/quickstart/ledger"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/testutil"
	"github.com/mosaik-go/mosaik/testutil/linear"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// step is an operation that returns before the next one is called.
type step[In, Out any] struct {
	in   In
	out  Out
	err  error
	fits bool // it fits after the steps before it
}

var errDeclined = errors.New("declined")

// walk checks every prefix of the steps: those that fit are kept, the others tried and dropped.
func walk[State, In, Out any](t *testing.T, m linear.Model[State, In, Out], steps []step[In, Out]) {
	t.Helper()
	var kept []step[In, Out]
	for i, s := range steps {
		var h linear.History[In, Out]
		for _, k := range append(kept[:len(kept):len(kept)], s) {
			h.Record(0, k.in, func() (Out, error) { return k.out, k.err })
		}
		report := check(t, &h, m)
		if fits := report == ""; fits != s.fits {
			t.Errorf("step %d (%+v: %+v, %v) fits: %v, want %v\n%s", i, s.in, s.out, s.err, fits, s.fits, report)
		}
		if s.fits {
			kept = append(kept, s)
		}
	}
}

// check returns what Check reports.
func check[State, In, Out any](t *testing.T, h *linear.History[In, Out], m linear.Model[State, In, Out]) string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() { // Fatalf ends the goroutine
		defer close(done)
		linear.Check(r, h, m)
	}()
	<-done
	return r.text.String()
}

// recorder records the failures of a test instead of failing it.
type recorder struct {
	testing.TB
	text strings.Builder
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) { fmt.Fprintf(&r.text, format, args...) }

func (r *recorder) Fatal(args ...any) {
	fmt.Fprint(&r.text, args...)
	panic(errDeclined)
}

func TestMap(t *testing.T) {
	type in = linear.MapInput[string, int]
	type out = linear.MapOutput[int]
	walk(t, linear.Map[string, int](), []step[in, out]{
		{linear.Get[string, int]("a"), out{}, nil, true},
		{linear.Get[string, int]("a"), out{0, true}, nil, false},
		{linear.Put("a", 5), out{}, nil, true},
		{linear.Get[string, int]("a"), out{}, nil, false},
		{linear.Get[string, int]("a"), out{5, true}, nil, true},
		{linear.Get[string, int]("b"), out{5, true}, nil, false},
		{linear.Get[string, int]("b"), out{}, nil, true},
		{linear.Put("a", 6), out{}, errDeclined, true},
		{linear.Get[string, int]("a"), out{6, true}, nil, false},
		{linear.Replace("a", 6, 7), out{}, nil, true},
		{linear.Replace("a", 6, 7), out{OK: true}, nil, false},
		{linear.Replace("a", 5, 7), out{}, nil, false},
		{linear.Replace("a", 5, 7), out{}, errDeclined, false},
		{linear.Replace("a", 5, 7), out{OK: true}, nil, true},
		{linear.Get[string, int]("a"), out{7, true}, nil, true},
		{linear.Delete[string, int]("a"), out{}, errDeclined, true},
		{linear.Get[string, int]("a"), out{}, nil, false},
		{linear.Delete[string, int]("a"), out{}, nil, true},
		{linear.Get[string, int]("a"), out{}, nil, true},
		{linear.Replace("a", 0, 1), out{OK: true}, nil, false},
	})
}

func TestRegister(t *testing.T) {
	type in = linear.RegisterInput[int]
	walk(t, linear.Register(1), []step[in, int]{
		{linear.Read[int](), 0, nil, false},
		{linear.Read[int](), 1, nil, true},
		{linear.Write(2), 0, errDeclined, true},
		{linear.Read[int](), 2, nil, false},
		{linear.Write(2), 0, nil, true},
		{linear.Read[int](), 2, nil, true},
		{linear.Swap(1, 3), 1, nil, false},
		{linear.Swap(1, 3), 2, nil, true},
		{linear.Read[int](), 3, nil, false},
		{linear.Swap(2, 3), 2, nil, true},
		{linear.Read[int](), 3, nil, true},
	})
}

func TestCounter(t *testing.T) {
	walk(t, linear.Counter(), []step[linear.CounterInput, int64]{
		{0, 0, nil, true},
		{3, 3, nil, true},
		{3, 3, nil, false},
		{4, 0, errDeclined, true},
		{0, 7, nil, false},
		{0, 3, nil, true},
		{-3, 0, nil, true},
	})
}

func TestQueue(t *testing.T) {
	type in = linear.QueueInput[string]
	type out = linear.QueueOutput[string]
	walk(t, linear.Queue[string](), []step[in, out]{
		{linear.Dequeue[string](), out{"", true}, nil, false},
		{linear.Dequeue[string](), out{}, nil, true},
		{linear.Enqueue("x"), out{}, nil, true},
		{linear.Enqueue("lost"), out{}, errDeclined, true},
		{linear.Enqueue("y"), out{}, nil, true},
		{linear.Dequeue[string](), out{}, nil, false},
		{linear.Dequeue[string](), out{"y", true}, nil, false},
		{linear.Dequeue[string](), out{}, errDeclined, true},
		{linear.Dequeue[string](), out{"x", true}, nil, true},
		{linear.Dequeue[string](), out{"lost", true}, nil, false},
		{linear.Dequeue[string](), out{"y", true}, nil, true},
		{linear.Dequeue[string](), out{}, nil, true},
	})
}

func TestLock(t *testing.T) {
	type in = linear.LockInput
	type out = linear.LockOutput
	walk(t, linear.Lock(), []step[in, out]{
		{linear.Release("a"), out{OK: true}, nil, false},
		{linear.Acquire("a"), out{}, nil, false},
		{linear.Acquire("a"), out{}, errDeclined, true},
		{linear.Acquire("a"), out{true, 3}, nil, true},
		{linear.Acquire("a"), out{true, 3}, nil, true},
		{linear.Acquire("b"), out{true, 4}, nil, false},
		{linear.Acquire("b"), out{}, nil, true},
		{linear.Release("b"), out{OK: true}, nil, false},
		{linear.Release("b"), out{}, nil, true},
		{linear.Release("a"), out{}, nil, false},
		{linear.Release("a"), out{OK: true}, nil, true},
		{linear.Acquire("b"), out{true, 3}, nil, false},
		{linear.Acquire("b"), out{true, 2}, nil, false},
		{linear.Acquire("b"), out{true, 4}, nil, true},
		{linear.Acquire("b"), out{true, 3}, nil, false},
		{linear.Release("b"), out{OK: true}, nil, true},
		{linear.Acquire("a"), out{true, 0}, nil, true},
	})
}

func TestMachine(t *testing.T) {
	walk(t, linear.Machine(ledger.New), []step[any, any]{
		{ledger.Deposit{Account: "a", Amount: 5}, int64(5), nil, true},
		{ledger.Deposit{Account: "a", Amount: 5}, int64(5), nil, false},
		{ledger.Deposit{Account: "a", Amount: -5}, int64(0), nil, false},
		{ledger.Deposit{Account: "a", Amount: -5}, int64(0), fmt.Errorf("%w: -5 is not positive", ledger.ErrAmount), true},
		{ledger.Deposit{Account: "a", Amount: -5}, int64(0), ledger.ErrNoAccount, false},
		{ledger.Transfer{From: "a", To: "b", Amount: 2}, ledger.Balances{From: 3, To: 2}, nil, true},
		{ledger.Balance{Account: "a"}, int64(5), nil, false},
		{ledger.Balance{Account: "a"}, int64(3), nil, true},
		{ledger.Accounts{}, []ledger.Account{{Name: "b", Balance: 2}, {Name: "a", Balance: 3}}, nil, false},
		{ledger.Accounts{}, []ledger.Account{{Name: "a", Balance: 3}, {Name: "b", Balance: 2}}, nil, true},
	})
}

// TestUnknown records operations whose outcome the client does not know.
func TestUnknown(t *testing.T) {
	unknown := func() (int64, error) { return 0, context.DeadlineExceeded }
	seen := func(v int64) func() (int64, error) { return func() (int64, error) { return v, nil } }
	for _, c := range []struct {
		reads []int64 // after an addition of 1 whose outcome is unknown
		fits  bool
	}{
		{[]int64{0, 0, 0}, true}, // it never happened
		{[]int64{1, 1, 1}, true},
		{[]int64{0, 1, 1}, true}, // it happened later
		{[]int64{0, 1, 2}, false},
		{[]int64{1, 0, 1}, false},
	} {
		var h linear.History[linear.CounterInput, int64]
		h.Record(0, 1, unknown)
		for _, v := range c.reads {
			h.Record(1, 0, seen(v))
		}
		if report := check(t, &h, linear.Counter()); (report == "") != c.fits {
			t.Errorf("%v fit: %v, want %v\n%s", c.reads, report == "", c.fits, report)
		}
	}
}

// TestNotApplied records an operation that did not happen.
func TestNotApplied(t *testing.T) {
	var h linear.History[linear.CounterInput, int64]
	h.Record(0, 1, func() (int64, error) { return 0, mosaik.ErrStalled })
	if h.Len() != 0 {
		t.Errorf("the history has %d operations, want none", h.Len())
	}
	h.Record(0, 1, func() (int64, error) { return 0, mosaik.ErrResultLost })
	h.Record(0, 0, func() (int64, error) { return 1, nil })
	if report := check(t, &h, linear.Counter()); report != "" {
		t.Error(report)
	}
}

// TestConcurrent has operations that overlap, of which one order fits.
func TestConcurrent(t *testing.T) {
	for last, fits := range map[int64]bool{0: false, 1: true, 2: true, 3: false} {
		var h linear.History[linear.RegisterInput[int64], int64]
		first, second := make(chan struct{}), make(chan struct{})
		var clients sync.WaitGroup
		write := func(client int, v int64, mine, other chan struct{}) {
			h.Record(client, linear.Write(v), func() (int64, error) {
				close(mine)
				<-other
				return 0, nil
			})
		}
		clients.Go(func() { write(0, 1, first, second) })
		clients.Go(func() { write(1, 2, second, first) })
		clients.Wait()
		h.Record(0, linear.Read[int64](), func() (int64, error) { return last, nil })
		if report := check(t, &h, linear.Register[int64](0)); (report == "") != fits {
			t.Errorf("to read %d after writing 1 and 2 fits: %v, want %v\n%s", last, report == "", fits, report)
		}
	}
}

// TestReport shows where a history does not fit, and writes it for a browser.
func TestReport(t *testing.T) {
	var h linear.History[linear.MapInput[string, int], linear.MapOutput[int]]
	put := func(client int, key string, v int) {
		h.Record(client, linear.Put(key, v), func() (o linear.MapOutput[int], _ error) { return o, nil })
	}
	put(0, "other", 1)
	put(0, "a", 1)
	put(1, "a", 2)
	h.Record(2, linear.Get[string, int]("a"), func() (linear.MapOutput[int], error) {
		return linear.MapOutput[int]{Value: 1, OK: true}, nil
	})
	report := check(t, &h, linear.Map[string, int]())
	for _, want := range []string{
		"the history of 4 operations is not linearizable",
		"the longest order that fits has 2 operations; its last 2:\n  client 0: {Op:put Key:a Old:0 New:1}: {Value:0 OK:false}\n  client 1: {Op:put",
		"none of these fits after it (1 in all):\n  client 2: {Op:get Key:a Old:0 New:0}: {Value:1 OK:true}",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	_, after, _ := strings.Cut(report, "open it in a browser: ")
	path, _, _ := strings.Cut(after, " (")
	if page, err := os.ReadFile(path); err != nil || !strings.Contains(string(page), "<html") {
		t.Errorf("the page %q has %d bytes, error %v", path, len(page), err)
	}
}

// TestEmpty refuses a history without operations, which would always pass.
func TestEmpty(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an empty history passed")
		}
	}()
	var h linear.History[linear.CounterInput, int64]
	linear.Check(&recorder{TB: t}, &h, linear.Counter())
}

// TestCluster checks a group whose leader is cut off, by its own machine.
func TestCluster(t *testing.T) {
	c := testutil.NewCluster(t, 3)
	groups := testutil.JoinAll(c, ledger.New)
	var h linear.History[any, any]
	var clients sync.WaitGroup
	cut, healed := make(chan struct{}), make(chan struct{})
	for client, g := range groups {
		clients.Go(func() {
			for i := range 30 {
				switch {
				case client == 0 && i == 10:
					close(cut)
				case client != 0 && i == 20:
					<-healed
				}
				h.Record(client, ledger.Deposit{Account: "a", Amount: 1}, func() (any, error) {
					r, err := mosaik.Execute(t.Context(), g, ledger.Deposit{Account: "a", Amount: 1})
					return r.Value, err
				})
				h.Record(client, ledger.Balance{Account: "a"}, func() (any, error) {
					r, err := mosaik.Query(t.Context(), g, ledger.Balance{Account: "a"}, mosaik.Strong)
					return r.Value, err
				})
			}
		})
	}
	<-cut
	c.Isolate(c.NodeOf(groups[0].Status().Leader).Index())
	c.HealAll()
	close(healed)
	clients.Wait()
	linear.Check(t, &h, linear.Machine(ledger.New))
	if h.Len() < 60 {
		t.Errorf("the history has %d operations only", h.Len())
	}
}
