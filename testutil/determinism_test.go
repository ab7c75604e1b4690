package testutil_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/examples/quickstart/ledger"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// note is the command of the machines of this file.
type note struct {
	Key   string
	Value int64
}

// board is a machine whose behaviour is a function. Without a change it is deterministic.
type board struct {
	notes  map[string]int64
	order  []string
	seen   any
	apply  func(b *board, at sm.ApplyContext, n note) (any, error)
	hidden int64 // not in snapshots
}

func (*board) Spec() sm.Spec[note] { return sm.Define[note]("board", 1) }

func (b *board) Apply(at sm.ApplyContext, n note) (any, error) {
	if b.apply != nil {
		return b.apply(b, at, n)
	}
	if n.Value < 0 {
		return nil, errors.New("negative")
	}
	b.notes[n.Key] += n.Value
	b.order = append(b.order, n.Key)
	return b.notes[n.Key], nil
}

func boardWith(apply func(*board, sm.ApplyContext, note) (any, error)) func() *board {
	return func() *board { return &board{notes: make(map[string]int64), apply: apply} }
}

// saved is a board with snapshots.
type saved struct {
	board
	write func(*saved, io.Writer) error
}

func (s *saved) Snapshot(w io.Writer) error {
	if s.write != nil {
		return s.write(s, w)
	}
	return json.NewEncoder(w).Encode(s.notes)
}

func (s *saved) Restore(r io.Reader) error {
	s.notes = nil
	return json.NewDecoder(r).Decode(&s.notes)
}

func savedWith(write func(*saved, io.Writer) error, apply func(*board, sm.ApplyContext, note) (any, error)) func() *saved {
	return func() *saved {
		return &saved{board: board{notes: make(map[string]int64), apply: apply}, write: write}
	}
}

// freezer is a saved board that freezes its state, or does not.
type freezer struct {
	saved
	shares bool // views share the map with later commands
}

func (f *freezer) Freeze() (sm.View, error) {
	view := &saved{board: board{notes: f.notes}}
	if !f.shares {
		view.notes = maps.Clone(f.notes)
	}
	return savedView{view}, nil
}

type savedView struct{ *saved }

func (savedView) Close() error { return nil }

func newFreezer(shares bool) func() *freezer {
	return func() *freezer {
		return &freezer{saved: saved{board: board{notes: make(map[string]int64)}}, shares: shares}
	}
}

// container is a machine whose result is its state, a container.
type container struct{ keys sm.Set[string] }

func (*container) Spec() sm.Spec[note] { return sm.Define[note]("container", 1) }

func (c *container) Apply(_ sm.ApplyContext, n note) (any, error) {
	key := fmt.Sprint(n.Key, n.Value) // most differ, so that the set has several nodes
	if !c.keys.Add(key) {
		c.keys.Delete(key)
	}
	return c.keys, nil
}

func (c *container) Snapshot(w io.Writer) error {
	return json.NewEncoder(w).Encode(slices.Collect(c.keys.All()))
}

func (c *container) Restore(r io.Reader) error {
	var keys []string
	if err := json.NewDecoder(r).Decode(&keys); err != nil {
		return err
	}
	c.keys = sm.CollectSet(slices.Values(keys))
	return nil
}

// batched is a board that applies batches.
type batched struct {
	board
	last bool // of equal keys in a batch, only the last is applied
}

func (b *batched) ApplyBatch(batch []sm.Applying[note]) {
	for i := range batch {
		c := &batch[i]
		if b.last && i+1 < len(batch) && batch[i+1].Command.Key == c.Command.Key {
			c.Result = b.notes[c.Command.Key]
			continue
		}
		c.Result, c.Err = b.Apply(c.At, c.Command)
	}
}

func newBatched(last bool) func() *batched {
	return func() *batched { return &batched{board: board{notes: make(map[string]int64)}, last: last} }
}

var processWide int64

