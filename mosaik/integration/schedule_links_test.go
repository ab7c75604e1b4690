package integration_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/testutil"
)

// slowLinks are the links of a schedule that are slower than the others.
type slowLinks struct {
	links map[[2]int]bool
	apart time.Duration // the delay of the others
}

// slowLink makes a link narrow, or long, or both. Heartbeats take a fraction of what the
// narrowest one carries; a snapshot, or a log that is sent again, takes seconds there.
func (s *schedule) slowLink() string {
	i, j := s.link()
	rate := []int{0, 300_000, 100_000, 50_000}[s.draw.IntN(4)]
	delay := []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond, 60 * time.Millisecond}[s.draw.IntN(4)]
	s.c.Limit(i, j, rate)
	s.c.Delay(i, j, s.slow.apart+delay)
	if s.slow.links == nil {
		s.slow.links = map[[2]int]bool{}
	}
	s.slow.links[[2]int{i, j}] = true
	return fmt.Sprintf("slow link %d %d: %d bytes a second, a delay of %v", i, j, rate, delay)
}

// quicken makes all links as fast as they were before slowLink.
func (s *schedule) quicken() {
	for link := range s.slow.links {
		s.c.Limit(link[0], link[1], 0)
		s.c.Delay(link[0], link[1], s.slow.apart)
	}
	s.slow.links = nil
}

// addresses draws what the nodes of a schedule advertise.
type addresses struct {
	t      *testing.T
	draw   *rand.Rand
	drawn  map[int][]string // by node
	hidden bool             // there is a node that cannot be dialled
}

func newAddresses(t *testing.T, seed uint64) *addresses {
	return &addresses{t: t, draw: rand.New(rand.NewPCG(seed, 1)), drawn: map[int][]string{}}
}

// of returns the addresses of a node, which it keeps. Half of the nodes advertise the one
// where they listen. Others name one before it that refuses connections, or that accepts
// and never answers, or both. One in a schedule may name no other: two members who both
// cannot be dialled have no way to each other.
func (a *addresses) of(n *testutil.Node) mosaik.Option {
	i := n.Index()
	if _, known := a.drawn[i]; !known {
		refusing := fmt.Sprintf("127.0.0.1:%d", 1+i)
		drawn := a.draw.IntN(10)
		if drawn == 9 && a.hidden {
			drawn = 8
		}
		switch {
		case drawn < 5:
			a.drawn[i] = []string{n.Addr()}
		case drawn < 7:
			a.drawn[i] = []string{refusing, n.Addr()}
		case drawn < 8:
			a.drawn[i] = []string{a.silent(), n.Addr()}
		case drawn < 9:
			a.drawn[i] = []string{refusing, a.silent(), n.Addr()}
		default:
			a.hidden, a.drawn[i] = true, []string{refusing}
		}
		if !slices.Equal(a.drawn[i], []string{n.Addr()}) {
			a.t.Logf("node %d advertises %v", i, a.drawn[i])
		}
	}
	return mosaik.WithAdvertise(a.drawn[i]...)
}

// silent returns an address at which connections are accepted, and nothing answers.
func (a *addresses) silent() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}
