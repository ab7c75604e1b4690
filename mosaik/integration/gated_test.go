package integration_test

import (
	"testing"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// gated is a till that waits, in the command "wait", until it is let through.
type gated struct {
	till
	entered chan<- struct{} // gets a value when it waits
	gate    <-chan struct{}
}

func (*gated) Spec() sm.Spec[step] { return sm.Define[step]("gated", 1) }

func (g *gated) Apply(at sm.ApplyContext, s step) (any, error) {
	if s.Verb == "wait" {
		g.entered <- struct{}{}
		<-g.gate
		return nil, nil
	}
	return g.till.Apply(at, s)
}

// newGated makes a lone member whose machine waits: entered tells when, and open
// lets it through, as does the end of the test.
func newGated(t *testing.T) (g *mosaik.Group[step, *gated], entered <-chan struct{}, open chan<- struct{}) {
	c := testutil.NewCluster(t, 1)
	in, gate := make(chan struct{}, 1), make(chan struct{})
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		select {
		case <-gate:
		case <-over:
		}
	}()
	return testutil.JoinAll(c, func() *gated { return &gated{entered: in, gate: passed} })[0], in, gate
}
