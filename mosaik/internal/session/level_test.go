package session

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// submitAt submits a call of one level, which must succeed.
func (l *local) submitAt(t *testing.T, level uint32, cmds ...string) *Call {
	t.Helper()
	c, err := l.Submit(t.Context(), level, encode(cmds), format.Span{})
	if err != nil {
		t.Fatalf("submit %q: %v", cmds, err)
	}
	return c
}

// levels returns the levels of the entries that were sent.
func (l *local) levels(t *testing.T) []uint32 {
	t.Helper()
	var levels []uint32
	for _, s := range l.attempts() {
		e, err := format.Parse([]byte(s.data))
		if err != nil {
			t.Fatal(err)
		}
		levels = append(levels, e.Level)
	}
	return levels
}

// TestEntriesHoldOneLevel submits calls of several levels. An entry holds calls of one level only,
// in order.
func TestEntriesHoldOneLevel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		l := newLocal(func(l *local, _ *Config) {
			l.propose = l.script(func(_ context.Context, data []byte) error { <-release; return l.apply(data) })
		})
		defer l.Close(nil)
		l.raise(2)
		calls := []*Call{l.submitAt(t, 1, "a")}
		synctest.Wait()
		for _, c := range []struct {
			level uint32
			cmd   string
		}{{1, "b"}, {1, "c"}, {2, "d"}, {2, "e"}, {0, "f"}, {1, "g"}} {
			calls = append(calls, l.submitAt(t, c.level, c.cmd))
		}
		one := l.NewSingle()
		one.Data, one.Level = append(one.Data, "h"...), 2
		did := make(chan error, 1)
		go func() { _, _, err := l.Do(t.Context(), one, format.Span{}); did <- err }()
		synctest.Wait()
		close(release)
		for i, c := range calls {
			if first, _ := values(t, c); first != sm.Index(i+1) {
				t.Errorf("call %d has index %d, want %d", i, first, i+1)
			}
		}
		if err := <-did; err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([][]string{{"a"}, {"b", "c"}, {"d", "e"}, {"f"}, {"g"}, {"h"}}, l.entries()); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]uint32{1, 1, 2, 0, 1, 2}, l.levels(t)); diff != "" {
			t.Errorf("levels (-want +got):\n%s", diff)
		}
		if one := l.NewSingle(); one.Level != 0 {
			t.Errorf("a new Single has level %d, want 0", one.Level)
		}
	})
}

// TestCallAboveTheLevelIsNotApplied submits a call above the group's level. It is not applied, and
// the call after it is.
func TestCallAboveTheLevelIsNotApplied(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := newLocal(nil)
		defer l.Close(nil)
		values(t, l.submitAt(t, 1, "a"))
		if _, _, err := l.submitAt(t, 2, "b").Wait(t.Context()); !errors.Is(err, ErrNotApplied) || !errors.Is(err, state.ErrLevel) {
			t.Errorf("a call of level 2 ends with %v, want %v and %v", err, ErrNotApplied, state.ErrLevel)
		}
		if first, _ := values(t, l.submitAt(t, 1, "c")); first != 2 {
			t.Errorf("the call after it has index %d, want 2", first)
		}
		l.raise(2)
		if first, _ := values(t, l.submitAt(t, 2, "d")); first != 3 {
			t.Errorf("a call of the level that is active has index %d, want 3", first)
		}
		if diff := cmp.Diff([]string{"a", "c", "d"}, l.machine.Lines); diff != "" {
			t.Errorf("applied (-want +got):\n%s", diff)
		}
	})
}

// TestSnapshotCoversLevel restores a snapshot that reports the rejection of the last of two
// entries, without its reason. If the reason may be the level, the entry before may have been
// applied. Otherwise the group was forming and rejected both.
func TestSnapshotCoversLevel(t *testing.T) {
	for _, test := range []struct {
		name   string
		level  uint32 // of the second entry
		remote func(open, first, second []byte) [][]byte
		want   error // of the first call
	}{
		{"refused for its level", 2, func(open, first, second []byte) [][]byte { return [][]byte{open, first, second} }, errCoveredBySnapshot},
		{"perhaps for its level", 2, func(open, first, second []byte) [][]byte { return [][]byte{first, second, open} }, errCoveredBySnapshot},
		{"not for its level", 1, func(open, first, second []byte) [][]byte { return [][]byte{first, second, open} }, state.ErrForming},
		{"level not known", 0, func(open, first, second []byte) [][]byte { return [][]byte{first, second, open} }, state.ErrForming},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				sent := make(chan []byte, 2)
				l := newLocal(func(l *local, cfg *Config) {
					cfg.MaxInflight, cfg.MaxCommands = 2, 1
					l.session = func(_ context.Context, data []byte) error {
						time.Sleep(50 * time.Millisecond) // bubble time: the round-trip time exceeds the pace
						return l.apply(data)
					}
					l.propose = func(ctx context.Context, data []byte) error {
						sent <- bytes.Clone(data)
						return silent(ctx, data)
					}
				})
				defer l.Close(nil)
				a := l.submitAt(t, 1, "a")
				first := <-sent
				b := l.submitAt(t, test.level, "b")
				second := <-sent

				remote := state.New(state.Config{Machine: &journal{}, Level: 5})
				session := mark(format.Header{Kind: format.KindSession, Session: l.Proposer.session})
				open := mark(format.Header{Kind: format.KindOpen})
				for i, data := range append([][]byte{session}, test.remote(open, first, second)...) {
					if err := remote.Apply(sm.Index(i+1), 1, data); err != nil {
						t.Fatal(err)
					}
				}
				var snapshot bytes.Buffer
				if err := errors.Join(remote.Snapshot(&snapshot), l.state.Restore(&snapshot)); err != nil {
					t.Fatal(err)
				}
				if test.want == errCoveredBySnapshot {
					fails(t, a, ErrUnknownOutcome, errCoveredBySnapshot)
					fails(t, b, ErrNotApplied, state.ErrLevel)
				} else {
					fails(t, a, ErrNotApplied, test.want)
					fails(t, b, ErrNotApplied, test.want)
				}
			})
		})
	}
}
