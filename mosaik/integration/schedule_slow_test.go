package integration_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// slowApply is how long a slow member of a schedule takes for a command: long beside the
// others, and short enough for one that comes back to apply a schedule's commands again.
const slowApply = 2 * time.Millisecond

// slowDown makes the machine of a member slow, or fast again.
func (s *schedule) slowDown() string {
	a := s.any((*actor).joined)
	if a == nil {
		return ""
	}
	takes := &s.audit.slow[a.node.Index()]
	if takes.CompareAndSwap(0, int64(slowApply)) {
		return fmt.Sprintf("the machine of %d becomes slow", a.node.Index())
	}
	takes.Store(0)
	return fmt.Sprintf("the machine of %d becomes fast", a.node.Index())
}

// hurry makes all machines fast.
func (s *schedule) hurry() {
	for i := range s.audit.slow {
		s.audit.slow[i].Store(0)
	}
}

func (w tills) join(n *testutil.Node, p consensus.Policy) member {
	newTill := func() *till { return &till{slow: &w.slow[n.Index()]} }
	return testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), newTill).WithMembership(p))
}

// readHere does a Weak read, which must not go back behind the one before in its epoch.
func (a *audit) readHere(ctx context.Context, g tillGroup, last *mosaik.Result[int64]) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	got, err := mosaik.Query(ctx, g, sum{}, mosaik.Weak)
	if err != nil {
		return
	}
	if got.Epoch == last.Epoch && got.Index < last.Index {
		a.t.Errorf("a weak read answers %+v after %+v", got, *last)
	}
	*last = got
}
