package bond

import (
	"bytes"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
)

// TestForgedEntry sends entries after one that no honest peer relays. None of them may cost a
// verification.
func TestForgedEntry(t *testing.T) {
	t.Parallel()
	entries := crowdEntries(t, crowd(t, 20), 1, nil)
	forged := func(change func(raw []byte) []byte) []byte {
		frame := appendEntries(entries[:1])[0]
		for range 50 {
			raw := change(bytes.Clone(entries[1].Bytes()))
			frame = append(append(frame, 0, 0, byte(len(raw)>>8), byte(len(raw))), raw...)
		}
		return frame
	}
	for name, change := range map[string]func(raw []byte) []byte{
		"signature": func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return raw },
		"version":   func(raw []byte) []byte { raw[72]++; return raw },
		"cut":       func(raw []byte) []byte { return raw[:len(raw)-1] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startNode(t, 0, nil)
			r := connectRaw(t, a, 1)
			r.send(kindEntries, forged(change))
			r.expectGoodbye(consensus.CodeUndecodable)
			if got := a.manager.counts.verified.Load(); got != 2 {
				t.Errorf("%d entries were verified, want 2, up to the first that is forged", got)
			}
		})
	}
	t.Run("on a bond", func(t *testing.T) {
		t.Parallel()
		_, r, _, rec := rawBond(t, nil)
		r.send(kindEntries, forged(func(raw []byte) []byte { raw[len(raw)-1] ^= 1; return raw }))
		r.expectGoodbye(consensus.CodeUndecodable)
		rec.want(t, report{"down", r.id.Peer(), consensus.CodeUndecodable, ""})
	})
}

// TestEntriesOfOtherVersions sends an entry of a newer format. It is skipped and counts in the
// budget.
func TestEntriesOfOtherVersions(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	const enough = 1000
	a.limit(func(b *budgets) { b.verify = rate.NewBucket(enough, 1e-9, time.Now()) })
	r := connectRaw(t, a, 1)
	entries := crowdEntries(t, crowd(t, 2), 1, nil)
	frame := appendEntries(entries[:1])[0]
	newer := bytes.Clone(frame)
	newer[4] = 2 // format version
	frame = append(append(newer, newer...), appendEntries(entries[1:])[0]...)
	r.send(kindEntries, frame)
	r.sync()
	if got := int(a.manager.budgets.verify.Left() + 0.5); got != enough-3 || a.catalog.Len() != 1 {
		t.Errorf("%d left for %d entries, want %d for 1", got, a.catalog.Len(), enough-3)
	}
}

// TestVerificationsAreBounded has strangers send more entries than the budget allows. No more
// are verified, no connection ends, and a newcomer bonds.
func TestVerificationsAreBounded(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	const most, greedy, each = 10, 4, 20
	a.limit(func(b *budgets) { b.verify = rate.NewBucket(most, 1e-9, time.Now()) })
	rec := newRecorder()
	g := testGroup(rec, "of a")
	a.join(g)
	ids := crowd(t, greedy+greedy*each)
	var raws []*raw
	for i, id := range ids[:greedy] {
		r := crowdRaw(t, a, id)
		r.sendEntries(r.entry(1)) // its own entry, which has another budget
		r.settle()
		r.sendEntries(crowdEntries(t, ids[greedy+i*each:greedy+(i+1)*each], 1, nil)...)
		raws = append(raws, r)
	}
	ends := make([]*conn, greedy)
	for i, r := range raws {
		ends[i] = r.end(a)
	}
	a.eventually("all wait for their turn", func() bool {
		for _, c := range ends {
			if !c.paused {
				return false
			}
		}
		return true
	})
	r := connectRaw(t, a, 1)
	r.conn.SetDeadline(time.Now().Add(patience))
	r.sendEntries(r.entry(1, g.ID))
	for kind := uint8(0); kind != kindOpen; { // after the entries of the catalog
		kind, _ = r.read()
	}
	r.open(1)
	if kind := r.past(kindEntries); kind != kindIntro {
		t.Fatalf("got a frame of kind %d, want INTRO", kind)
	}
	r.send(kindIntro, introFrame{g.ID, 1, 1, []byte("of raw")}.append(nil))
	r.send(kindAccept, acceptFrame{g.ID, 1, 1}.append(nil))
	rec.want(t, report{"up", r.id.Peer(), 0, "of raw"})
	if got := a.manager.counts.verified.Load(); got != most+greedy+1 {
		t.Errorf("%d entries were verified, want %d and the first of %d peers", got, most, greedy+1)
	}

	// This end does not read, so the silence of the others does not end their connections.
	a.manager.mu.Lock()
	for i, c := range ends {
		c.lastFrame, c.missed = time.Time{}, 1000
		c.checkSilence(time.Now())
		if c.ended {
			t.Errorf("connection %d ended while it waited", i)
		}
	}
	a.manager.mu.Unlock()
}

