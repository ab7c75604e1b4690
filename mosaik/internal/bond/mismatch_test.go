package bond

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

// TestMismatch has a node join a group while a connected peer announces other groups, with or
// without this one, no group, or groups that the node has joined as well.
func TestMismatch(t *testing.T) {
	own, others := testGroup(nil, "").ID, []sm.Digest{sm.ID("other 1"), sm.ID("other 2")}
	slices.SortFunc(others, func(a, b sm.Digest) int { return sm.PeerID(a).Compare(sm.PeerID(b)) })
	var many []sm.Digest
	for i := range 100 {
		many = append(many, sm.ID(fmt.Sprint("many ", i)))
	}
	for name, c := range map[string]struct {
		announced []sm.Digest
		joined    []sm.Digest // here, besides own
		peers     int
		groups    int
	}{
		"nothing":            {},
		"others":             {announced: others, peers: 1, groups: 2},
		"many":               {announced: many, peers: 1, groups: maxMismatchGroups},
		"this one":           {announced: []sm.Digest{own}},
		"this one, others":   {announced: append(slices.Clone(others), own)},
		"joined ones":        {announced: others, joined: others},
		"joined one, others": {announced: others, joined: others[:1], peers: 1, groups: 1},
	} {
		t.Run(name, func(t *testing.T) {
			type report struct {
				group sm.Digest
				m     consensus.Mismatch
			}
			reports := make(chan report, 100)
			change := func(s *setup, w *web) {
				onWeb(w, "127.0.0.1:1", nil)(s)
				s.config.Mismatch = func(group sm.Digest, m consensus.Mismatch) { reports <- report{group, m} }
			}
			inBubbleWith(t, change, func(t *testing.T, w *web, a *node) {
				a.link.Serve()
				b := startNode(t, 1, func(s *setup) {
					onWeb(w, "127.0.0.1:2", nil)(s)
					s.groups = c.announced
					s.config.Seeds = []string{"127.0.0.1:1"}
				})
				for _, id := range c.joined {
					g := testGroup(newRecorder(), "")
					g.ID = id
					if _, err := a.manager.Join(g); err != nil {
						t.Fatal(err)
					}
				}
				ms := a.join(testGroup(newRecorder(), ""))
				time.Sleep(mismatchAfter - time.Second)
				synctest.Wait()
				got := ms.Mismatch()
				if got.Peers != c.peers || len(got.Groups) != c.groups {
					t.Errorf("mismatch %v, want %d peers and %d groups", got, c.peers, c.groups)
				}
				if len(reports) > 0 {
					t.Errorf("reported %v within %v", <-reports, mismatchAfter)
				}
				time.Sleep(3 * time.Second)
				if want := c.peers; len(reports) != want {
					t.Fatalf("%d reports, want %d", len(reports), want)
				}
				if c.peers > 0 {
					if diff := cmp.Diff(report{own, got}, <-reports, cmp.AllowUnexported(report{})); diff != "" {
						t.Errorf("reported (-want +got):\n%s", diff)
					}
				}
				// It is reported once, even if the peer announces other groups later.
				for i := range 5 {
					if _, err := b.catalog.Update(func(e *discovery.Entry) { e.Groups = []sm.Digest{sm.ID(fmt.Sprint("next ", i))} }); err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * time.Second)
				}
				if want := 1 - c.peers; c.announced != nil && len(c.joined) == 0 && len(reports) != want {
					t.Errorf("%d reports later, want %d", len(reports), want)
				}
				b.stop()
				time.Sleep(time.Second)
				if got := ms.Mismatch(); got.Peers != 0 {
					t.Errorf("mismatch %v with nobody connected", got)
				}
				ms.Leave()
				if got := ms.Mismatch(); got.Peers != 0 {
					t.Errorf("mismatch %v of a group that was left", got)
				}
			})
		})
	}
}
