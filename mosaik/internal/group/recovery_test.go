package group

import (
	"errors"
	"io"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// lines is a machine that records its commands.
type lines []string

func (l *lines) Apply(_ sm.ApplyContext, _ uint32, cmd []byte) (any, error, bool) {
	*l = append(*l, string(cmd))
	return nil, nil, true
}
func (*lines) CanSnapshot() bool        { return false }
func (*lines) Snapshot(io.Writer) error { return nil }
func (*lines) Restore(io.Reader) error  { return nil }

// tail yields an open entry, a session and commands with seals among them. A number is a seal that
// gives up as many commands.
func tail(what ...any) iter.Seq2[engine.Entry, error] {
	session := format.SessionID{1}
	entries := [][]byte{
		format.Begin(nil, format.Header{Kind: format.KindOpen}, nil, 0),
		format.Begin(nil, format.Header{Kind: format.KindSession, Session: session}, nil, 0),
	}
	var sequence uint64
	for _, w := range what {
		switch w := w.(type) {
		case int:
			entries = append(entries, format.Begin(nil, format.Header{Kind: format.KindSeal, Sequence: uint64(w)}, nil, 0))
		case string:
			sequence++
			head := format.Header{Kind: format.KindCommands, Session: session, Sequence: sequence}
			entries = append(entries, format.AppendCommand(format.Begin(nil, head, nil, 1), []byte(w)))
		}
	}
	return func(yield func(engine.Entry, error) bool) {
		for i, data := range entries {
			if !yield(engine.Entry{Index: sm.Index(i + 1), Term: 1, Data: data}, nil) {
				return
			}
		}
	}
}

// TestApplyEntries applies the rest of a log up to a seal. An epoch that was sealed would reject
// all commands of the epoch that continues it.
func TestApplyEntries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tail []any
		want lines
	}{
		"commands":             {[]any{"a", "b"}, lines{"a", "b"}},
		"a seal that is void":  {[]any{"a", 0, "b"}, lines{"a", "b"}},
		"a seal":               {[]any{"a", "b", 1000}, lines{"a", "b"}},
		"commands it refuses":  {[]any{"a", 1, "b"}, lines{"a"}},
		"nothing but the seal": {[]any{0}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var machine lines
			s := state.New(state.Config{Machine: &machine})
			for e := range tail(c.tail...) {
				s.Apply(e.Index, e.Term, e.Data)
				break // the rest is the tail
			}
			if err := applyEntries(s, tail(c.tail...)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, machine); diff != "" {
				t.Errorf("applied (-want +got):\n%s", diff)
			}
			if s.Status().Sealed {
				t.Error("sealed")
			}
		})
	}
	t.Run("a log that cannot be read", func(t *testing.T) {
		t.Parallel()
		bad := errors.New("bad disk")
		s := state.New(state.Config{Machine: new(lines)})
		err := applyEntries(s, func(yield func(engine.Entry, error) bool) { yield(engine.Entry{}, bad) })
		if !errors.Is(err, bad) {
			t.Errorf("error %v, want %v", err, bad)
		}
	})
}
