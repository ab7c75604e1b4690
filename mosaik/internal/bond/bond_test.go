package bond

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

func up(n *node, hello string) report               { return report{"up", n.peer(), 0, hello} }
func message(n *node, text string) report           { return report{"message", n.peer(), 0, text} }
func down(n *node, code consensus.CloseCode) report { return report{"down", n.peer(), code, ""} }
func refused(n *node, code consensus.CloseCode) report {
	return report{"refused", n.peer(), code, ""}
}

// pair starts two nodes of which the first is the second's seed.
func pair(t *testing.T, first, second int) (a, b *node) {
	t.Helper()
	a = startNode(t, first, nil)
	b = startNode(t, second, seeds(a))
	return a, b
}

// bonded starts two nodes and returns their memberships once they have a bond.
func bonded(t *testing.T, change func(*GroupConfig)) (a, b *node, am, bm *GroupBonds, ar, br *recorder) {
	t.Helper()
	a, b = pair(t, 0, 1)
	ar, br = newRecorder(), newRecorder()
	ag, bg := testGroup(ar, "of a"), testGroup(br, "of b")
	if change != nil {
		change(&ag)
		change(&bg)
	}
	am, bm = a.join(ag), b.join(bg)
	ar.want(t, up(b, "of b"))
	br.want(t, up(a, "of a"))
	return a, b, am, bm, ar, br
}

func TestOneSeedIsEnough(t *testing.T) {
	t.Parallel()
	a := startNode(t, 1, nil)
	b := startNode(t, 0, seeds(a))
	c := startNode(t, 2, seeds(a))
	nodes := []*node{a, b, c}
	recorders := map[*node]*recorder{}
	members := map[*node]*GroupBonds{}
	for i, n := range nodes {
		recorders[n] = newRecorder()
		members[n] = n.join(testGroup(recorders[n], fmt.Sprint("hello ", i)))
	}
	for _, n := range nodes {
		want := map[report]bool{}
		for j, other := range nodes {
			if other == n {
				continue
			}
			want[up(other, fmt.Sprint("hello ", j))] = true
			if got := n.awaitEntry(other.peer(), anyEntry); !cmp.Equal(got.Addrs, []string{other.addr()}) {
				t.Errorf("entry of %s has addresses %v, want %s", other.peer().Short(), got.Addrs, other.addr())
			}
		}
		for range len(want) {
			if got := recorders[n].next(t); !want[got] {
				t.Errorf("reported %v, want one of %v", got, want)
			} else {
				delete(want, got)
			}
		}
	}
	var got []sm.PeerID
	for _, info := range members[a].Bonds() {
		got = append(got, info.Peer)
	}
	if diff := cmp.Diff([]sm.PeerID{b.peer(), c.peer()}, got); diff != "" {
		t.Errorf("bonds differ (-want +got):\n%s", diff)
	}
}

func TestMessagesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	a, b, am, bm, ar, br := bonded(t, nil)
	const n = 1000
	buf := []byte{}
	for i := range n {
		buf = fmt.Append(buf[:0], "message ", i) // Send keeps no reference
		if !am.Send(b.peer(), buf) || !bm.Send(a.peer(), buf) {
			t.Fatalf("message %d was not queued", i)
		}
	}
	for i := range n {
		ar.want(t, message(b, fmt.Sprint("message ", i)))
		br.want(t, message(a, fmt.Sprint("message ", i)))
	}
	size := uint64(len("message ")*n + 10 + 90*2 + 900*3)
	want := []Info{{Peer: b.peer(), MessagesSent: n, MessagesReceived: n, BytesSent: size, BytesReceived: size}}
	if diff := cmp.Diff(want, am.Bonds(), cmpopts.IgnoreFields(Info{}, "Since", "RTT")); diff != "" {
		t.Errorf("bonds differ (-want +got):\n%s", diff)
	}
	if am.Bonds()[0].Since.IsZero() {
		t.Error("Since is zero")
	}
}

func TestSendWithoutABond(t *testing.T) {
	t.Parallel()
	a, b, am, bm, _, br := bonded(t, nil)
	if am.Send(sm.PeerID{1}, nil) {
		t.Error("sent to a stranger")
	}
	if am.Send(b.peer(), make([]byte, MaxPayload+1)) {
		t.Error("sent more than MaxPayload")
	}
	if !am.Send(b.peer(), make([]byte, MaxPayload)) {
		t.Error("did not send MaxPayload")
	}
	if got := br.next(t); got.What != "message" || len(got.Text) != MaxPayload {
		t.Errorf("reported %s of %d bytes, want a message of %d", got.What, len(got.Text), MaxPayload)
	}
	bm.Leave()
	if bm.Send(a.peer(), nil) {
		t.Error("sent after Leave")
	}
}