// TestAllowanceOfOneConnection checks that one connection cannot use up the shared budget.
func TestAllowanceOfOneConnection(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a := newAllowance(now)
	burst := a.verify.Left()
	a.verify.Take(burst, now)
	if wait := a.verify.Take(verifyRate/2, now); burst > verifyBurst/2 || wait < time.Second {
		t.Errorf("one connection has %v at once, and %d more after %v, of %d and %d/s", burst, verifyRate/2, wait, verifyBurst, verifyRate)
	}
}

// TestFullCatalog has the peer at a seed's address send a full catalog, and a stranger a quarter
// of that. Neither has to wait.
func TestFullCatalog(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds with the race detector")
	}
	t.Parallel()
	entries := crowdEntries(t, identities(t, discovery.MaxPeers, anyPeer), 1, nil)
	for name, seed := range map[string]bool{"stranger": false, "seed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries := entries
			if !seed {
				entries = entries[:verifyBurst/2]
			}
			a := startNode(t, 0, nil)
			r := connectRaw(t, a, 1)
			a.bearWith(r)
			if seed {
				s := a.manager.newSeed("127.0.0.1:7", maxSeedPause)
				s.peers["127.0.0.1:7"] = r.id.Peer()
				a.manager.mu.Lock()
				a.manager.seeds = append(a.manager.seeds, s)
				a.manager.mu.Unlock()
			}
			begin := time.Now()
			r.sendEntries(entries...)
			r.sync()
			t.Logf("%d entries within %v", len(entries), time.Since(begin))
			if got := a.catalog.Len(); got != len(entries) {
				t.Errorf("%d entries are known, want all %d", got, len(entries))
			}
			c := r.end(a)
			all, one := a.manager.budgets.verify.Left(), c.allowance.verify.Left()
			if all < 0 || one < 0 {
				t.Errorf("%v and %v are left of the budgets, want at least 0: the connection had to wait", all, one)
			}
			if seed && all != verifyBurst {
				t.Errorf("%v are left of the strangers' budget, want all %d", all, verifyBurst)
			}
		})
	}
}

// TestStaleEntriesCostNothing sends entries that are not newer than the known ones.
func TestStaleEntriesCostNothing(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	r := connectRaw(t, a, 1)
	x := identity(t, 3)
	r.sendEntries(signEntry(t, x, discovery.Entry{Network: network, Version: 5}))
	r.sync()
	for version := range uint64(5) {
		r.sendEntries(signEntry(t, x, discovery.Entry{Network: network, Version: version}))
	}
	r.sendEntries(signEntry(t, a.id, discovery.Entry{Network: network, Version: 1}))
	r.sync()
	if got := a.manager.counts.verified.Load(); got != 1 {
		t.Errorf("%d entries were verified, want 1", got)
	}
}

// TestBondsHaveTheirOwnBudget uses up the budgets of strangers.
func TestBondsHaveTheirOwnBudget(t *testing.T) {
	t.Parallel()
	a, r, _, _ := rawBond(t, nil)
	a.limit(func(b *budgets) {
		for _, of := range []*rate.Bucket{b.verify, b.firstEntries, b.smallFrames, b.largeFrames, b.relay} {
			of.Take(1e15, time.Now())
		}
	})
	r.sendEntries(crowdEntries(t, crowd(t, 3), 1, nil)...)
	r.sync()
	if got := a.catalog.Len(); got != 4 {
		t.Errorf("%d entries are known, want 4", got)
	}
}

// TestHelloIsBounded sends a hello that exceeds the limit.
func TestHelloIsBounded(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	g := testGroup(newRecorder(), "of a")
	a.join(g)
	r := connectRaw(t, a, 1, g.ID)
	r.expect(kindOpen)
	r.open(1)
	r.expect(kindIntro)
	r.send(kindIntro, introFrame{g.ID, 1, 1, make([]byte, MaxHello+1)}.append(nil))
	r.expectGoodbye(consensus.CodeUndecodable)
}

// TestFramesOfStrangersAreSmaller sends the largest entry, and a frame that is larger.
func TestFramesOfStrangersAreSmaller(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	r := connectRaw(t, a, 1)
	r.sendEntries(crowdEntries(t, crowd(t, 1), 1, large)...)
	r.sync()
	if a.catalog.Len() != 1 {
		t.Error("the largest entry was refused")
	}
	r.send(kindMessage, make([]byte, maxStrangerFrame+1))
	r.expectGoodbye(consensus.CodeUndecodable)
}
