package integration_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// bulkTill is a till that applies batches, and remembers what was in them.
type bulkTill struct {
	till
	batches [][]string // the index and verb of each command
}

var _ sm.BatchApplier[step] = (*bulkTill)(nil)

func newBulkTill() *bulkTill { return &bulkTill{} }

func (*bulkTill) Spec() sm.Spec[step] {
	spec := sm.Define[step]("bulk till", 1)
	spec.Codec = picky{spec.Codec}
	return spec
}

func (*bulkTill) Apply(sm.ApplyContext, step) (any, error) { panic("not called") }

func (b *bulkTill) ApplyBatch(batch []sm.Applying[step]) {
	var names []string
	for i := range batch {
		c := &batch[i]
		names = append(names, fmt.Sprint(c.At.Index(), " ", c.Command.Verb))
		c.Result, c.Err = b.till.Apply(c.At, c.Command)
	}
	b.batches = append(b.batches, names)
}

// picky refuses to decode steps of an unknown kind.
type picky struct{ codec.Codec[step] }

var errPicky = errors.New("picky: unreadable")

func (p picky) Decode(src []byte) (step, error) {
	s, err := p.Codec.Decode(src)
	if s.Verb == "unreadable" {
		err = errPicky
	}
	return s, err
}

// TestBatches applies the commands of each entry in one call, on every member, with
// the outcomes that they have one by one.
func TestBatches(t *testing.T) {
	t.Parallel()
	groups := testutil.JoinAll(testutil.NewCluster(t, 3), newBulkTill)
	g := groups[1]
	if got, err := g.Execute(soon(t), step{"pay", 1}); got.Value != int64(1) || err != nil {
		t.Fatalf("pay returned %v, error %v", got, err)
	}
	if _, err := g.Execute(soon(t), step{Verb: "unreadable"}); !errors.Is(err, errPicky) {
		t.Errorf("error %v, want %v", err, errPicky)
	}
	results, err := g.ExecuteMany(soon(t),
		step{"unreadable", 1}, step{"pay", 2}, step{"unreadable", 2}, step{"take", 99}, step{"pay", 3}, step{"unreadable", 3})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		value any
		err   error
	}{{nil, mosaik.ErrUndecodable}, {int64(3), nil}, {nil, errPicky}, {receipt{}, errShort}, {int64(6), nil}, {nil, errPicky}} {
		if r := results[i]; r.Index != sm.Index(3+i) || r.Value != want.value || !errors.Is(r.Err, want.err) {
			t.Errorf("command %d: %+v, want %+v at %d", i, r, want, 3+i)
		}
	}
	want := [][]string{{"1 pay"}, {"4 pay", "6 take", "7 pay"}}
	for i, g := range groups {
		got, err := mosaik.Read(soon(t), g, mosaik.Strong, func(b *bulkTill) ([][]string, error) { return b.batches, nil })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Value); diff != "" {
			t.Errorf("member %d applied (-want +got):\n%s", i, diff)
		}
	}
}

// TestBatchesOfManyCallers checks that each of many independent callers gets the results of its
// own commands.
func TestBatchesOfManyCallers(t *testing.T) {
	t.Parallel()
	const callers, calls = 32, 20
	groups := testutil.JoinAll(testutil.NewCluster(t, 3), newBulkTill)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range calls {
				if _, err := groups[0].Execute(soon(t), step{"pay", 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var first [][]string
	for i, g := range groups {
		got, err := mosaik.Read(soon(t), g, mosaik.Strong, func(b *bulkTill) ([][]string, error) {
			if b.sum != callers*calls {
				t.Errorf("member %d: the sum is %d, want %d", i, b.sum, callers*calls)
			}
			return b.batches, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = got.Value
		}
		if diff := cmp.Diff(first, got.Value); diff != "" {
			t.Errorf("member %d has other batches than the first (-first +got):\n%s", i, diff)
		}
	}
}

// TestBatchThatPanics is as one command that panics.
func TestBatchThatPanics(t *testing.T) {
	t.Parallel()
	g := testutil.JoinAll(testutil.NewCluster(t, 1), newBulkTill)[0]
	mustPayStep(t, g)
	_, err := g.ExecuteMany(soon(t), step{"pay", 1}, step{Verb: "blow"})
	wantError(t, "execute", err, consensus.ErrPoisoned)
	wantMessage(t, "execute", err, "apply command 2")
	_, err = g.Execute(soon(t), step{"pay", 1})
	wantError(t, "execute again", err, consensus.ErrPoisoned)
}

func mustPayStep(t *testing.T, g *mosaik.Group[step, *bulkTill]) {
	t.Helper()
	if _, err := g.Execute(soon(t), step{"pay", 1}); err != nil {
		t.Fatal(err)
	}
}
