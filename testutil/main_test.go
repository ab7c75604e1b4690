package testutil_test

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter adds up the numbers that it is given.
type counter struct{ sum int64 }

func newCounter() *counter { return &counter{} }

func (*counter) Spec() sm.Spec[int64] { return sm.Define[int64]("counter", 1) }

func (c *counter) Apply(_ sm.ApplyContext, n int64) (any, error) {
	c.sum += n
	return c.sum, nil
}

type group = *mosaik.Group[int64, *counter]

// add adds n through the member and returns the sum.
func add(t testing.TB, g group, n int64) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sum, err := g.Execute(ctx, n)
	if err != nil {
		t.Fatalf("add %d: %v", n, err)
	}
	return sum.Value.(int64)
}

// wantSum fails the test unless every member says so in a strong read.
func wantSum(t testing.TB, want int64, groups ...group) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, g := range groups {
		sum, err := mosaik.Read(ctx, g, mosaik.Strong, func(c *counter) (int64, error) { return c.sum, nil })
		if err != nil || sum.Value != want {
			t.Fatalf("handle %d reads %d, error %v; want %d", i, sum.Value, err, want)
		}
	}
}

// lockedBuffer is a buffer that several goroutines may write to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
