package group

import (
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// TestApart tells epochs of which none yields from those that settle it among
// themselves.
func TestApart(t *testing.T) {
	ours, theirs := epochOf("E"), epochOf("F")
	for _, c := range []struct {
		name    string
		life    *life
		applied sm.Index
		peer    Announcement
		want    bool
	}{
		{"both hold commands", &life{epoch: ours}, 1, Announcement{Epoch: theirs, Count: 1}, true},
		{"the same epoch", &life{epoch: ours}, 1, Announcement{Epoch: ours, Count: 1}, false},
		{"ours is empty", &life{epoch: ours}, 0, Announcement{Epoch: theirs, Count: 1}, false},
		{"theirs is empty", &life{epoch: ours}, 1, Announcement{Epoch: theirs}, false},
		{"the peer is in none", &life{epoch: ours}, 1, Announcement{}, false},
		{"this member is in none", nil, 1, Announcement{Epoch: theirs, Count: 1}, false},
	} {
		g := &Group{life: c.life}
		if c.life != nil {
			c.life.applied.Store(uint64(c.applied))
		}
		if got := g.apart(c.peer); got != c.want {
			t.Errorf("%s: apart = %v, want %v", c.name, got, c.want)
		}
	}
}
