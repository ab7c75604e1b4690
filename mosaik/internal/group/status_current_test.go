package group

import "testing"

// TestStatusShowsWhoKnowsTheMembership changes nothing but which membership change a peer knows.
// TransferLeadership waits for that.
func TestStatusShowsWhoKnowsTheMembership(t *testing.T) {
	t.Parallel()
	g, l := leaver()
	b := peerOf("b")
	before := g.view()
	a := g.peers[b]
	a.Change = l.members.ChangeID
	g.peers[b] = a
	after := g.view()
	if before.equal(after) || len(before.Current) != 0 || len(after.Current) != 1 || after.Current[0] != b {
		t.Errorf("the members %v know the last change before, %v after", before.Current, after.Current)
	}
}

// TestStatusShowsPoisonedPeers changes nothing but that the machine of a peer has panicked.
func TestStatusShowsPoisonedPeers(t *testing.T) {
	t.Parallel()
	g, _ := leaver()
	b := peerOf("b")
	before := g.view()
	a := g.peers[b]
	a.Poisoned = true
	g.peers[b] = a
	if after := g.view(); before.equal(after) {
		t.Errorf("the status is %+v before and after", after)
	}
}
