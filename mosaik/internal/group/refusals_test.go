package group

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	var r refusals
	a, b := sm.PeerID{1}, sm.PeerID{2}
	if !r.note(b, consensus.CodeWrongProof) || r.note(b, consensus.CodeWrongProof) || !r.note(b, consensus.CodePolicy) || !r.note(a, consensus.CodeWrongProof) {
		t.Error("another code is new for the peer, the same is not")
	}
	want := []consensus.RefusedError{{Peer: a, Code: consensus.CodeWrongProof}, {Peer: b, Code: consensus.CodePolicy}}
	if diff := cmp.Diff(want, r.list()); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	r.forget(b)
	if diff := cmp.Diff(want[:1], r.list()); diff != "" {
		t.Errorf("refusals after one was forgotten (-want +got):\n%s", diff)
	}
	for i := range byte(200) {
		r.note(sm.PeerID{9, i}, consensus.CodeWrongProof)
	}
	if got := len(r.list()); got != maxRefusals {
		t.Errorf("%d refusals are remembered, want %d", got, maxRefusals)
	}
}