// TestCheckDeterminismFinds gives the check machines with one fault each.
func TestCheckDeterminismFinds(t *testing.T) {
	type check func(*testing.T, testutil.Determinism[note]) (string, error)
	plain := func(apply func(*board, sm.ApplyContext, note) (any, error)) check {
		return func(t *testing.T, d testutil.Determinism[note]) (string, error) {
			return testutil.ReportDeterminism(t, boardWith(apply), d)
		}
	}
	withSnapshots := func(write func(*saved, io.Writer) error, apply func(*board, sm.ApplyContext, note) (any, error)) check {
		return func(t *testing.T, d testutil.Determinism[note]) (string, error) {
			return testutil.ReportDeterminism(t, savedWith(write, apply), d)
		}
	}
	keep := func(v func() any) func(*board, sm.ApplyContext, note) (any, error) {
		return func(b *board, _ sm.ApplyContext, _ note) (any, error) {
			b.seen = v()
			return nil, nil
		}
	}
	addHidden := func(b *board, _ sm.ApplyContext, n note) (any, error) {
		b.hidden++
		b.notes[n.Key]++
		return b.hidden, nil
	}
	for _, c := range []struct {
		name     string
		check    check
		commands int // of the shortest sequence, 0 if that depends on the run
		want     []string
	}{
		{"clock", plain(keep(func() any { return time.Now() })), 1, []string{"the states differ", "machine.seen.(time.Time): "}},
		{"random", plain(keep(func() any { return rand.Int64() })), 1, []string{"machine.seen.(int64): "}},
		{"time zone", plain(keep(func() any { return time.Unix(0, 0).Format(time.Kitchen) })), 1,
			[]string{`"5:30AM"`, "process with GOMAXPROCS=1 and time zone TEST"}},
		{"processors", plain(keep(func() any { return runtime.GOMAXPROCS(0) })), 1, []string{"machine.seen.(int): 1", "GOMAXPROCS=1"}},
		{"address", plain(func(b *board, _ sm.ApplyContext, _ note) (any, error) { return fmt.Sprintf("%p", b), nil }), 1,
			[]string{"the results differ", `result: "0x`}},
		{"error", plain(func(*board, sm.ApplyContext, note) (any, error) {
			return nil, fmt.Errorf("at %d", time.Now().UnixNano())
		}), 1,
			[]string{"the results differ", "error: at "}},
		{"package variable", plain(func(*board, sm.ApplyContext, note) (any, error) {
			processWide++
			return processWide, nil
		}), 1, []string{"the results differ"}},
		{"map order", plain(func(b *board, _ sm.ApplyContext, n note) (any, error) {
			b.notes[n.Key] = n.Value
			b.order = slices.Collect(maps.Keys(b.notes))
			return nil, nil
		}), 0, []string{"machine.order["}},
		{"first of a map", plain(func(b *board, _ sm.ApplyContext, n note) (any, error) {
			b.notes[n.Key] = n.Value
			for key := range b.notes {
				return key, nil
			}
			return nil, nil
		}), 0, []string{"the results differ"}},
		{"panic", plain(func(b *board, _ sm.ApplyContext, n note) (any, error) {
			if b.notes[n.Key] += 1; b.notes[n.Key] == 3 {
				panic("three")
			}
			return nil, nil
		}), 3, []string{"the machine panicked", "three"}},
		{"aliased result", plain(func(b *board, _ sm.ApplyContext, n note) (any, error) {
			b.notes[n.Key]++
			return b.notes, nil
		}), 2, []string{"the result of command 1 was changed by a later command"}},
		{"field missing in snapshots", withSnapshots(nil, addHidden), 0, []string{"restored from snapshots before commands", "the results differ"}},
		{"snapshot of a map in its order", withSnapshots(func(s *saved, w io.Writer) error {
			var b bytes.Buffer
			for key, value := range s.notes {
				fmt.Fprintf(&b, ",%q:%d", key, value)
			}
			_, err := fmt.Fprintf(w, "{%s}", bytes.TrimPrefix(b.Bytes(), []byte(",")))
			return err
		}, func(b *board, _ sm.ApplyContext, n note) (any, error) {
			b.notes[fmt.Sprint(n.Value)]++
			return nil, nil
		}), 0, []string{"snapshots of equal states differ from byte"}},
		{"snapshot fails", withSnapshots(func(*saved, io.Writer) error { return errors.New("no room") }, nil), 1, []string{"a snapshot failed", "Snapshot: no room"}},
		{"snapshot panics", withSnapshots(func(*saved, io.Writer) error { panic("no room") }, nil), 1, []string{"Snapshot panicked: no room"}},
		{"restore fails", withSnapshots(func(_ *saved, w io.Writer) error {
			_, err := w.Write([]byte("x"))
			return err
		}, nil), 0, []string{"Restore: invalid character 'x'"}},
		{"view that changes", func(t *testing.T, d testutil.Determinism[note]) (string, error) {
			return testutil.ReportDeterminism(t, newFreezer(true), d)
		}, 1, []string{"a snapshot failed (this process, beside frozen views)", "the view that was frozen before command 1 wrote other bytes"}},
		{"batch", func(t *testing.T, d testutil.Determinism[note]) (string, error) {
			return testutil.ReportDeterminism(t, newBatched(true), d)
		}, 0, []string{"in batches"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			report, err := c.check(t, testutil.Determinism[note]{Sequences: 50, Commands: 20, Processes: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range append(c.want, `machine "board" is not deterministic`, "testutil.Determinism[testutil_test.note]{Seed: 0x", "   1  testutil_test.note{Key:") {
				if !strings.Contains(report, want) {
					t.Errorf("the report lacks %q:\n%s", want, report)
				}
			}
			if shown := strings.Count(report, "testutil_test.note{Key"); c.commands > 0 && shown != c.commands {
				t.Errorf("the report shows %d commands, want %d:\n%s", shown, c.commands, report)
			}
		})
	}
}

// TestCheckDeterminismPasses gives the check machines without a fault.
func TestCheckDeterminismPasses(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testutil.CheckDeterminism(t, boardWith(nil)) })
	t.Run("snapshots", func(t *testing.T) { testutil.CheckDeterminism(t, savedWith(nil, nil)) })
	t.Run("batches", func(t *testing.T) { testutil.CheckDeterminism(t, newBatched(false)) })
	t.Run("views", func(t *testing.T) { testutil.CheckDeterminism(t, newFreezer(false)) })
	t.Run("containers", func(t *testing.T) {
		testutil.CheckDeterminism(t, func() *container { return new(container) })
	})
	t.Run("context", func(t *testing.T) {
		testutil.CheckDeterminism(t, boardWith(func(b *board, at sm.ApplyContext, n note) (any, error) {
			b.seen = at.Now()
			b.hidden = at.Rand().Int64()
			return at.Index(), nil
		}))
	})
	t.Run("cache outside of snapshots", func(t *testing.T) {
		testutil.CheckDeterminism(t, savedWith(nil, func(b *board, _ sm.ApplyContext, n note) (any, error) {
			b.notes[n.Key] += n.Value
			b.hidden = time.Now().UnixNano()
			return nil, nil
		}))
	})
	t.Run("generated", func(t *testing.T) { testutil.CheckDeterminism(t, ledger.New) })
	t.Run("twice", func(t *testing.T) {
		testutil.CheckDeterminism(t, newCounter)
		testutil.CheckDeterminism(t, ledger.New)
	})
}

