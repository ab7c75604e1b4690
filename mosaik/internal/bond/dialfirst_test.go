package bond

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
)

// address is the behaviour of one address when it is dialled.
type address struct {
	name    string
	after   time.Duration // until it answers or refuses; without refusal 0 means never
	refuses bool
}

var addressKinds = []address{
	{name: "answers", after: 10 * time.Millisecond},
	{name: "answers late", after: dialler.Stagger + 10*time.Millisecond}, // when the next one answers
	{name: "refuses", refuses: true},
	{name: "refuses late", after: dialler.Stagger + 50*time.Millisecond, refuses: true},
	{name: "hangs"},
}

// opened is a connection to one of the addresses.
type opened struct {
	addr   string
	closed bool
}

func (o *opened) Close() error {
	o.closed = true
	return nil
}

// TestDialFirst dials up to three addresses with every combination of behaviours. An address
// that answers must be found within its own time and one stagger for each address before it.
// Other connections must be closed, and no goroutine may run afterwards.
func TestDialFirst(t *testing.T) {
	t.Parallel()
	var combinations [][]address
	for n, last := 1, [][]address{nil}; n <= 3; n++ {
		var longer [][]address
		for _, c := range last {
			for _, kind := range addressKinds {
				longer = append(longer, append(slices.Clone(c), kind))
			}
		}
		combinations, last = append(combinations, longer...), longer
	}
	for _, kinds := range combinations {
		var name string
		for _, k := range kinds {
			name += k.name + ", "
		}
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { testDialFirst(t, kinds) }) })
	}
}

func testDialFirst(t *testing.T, kinds []address) {
	var addrs []string
	soonest := time.Duration(-1) // the latest time at which an address must have answered
	for i, k := range kinds {
		addrs = append(addrs, fmt.Sprint(i))
		if by := time.Duration(i)*dialler.Stagger + k.after; k.after > 0 && !k.refuses && (soonest < 0 || by < soonest) {
			soonest = by
		}
	}
	errRefused := errors.New("refused")
	var mu sync.Mutex // guards all
	var all []*opened
	open := func(ctx context.Context, addr string) (*opened, error) {
		k := kinds[slices.Index(addrs, addr)]
		if k.after > 0 || !k.refuses {
			answer := make(<-chan time.Time)
			if k.after > 0 {
				answer = time.After(k.after)
			}
			select {
			case <-answer:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if k.refuses {
			return nil, errRefused
		}
		o := &opened{addr: addr}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, o)
		return o, nil
	}
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begin := time.Now()
	c, addr, err := dialFirst(ctx, addrs, open)
	took := time.Since(begin)
	if soonest >= 0 {
		if err != nil || c.addr != addr || c.closed || took > soonest {
			t.Fatalf("connected to %q (closed: %t) after %v, error %v; want a connection after %v at the latest",
				addr, c != nil && c.closed, took, err, soonest)
		}
	} else if err == nil || took > patience {
		t.Errorf("connected to %q after %v, error %v; want an error after %v at the latest", addr, took, err, patience)
	}
	for _, o := range all {
		if o != c && !o.closed {
			t.Errorf("the connection to %s is not closed", o.addr)
		}
	}
}

// TestDialIsStaggered dials a peer with a bond, for another protocol, whose first addresses do not
// answer, or refuse. The address that answered is dialled first from then on.
func TestDialIsStaggered(t *testing.T) {
	hole := func(addr string) bool { return addr == "127.0.0.9:9" }
	inBubble(t, hole, func(t *testing.T, w *web, a *node) {
		b := startNode(t, 1, func(s *setup) { onWeb(w, "127.0.0.1:2", everywhere)(s); s.noAddr = true })
		change := func(e *discovery.Entry) { e.Addrs = []string{"127.0.0.9:9", "127.0.0.7:8", "127.0.0.1:2"} }
		if _, err := b.catalog.Update(change); err != nil {
			t.Fatal(err)
		}
		a.catalog.Put(b.catalog.Self())
		a.awaitConn(b.peer(), anyConn)
		a.manager.setWorked(b.peer(), "") // as if the peer had dialled this one
		before := len(w.others("127.0.0.1:1"))
		for range 2 {
			c, err := a.manager.Dial(t.Context(), b.peer(), link.Bond)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		var dialled []string
		for _, d := range w.others("127.0.0.1:1")[before:] {
			dialled = append(dialled, d.addr)
		}
		if want := []string{"127.0.0.9:9", "127.0.0.7:8", "127.0.0.1:2", "127.0.0.1:2"}; !slices.Equal(dialled, want) {
			t.Errorf("dialled %v, want %v", dialled, want)
		}
		b.stop()
	})
}
