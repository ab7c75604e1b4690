package integration_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// weigher is a machine whose commands are texts, encoded as they are, and which
// sums up their lengths.
type weigher struct{ sum int }

func (*weigher) Spec() sm.Spec[string] {
	spec := sm.Define[string]("weigher", 1)
	spec.Codec = plain{spec.Codec}
	return spec
}

func (w *weigher) Apply(_ sm.ApplyContext, text string) (any, error) {
	w.sum += len(text)
	return len(text), nil
}

type plain struct{ codec.Codec[string] }

func (plain) Append(dst []byte, text string) ([]byte, error) { return append(dst, text...), nil }
func (plain) Decode(src []byte) (string, error)              { return string(src), nil }

// entry returns the bytes that a command takes up in a log entry.
func entry(text string) int { return len(binary.AppendUvarint(nil, uint64(len(text)))) + len(text) }

// What is as large as the limit is replicated, and what is a byte larger is not:
// the error names both numbers.
func TestLargestCommands(t *testing.T) {
	t.Parallel()
	// A busy machine may take longer than an election timeout for one of these commands.
	timing := fast(consensus.Config{ElectionTimeout: 10 * time.Second, ForwardTimeout: 20 * time.Second})
	c := testutil.NewCluster(t, 3)
	var groups []*mosaik.Group[string, *weigher]
	for i := range 3 {
		b := mosaik.WithStateMachine(c.Node(i).Builder().WithConsensusConfig(timing), func() *weigher { return &weigher{} })
		groups = append(groups, testutil.JoinWith(c.Node(i), b))
	}
	testutil.Settle(t, groups...)
	g, ctx := groups[0], soon(t)
	huge := strings.Repeat("x", 8<<20)
	_, err := g.Execute(ctx, huge)
	wantError(t, "execute 8 MB", err, mosaik.ErrTooLarge)
	var size, limit int
	text := err.Error()
	if _, err := fmt.Sscanf(text[strings.Index(text, "1 commands"):], "1 commands of %d bytes, at most %d bytes", &size, &limit); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if size != entry(huge) || limit < 4<<20-1000 || limit > 4<<20 {
		t.Errorf("error %q, want it to name %d bytes and about 4 MiB", text, entry(huge))
	}

	whole := huge[:limit-(entry(huge)-len(huge))]
	for len(whole) > 0 && entry(whole) > limit {
		whole = whole[1:]
	}
	// A busy machine may take so long for this much that it elects a leader meanwhile.
	insist := func(try func() error) error {
		err := try()
		for mosaik.Retryable(err) && ctx.Err() == nil {
			err = try()
		}
		return err
	}
	var got mosaik.Result[any]
	if err := insist(func() (err error) { got, err = g.Execute(ctx, whole); return err }); err != nil || got.Value != len(whole) {
		t.Errorf("a command of %d bytes: %v, error %v", entry(whole), got.Value, err)
	}
	refused := func(what string, err error, commands int) {
		t.Helper()
		wantError(t, what, err, mosaik.ErrTooLarge)
		wantMessage(t, what, err, fmt.Sprintf("%d commands of %d bytes, at most %d bytes", commands, limit+1, limit))
	}
	_, err = g.Execute(ctx, whole+"x")
	refused("a byte more", err, 1)

	const many = 100
	batch := make([]string, many)
	left := limit
	for i := range batch[1:] {
		batch[i+1] = huge[:limit/many]
		left -= entry(batch[i+1])
	}
	batch[0] = huge[:left-(entry(huge[:left])-left)]
	var results []mosaik.Result[any]
	err = insist(func() (err error) { results, err = g.ExecuteMany(ctx, batch...); return err })
	if err != nil || len(results) != many {
		t.Errorf("a batch of %d bytes: %d results, error %v", limit, len(results), err)
	}
	batch[0] += "x"
	_, err = g.ExecuteMany(ctx, batch...)
	refused("a batch of a byte more", err, many)
	_, err = g.Feed(ctx, batch...)
	refused("a fed batch of a byte more", err, many)

	want := len(whole)
	for _, text := range batch {
		want += len(text)
	}
	want-- // of the byte that was too much
	for i, g := range groups {
		var got mosaik.Result[int]
		err := insist(func() (err error) {
			got, err = mosaik.Read(ctx, g, mosaik.Strong, func(w *weigher) (int, error) { return w.sum, nil })
			return err
		})
		if err != nil || got.Value != want || got.Index != 1+many {
			t.Errorf("member %d holds %d bytes of %d commands, error %v; want %d of %d", i, got.Value, got.Index, err, want, 1+many)
		}
	}
}

// Handles that come and go cost the group nothing, neither entries for sessions
// of their own nor memory, whether they were left or not.
func TestHandlesLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	log := watch(logstore.NewMemory[step]())
	b := mosaik.WithStateMachine(c.Node(0).Builder(), newTill).WithLogStorage(log)
	g := testutil.JoinWith(c.Node(0), b)
	testutil.Settle(t, g)
	mustPay(t, g, 1)
	ctx := soon(t)
	before := log.state(t).Last.Index
	const handles = 2000
	dropped := make([]weak.Pointer[mosaik.Group[step, *till]], handles)
	for i := range dropped {
		h, err := b.Join(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mosaik.Execute(ctx, h, pay(1)); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			if err := h.Leave(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		dropped[i] = weak.Make(h)
	}
	if entries := log.state(t).Last.Index - before; entries != handles {
		t.Errorf("%d handles with a command each made %d log entries", handles, entries)
	}
	runtime.GC()
	held := 0
	for _, h := range dropped {
		if h.Value() != nil {
			held++
		}
	}
	if held > 1 { // the last one may still be on the stack
		t.Errorf("%d of %d handles are held by something", held, handles)
	}
	wantSum(t, handles+1, g)
}
