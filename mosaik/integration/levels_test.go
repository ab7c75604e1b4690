package integration_test

import (
	"testing"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// grownTill is a till whose schema has a second level.
type grownTill struct{ till }

func newGrownTill() *grownTill { return &grownTill{} }

func (c *grownTill) Spec() sm.Spec[step] {
	s := c.till.Spec()
	s.Levels = []sm.Digest{s.Signature, sm.ID("level 2")}
	s.Codec = leveledCodec{s.Codec}
	return s
}

type leveledCodec struct{ codec.Codec[step] }

func (c leveledCodec) AppendLevel(dst []byte, s step, _ uint32) ([]byte, error) {
	return c.Append(dst, s)
}
func (c leveledCodec) DecodeLevel(src []byte, _ uint32) (step, error) { return c.Decode(src) }

// Members of one group whose machines know other levels do not meet: one would
// refuse commands that the other applies.
func TestLevelsThatDifferDoNotBond(t *testing.T) {
	t.Parallel()
	c, books := newLoggedCluster(t, 2)
	lone := consensus.Policy{}
	old := testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(c.Node(0).Builder(), newTill).WithMembership(lone))
	grown := testutil.JoinWith(c.Node(1), mosaik.WithStateMachine(c.Node(1).Builder(), newGrownTill).WithMembership(lone))
	if old.ID() != grown.ID() {
		t.Fatal("a new level changes the group's id")
	}
	for i, book := range books {
		if err := book.wait(soon(t), "no bond", "group="+old.ID().Short(), "other levels of the schema"); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	wantRefused(t, old, consensus.RefusedError{Peer: c.Node(1).Peer(), Code: consensus.CodeSchema})
	wantRefused(t, grown, consensus.RefusedError{Peer: c.Node(0).Peer(), Code: consensus.CodeSchema})
	testutil.Settle(t, old)
	testutil.Settle(t, grown)
	if len(old.Bonds()) != 0 || len(grown.Bonds()) != 0 {
		t.Errorf("bonds %+v and %+v, want none", old.Bonds(), grown.Bonds())
	}
}
