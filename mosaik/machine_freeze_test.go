package mosaik

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// note is a machine of one line, without snapshots.
type note struct{ line string }

func (*note) Spec() sm.Spec[string] { return sm.Define[string]("note", 1) }

func (n *note) Apply(_ sm.ApplyContext, line string) (any, error) {
	n.line = line
	return nil, nil
}

// written is a note with snapshots.
type written struct{ note }

func (w *written) Snapshot(dst io.Writer) error {
	_, err := io.WriteString(dst, w.line)
	return err
}

func (w *written) Restore(io.Reader) error { return nil }

// frozen is a note that can be frozen, and batched one that takes batches as well.
type (
	frozen  struct{ written }
	batched struct{ frozen }
)

func (f *frozen) Freeze() (sm.View, error) {
	if f.line == "" {
		return nil, errors.New("nothing to freeze")
	}
	return &lineView{written{note{f.line}}}, nil
}

func (*batched) ApplyBatch([]sm.Applying[string]) {}

type lineView struct{ written }

func (*lineView) Close() error { return nil }

// TestFreezeOfMachines checks which machines are frozen.
func TestFreezeOfMachines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		machine sm.StateMachine[string]
		freezes bool
	}{
		{"without snapshots", &note{"a"}, false},
		{"with snapshots", &written{note{"a"}}, false},
		{"frozen", &frozen{written{note{"a"}}}, true},
		{"in batches", &batched{frozen{written{note{"a"}}}}, true},
	} {
		erased, err := erase(func() sm.StateMachine[string] { return test.machine }, test.machine.Spec())
		if err != nil {
			t.Fatal(err)
		}
		view, err := erased.(state.FreezingMachine).Freeze()
		if err != nil || (view != nil) != test.freezes {
			t.Errorf("%s: the view %v, error %v", test.name, view, err)
		}
		if view != nil {
			var b bytes.Buffer
			if err := errors.Join(view.Snapshot(&b), view.Close()); err != nil || b.String() != "a" {
				t.Errorf("%s: %q, %v", test.name, b.String(), err)
			}
		}
	}
	broken, err := erase(func() *frozen { return &frozen{} }, (&frozen{}).Spec())
	if err != nil {
		t.Fatal(err)
	}
	if view, err := broken.(state.FreezingMachine).Freeze(); err == nil || view != nil {
		t.Errorf("a machine that cannot be frozen now: %v, %v", view, err)
	}
}