func TestWrongSecret(t *testing.T) {
	t.Parallel()
	a, b := pair(t, 0, 1)
	ar, br := newRecorder(), newRecorder()
	never := func(sm.PeerID, []byte) consensus.CloseCode {
		t.Error("Accept was called for a peer without proof")
		return 0
	}
	ar.accept, br.accept = never, never
	a.join(testGroup(ar, ""))
	g := testGroup(br, "")
	g.Secrets = []sm.Digest{sm.ID("another secret")}
	b.join(g)
	for range 3 { // the first try and two retries
		ar.want(t, refused(b, consensus.CodeWrongProof))
		br.want(t, refused(a, consensus.CodeWrongProof))
	}
}

// TestSharedSecret bonds members with several secrets, as they have while a group changes its
// secret.
func TestSharedSecret(t *testing.T) {
	t.Parallel()
	first, second, third := sm.ID("first"), sm.ID("second"), sm.ID("third")
	for name, c := range map[string]struct {
		a, b []sm.Digest
		bond bool
	}{
		"both and old":       {[]sm.Digest{second, first}, []sm.Digest{first}, true},
		"both and new":       {[]sm.Digest{second, first}, []sm.Digest{second}, true},
		"both, in any order": {[]sm.Digest{second, first}, []sm.Digest{first, second}, true},
		"one in common":      {[]sm.Digest{first, second}, []sm.Digest{second, third}, true},
		"old and new":        {[]sm.Digest{first}, []sm.Digest{second}, false},
		"none in common":     {[]sm.Digest{first, second}, []sm.Digest{third}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pair(t, 0, 1)
			ar, br := newRecorder(), newRecorder()
			ag, bg := testGroup(ar, "of a"), testGroup(br, "of b")
			ag.Secrets, bg.Secrets = c.a, c.b
			a.join(ag)
			b.join(bg)
			if c.bond {
				ar.want(t, up(b, "of b"))
				br.want(t, up(a, "of a"))
			} else {
				ar.want(t, refused(b, consensus.CodeWrongProof))
				br.want(t, refused(a, consensus.CodeWrongProof))
			}
		})
	}
}

// TestSecretsAreBounded joins without a secret and with too many.
func TestSecretsAreBounded(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	for _, n := range []int{0, MaxSecrets + 1} {
		g := testGroup(newRecorder(), "")
		g.Secrets = make([]sm.Digest, n)
		_, err := a.manager.Join(g)
		wantText(t, err, fmt.Sprintf("GroupConfig.Secrets has %d secrets; it must have 1 to 4", n))
	}
}

// TestAnswerLater has a handler answer after Accept has returned. Other events are reported
// meanwhile.
func TestAnswerLater(t *testing.T) {
	t.Parallel()
	a, b := pair(t, 0, 1)
	ar, br := newRecorder(), newRecorder()
	answers := make(chan func(consensus.CloseCode), 2)
	a.join(testGroup(slowRecorder{ar, answers}, "of a"))
	bm := b.join(testGroup(br, "of b"))
	refuse := <-answers
	bm.Close(a.peer(), 4711)
	ar.want(t, refused(b, 4711)) // the handler's goroutine is not blocked
	refuse(consensus.CodeTicketRefused)
	accept := <-answers // of the next attempt, which the late answer did not affect
	accept(consensus.CodeAccepted)
	accept(consensus.CodeTicketRefused) // only the first answer counts
	ar.want(t, up(b, "of b"))
	br.await(t, up(a, "of a"))
	br.wantNothing(t)
}

// slowRecorder is a recorder whose answers come from the test.
type slowRecorder struct {
	*recorder
	answers chan func(consensus.CloseCode)
}

func (r slowRecorder) Accept(_ sm.PeerID, _ []byte, answer func(consensus.CloseCode)) {
	r.answers <- answer
}

func TestUnknownGroup(t *testing.T) {
	t.Parallel()
	a, b := pair(t, 0, 1)
	ar, br := newRecorder(), newRecorder()
	a.list(testGroup(nil, "").ID) // and does not join
	b.join(testGroup(br, "of b"))
	br.want(t, refused(a, consensus.CodeUnknownGroup))
	br.want(t, refused(a, consensus.CodeUnknownGroup))
	if _, err := a.manager.Join(testGroup(ar, "of a")); err != nil {
		t.Fatal(err)
	}
	ar.want(t, up(b, "of b"))
	br.await(t, up(a, "of a"))
}

