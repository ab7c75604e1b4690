package group

import (
	"context"
	"errors"
	"testing"
)

// TestCancelledRemovalIsNoSuccess drops a request whose context has ended. Its caller may read the
// answer before it looks at the context.
func TestCancelledRemovalIsNoSuccess(t *testing.T) {
	t.Parallel()
	counted := true
	r := &removal{
		answer: make(chan error, 1),
		done:   func() { counted = false },
		ended:  func() error { return context.Canceled },
	}
	g := &Group{removals: []*removal{r}}
	g.dropCancelledRemovals()
	if err := <-r.answer; !errors.Is(err, context.Canceled) || counted || len(g.removals) != 0 {
		t.Errorf("the answer is %v, the request counts: %t, %d requests are left", err, counted, len(g.removals))
	}
}
