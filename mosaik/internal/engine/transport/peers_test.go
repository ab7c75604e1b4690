package transport

import (
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

func TestAdmissions(t *testing.T) {
	t.Parallel()
	p := newPeers()
	a, b := sm.PeerID{1}, sm.PeerID{2}
	if !p.admit(1, 10, a) || p.admit(1, 10, b) {
		t.Error("a replica must belong to the first peer that is admitted for it")
	}
	if !p.speaksFor(a, 1, 10) || p.speaksFor(b, 1, 10) || p.speaksFor(a, 2, 10) || p.speaksFor(a, 1, 11) {
		t.Error("a speaks for replica 10 of shard 1 and nothing else")
	}
	if !p.admit(1, 11, a) || p.speaksFor(a, 1, 10) || !p.speaksFor(a, 1, 11) {
		t.Error("a new replica must take the place of the old one")
	}
	now := time.Now()
	p.missed(a, now)
	if !p.pausing(a, now) || p.pausing(a, now.Add(minPause)) {
		t.Error("a peer that was not reached must be left alone for a while")
	}
	p.missed(a, now)
	if !p.pausing(a, now.Add(minPause)) || p.pausing(a, now.Add(maxPause)) {
		t.Error("the second pause must be longer than the first")
	}
	if p.admit(1, 11, a); p.pausing(a, now) {
		t.Error("a peer that is admitted again must be dialled at once")
	}
	p.missed(a, now)
	if p.reached(a); p.pausing(a, now) {
		t.Error("a peer that dialled us must be dialled at once")
	}
	p.expel(1, a)
	if p.speaksFor(a, 1, 11) || p.admit(1, 11, b) {
		t.Error("an expelled peer must not speak, and keeps its replica ids")
	}
	if len(p.known) != 0 {
		t.Errorf("%d peers are remembered for nothing", len(p.known))
	}
}