// TestListedAgain has a bond refused, with a pause longer than any test, and the group listed
// again. The retry must not wait for the end of the pause.
func TestListedAgain(t *testing.T) {
	t.Parallel()
	slow := func(s *setup) { s.config.Redial = rate.Bounds{Min: 10 * patience, Max: 20 * patience} }
	a := startNode(t, 0, slow)
	b := startNode(t, 1, func(s *setup) { slow(s); seeds(a)(s) })
	group := testGroup(nil, "").ID
	ar, br := newRecorder(), newRecorder()
	a.list(group)
	b.join(testGroup(br, "of b"))
	br.want(t, refused(a, consensus.CodeUnknownGroup))
	if _, err := a.catalog.Update(func(e *discovery.Entry) { e.Groups = nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := b.catalog.Update(func(e *discovery.Entry) { e.Groups = nil }); err != nil {
		t.Fatal(err)
	}
	b.awaitEntry(a.peer(), func(s discovery.Signed) bool { return len(s.Groups) == 0 })
	a.awaitEntry(b.peer(), func(s discovery.Signed) bool { return len(s.Groups) == 0 })
	a.join(testGroup(ar, "of a")) // b is not listed: only b can begin
	ar.want(t, up(b, "of b"))
	br.want(t, up(a, "of a"))
}

// TestRefusedAndChanged has a bond refused, with a pause longer than any test. When the refused
// peer changes its entry, the bond is tried again at once.
func TestRefusedAndChanged(t *testing.T) {
	t.Parallel()
	slow := func(s *setup) { s.config.Redial = rate.Bounds{Min: 10 * patience, Max: 20 * patience} }
	a := startNode(t, 0, slow)
	b := startNode(t, 1, func(s *setup) { slow(s); seeds(a)(s) })
	ar, br := newRecorder(), newRecorder()
	ar.accept = func(peer sm.PeerID, _ []byte) consensus.CloseCode {
		if entry, _ := a.catalog.Get(peer); len(entry.Tags) == 0 {
			return consensus.CodeTicketRefused
		}
		return consensus.CodeAccepted
	}
	a.join(testGroup(ar, "of a"))
	b.join(testGroup(br, "of b"))
	ar.want(t, refused(b, consensus.CodeTicketRefused))
	br.want(t, refused(a, consensus.CodeTicketRefused))
	if _, err := b.catalog.Update(func(e *discovery.Entry) { e.Tags = []string{"better"} }); err != nil {
		t.Fatal(err)
	}
	ar.want(t, up(b, "of b"))
	br.want(t, up(a, "of a"))
}

func TestAcceptRefuses(t *testing.T) {
	t.Parallel()
	a, b := pair(t, 0, 1)
	ar, br := newRecorder(), newRecorder()
	ar.accept = func(peer sm.PeerID, hello []byte) consensus.CloseCode {
		if peer != b.peer() || string(hello) != "of b" {
			t.Errorf("asked about %s with %q, want %s with %q", peer.Short(), hello, b.peer().Short(), "of b")
		}
		return 4711
	}
	a.join(testGroup(ar, "of a"))
	b.join(testGroup(br, "of b"))
	ar.want(t, refused(b, 4711))
	br.want(t, refused(a, 4711))
}

func TestCloseABond(t *testing.T) {
	t.Parallel()
	a, b, am, _, ar, br := bonded(t, nil)
	am.Close(b.peer(), consensus.CodeTicketRefused)
	ar.want(t, down(b, consensus.CodeTicketRefused))
	br.want(t, down(a, consensus.CodeTicketRefused))
	ar.want(t, up(b, "of b")) // both still list the group
	br.want(t, up(a, "of a"))
}

func TestLeave(t *testing.T) {
	t.Parallel()
	a, b, am, _, ar, br := bonded(t, nil)
	am.Leave()
	ar.want(t, down(b, consensus.CodeCancelled))
	br.want(t, down(a, consensus.CodeCancelled))
	br.want(t, refused(a, consensus.CodeUnknownGroup)) // still listed, tried again
	am.Leave()
	ar.wantNothing(t)

	a.join(testGroup(ar, "again"))
	ar.want(t, up(b, "of b"))
	br.await(t, up(a, "again"))
}

func TestCloseOfTheManager(t *testing.T) {
	t.Parallel()
	a, b, am, _, ar, br := bonded(t, nil)
	a.stop()
	ar.want(t, down(b, consensus.CodeCancelled))
	br.want(t, down(a, consensus.CodeCancelled))
	am.Leave()
	if _, err := a.manager.Join(testGroup(ar, "")); err == nil {
		t.Error("joined a group of a closed manager")
	}
}