// TestCheckDeterminismSeed finds the same difference with the seed of a report.
func TestCheckDeterminismSeed(t *testing.T) {
	newMachine := boardWith(func(b *board, _ sm.ApplyContext, n note) (any, error) {
		if b.notes[n.Key]++; b.notes[n.Key] == 5 {
			b.seen = time.Now()
		}
		return nil, nil
	})
	options := testutil.Determinism[note]{Processes: -1, Sequences: 100}
	first, err := testutil.ReportDeterminism(t, newMachine, options)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(first, "{Seed: ")
	if _, err := fmt.Sscanf(after, "0x%x", &options.Seed); err != nil || !found {
		t.Fatalf("no seed (%v) in\n%s", err, first)
	}
	again, err := testutil.ReportDeterminism(t, newMachine, options)
	if err != nil {
		t.Fatal(err)
	}
	sequence := func(report string) string {
		_, after, _ := strings.Cut(report, "that shows it:\n")
		before, _, _ := strings.Cut(after, "\n\n")
		return before
	}
	if sequence(first) != sequence(again) || strings.Count(sequence(first), "note{") != 5 {
		t.Errorf("with seed %#x the sequence was\n%s\nand then\n%s", options.Seed, sequence(first), sequence(again))
	}
}

// refusing is a machine whose codec accepts no command.
type refusing struct{ board }

func (*refusing) Spec() sm.Spec[note] {
	s := sm.Define[note]("refusing", 1)
	s.Codec = refuse{}
	return s
}

type refuse struct{}

func (refuse) Append(dst []byte, _ note) ([]byte, error) { return dst, errors.New("refused") }
func (refuse) Decode([]byte) (note, error)               { return note{}, errors.New("refused") }

// TestCheckDeterminismDrawsNothing reports machines for which no command can be drawn.
func TestCheckDeterminismDrawsNothing(t *testing.T) {
	options := testutil.Determinism[note]{Processes: -1}
	_, err := testutil.ReportDeterminism(t, func() *refusing { return new(refusing) }, options)
	if err == nil || !strings.Contains(err.Error(), "the codec refuses random values of testutil_test.note; set Determinism.Generate: refused") {
		t.Errorf("the error is %v", err)
	}
	_, err = testutil.ReportDeterminism(t, func() *open { return new(open) }, testutil.Determinism[any]{Processes: -1})
	if err == nil || !strings.Contains(err.Error(), "its codec lists no commands: run go generate, or set Determinism.Generate") {
		t.Errorf("the error is %v", err)
	}
}

// open is a machine with commands of any type.
type open struct{}

func (*open) Spec() sm.Spec[any] {
	return sm.Spec[any]{Name: "open", Version: 1, Signature: sm.ID("open"), Codec: anything{}}
}

func (*open) Apply(sm.ApplyContext, any) (any, error) { return nil, nil }

type anything struct{}

func (anything) Append(dst []byte, v any) ([]byte, error) { return fmt.Append(dst, v), nil }
func (anything) Decode(src []byte) (any, error)           { return string(src), nil }

// TestCheckDeterminismGenerate draws commands from the caller's function.
func TestCheckDeterminismGenerate(t *testing.T) {
	drawn := 0
	testutil.CheckDeterminismWith(t, func() *open { return new(open) }, testutil.Determinism[any]{
		Sequences: 3, Commands: 7, Processes: 1,
		Generate: func(r *rand.Rand) any {
			drawn++
			return r.IntN(5)
		},
	})
	if drawn < 3 || drawn > 21 {
		t.Errorf("%d commands were drawn, want 3 to 21", drawn)
	}
}
