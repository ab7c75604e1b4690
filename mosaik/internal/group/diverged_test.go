package group

import (
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// TestApart distinguishes diverged epochs, of which none yields, from pairs in
// which one epoch yields.
func TestApart(t *testing.T) {
	ours, theirs := epochOf("E"), epochOf("F")
	for _, c := range []struct {
		name    string
		local   *localReplica
		applied sm.Index
		peer    Announcement
		want    bool
	}{
		{"both hold commands", &localReplica{epoch: ours}, 1, Announcement{Epoch: theirs, AppliedIndex: 1}, true},
		{"the same epoch", &localReplica{epoch: ours}, 1, Announcement{Epoch: ours, AppliedIndex: 1}, false},
		{"ours is empty", &localReplica{epoch: ours}, 0, Announcement{Epoch: theirs, AppliedIndex: 1}, false},
		{"theirs is empty", &localReplica{epoch: ours}, 1, Announcement{Epoch: theirs}, false},
		{"the peer is in none", &localReplica{epoch: ours}, 1, Announcement{}, false},
		{"this member is in none", nil, 1, Announcement{Epoch: theirs, AppliedIndex: 1}, false},
	} {
		g := &Group{local: c.local}
		if c.local != nil {
			c.local.appliedIndex.Store(uint64(c.applied))
		}
		if got := g.diverged(c.peer); got != c.want {
			t.Errorf("%s: diverged = %v, want %v", c.name, got, c.want)
		}
	}
}
