package bond

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
)

// heapInUse returns the bytes of the heap that are in use after a garbage collection.
func heapInUse() int {
	runtime.GC()
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}

// TestCatalogIsNotCopied connects peers that do not read to a node with a full catalog. It is not
// parallel, since it measures the heap.
func TestCatalogIsNotCopied(t *testing.T) {
	const readers = 12
	a := startNode(t, 0, nil)
	for _, s := range crowdEntries(t, identities(t, discovery.MaxCatalogBytes/discovery.MaxSize, anyPeer), 1, large) {
		a.catalog.Put(s)
	}
	ids := crowd(t, readers)
	before := heapInUse()
	var ends []*conn
	for _, id := range ids {
		ends = append(ends, crowdRaw(t, a, id).end(a))
	}
	stuck := map[*conn]bool{}
	a.eventually("all are written to", func() bool {
		for _, c := range ends {
			if _, inFlight := c.out.deadline(); inFlight || c.ended {
				stuck[c] = true
			}
		}
		return len(stuck) == readers
	})
	a.manager.mu.Lock()
	holds := a.manager.held.strangers
	a.manager.mu.Unlock()
	grown := heapInUse() - before
	t.Logf("%d connections that do not read hold %d bytes, the heap grew by %d", readers, holds, grown)
	if most := readers * maxStrangerFrame; holds == 0 || holds > most {
		t.Errorf("they hold %d bytes, want more than none and %d at most, a frame each", holds, most)
	}
	if most := readers * (2*maxStrangerFrame + 256<<10); grown > most {
		t.Errorf("the heap grew by %d bytes, want %d at most", grown, most)
	}
}

// whenNothingIsHeld waits until no earlier frame counts as held, and calls do with the
// mutex held.
func (n *node) whenNothingIsHeld(do func()) {
	n.t.Helper()
	n.eventually("nothing is held", func() bool {
		nothing := n.manager.held == held{}
		if nothing && do != nil {
			do()
		}
		return nothing
	})
}

// threeStrangers returns a node and its ends of three connections.
func threeStrangers(t *testing.T) (*node, []*raw, []*conn) {
	t.Helper()
	a := startNode(t, 0, nil)
	var raws []*raw
	var ends []*conn
	for n := range 3 {
		r := connectRaw(t, a, n+1)
		a.bearWith(r)
		r.sync()
		raws, ends = append(raws, r), append(ends, r.end(a))
	}
	return a, raws, ends
}

// TestHeldIsBoundedInAll has connections together hold more than their common bound. The
// connection that holds most must end, and its bytes must no longer count.
func TestHeldIsBoundedInAll(t *testing.T) {
	t.Parallel()
	a, raws, ends := threeStrangers(t)
	a.whenNothingIsHeld(func() {
		a.manager.held.strangers = maxHeldByStrangers - 3000
		there := []bool{ends[0].hold(1000), ends[1].hold(1500), ends[2].hold(500), ends[2].hold(1)}
		for i, c := range ends {
			if there[i] != true || c.ended != (i == 1) {
				t.Errorf("connection %d: held %v, ended %v, want true and %v", i, there[i], c.ended, i == 1)
			}
		}
		if got, want := a.manager.held.strangers, maxHeldByStrangers-3000+1501; got != want || !there[3] {
			t.Errorf("%d bytes are counted, want %d", got, want)
		}
		if ends[2].hold(1501) || !ends[2].ended { // it holds most itself
			t.Error("a connection that holds most has not ended")
		}
		ends[1].release(1500) // like its writer
		if got, want := a.manager.held.strangers, maxHeldByStrangers-2000; got != want {
			t.Errorf("%d bytes are counted, want %d", got, want)
		}
		ends[0].release(1000)
	})
	raws[0].sync()
}

// TestHeldIsBoundedForOne has one connection exceed its bound.
func TestHeldIsBoundedForOne(t *testing.T) {
	t.Parallel()
	a, raws, ends := threeStrangers(t)
	a.whenNothingIsHeld(func() {
		if !ends[0].hold(maxHeldStranger) || ends[0].hold(1) || !ends[0].ended {
			t.Error("a connection holds more than it may")
		}
		if got := a.manager.held; got != (held{}) {
			t.Errorf("%+v is counted, want nothing", got)
		}
	})
	raws[1].sync()
}

// TestBondsAreHeldApart has strangers use up their bound. A connection with a bond does not end,
// and its bytes count among those of connections with a bond.
func TestBondsAreHeldApart(t *testing.T) {
	t.Parallel()
	a, r, ms, rec := rawBond(t, nil)
	c := r.end(a)
	stranger := connectRaw(t, a, 2)
	stranger.settle()
	other := stranger.end(a)
	a.whenNothingIsHeld(func() {
		c.hold(5 << 20)
		if got, want := a.manager.held, (held{bonded: 5 << 20}); got != want {
			t.Errorf("%+v is counted, want %+v", got, want)
		}
		a.manager.held.strangers = maxHeldByStrangers
		other.hold(1)
		if c.ended {
			t.Error("a bond ended because of the bytes that strangers hold")
		}
		a.manager.held.strangers = 0
		c.release(5<<20 - 10)
	})
	ms.Close(r.id.Peer(), consensus.CodeTicketRefused)
	rec.want(t, report{"down", r.id.Peer(), consensus.CodeTicketRefused, ""})
	a.eventually("what is held is counted behind the bond", func() bool {
		got := a.manager.held
		return got.bonded == 0 && got.strangers >= 10
	})
}

// TestStalledFrameIsHeld sends the beginning of a large frame and, after a while, the rest.
func TestStalledFrameIsHeld(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, nil)
	r := connectRaw(t, a, 1)
	r.sync()
	c := r.end(a)
	payload := appendEntries(crowdEntries(t, crowd(t, 1), 1, large))[0]
	wire := append([]byte{0, byte((len(payload) + 1) >> 16), byte((len(payload) + 1) >> 8), byte(len(payload) + 1), kindEntries}, payload...)
	if _, err := r.conn.Write(wire[:1000]); err != nil {
		t.Fatal(err)
	}
	a.eventually("the frame is held", func() bool { return c.holds == len(payload) })
	if _, err := r.conn.Write(wire[1000:]); err != nil {
		t.Fatal(err)
	}
	r.sync()
	a.whenNothingIsHeld(nil)

	if _, err := r.conn.Write(wire[:1000]); err != nil {
		t.Fatal(err)
	}
	a.eventually("the frame is held", func() bool { return c.holds == len(payload) })
	a.manager.mu.Lock()
	c.lastFrame, c.missed = time.Now().Add(-idleHeartbeat.silence()), idleHeartbeat.probes()
	c.checkSilence(time.Now())
	ended := c.ended
	a.manager.mu.Unlock()
	if !ended {
		t.Error("an incomplete frame was taken for a sign of life")
	}
	a.whenNothingIsHeld(nil)
}

// TestPeerThatStopsReading has a peer not read a frame in time.
func TestPeerThatStopsReading(t *testing.T) {
	t.Parallel()
	a, r, ms, rec := rawBond(t, nil)
	c := r.end(a)
	payload := make([]byte, MaxPayload)
	for range maxHeld/maxFrame - 1 {
		if !ms.Send(r.id.Peer(), payload) {
			t.Fatal("a message was not queued")
		}
	}
	a.eventually("a frame is in flight", func() bool {
		limit, inFlight := c.out.deadline()
		if !inFlight {
			return false
		}
		if c.checkStall(limit.Add(-1), limit.Add(time.Hour)); c.ended {
			t.Error("the connection ended before the limit")
		}
		c.checkStall(limit, limit)
		return c.ended
	})
	rec.want(t, report{"down", r.id.Peer(), consensus.CodeTimeout, ""})
	a.whenNothingIsHeld(nil)
}

// TestUnsolicitedPong sends PONGs that answer no PING. They are no sign of life.
func TestUnsolicitedPong(t *testing.T) {
	t.Parallel()
	a, raws, ends := threeStrangers(t)
	long := time.Now().Add(-time.Minute)
	a.manager.mu.Lock()
	c := ends[0]
	c.nonce, c.pinged = 7, time.Now()
	for _, step := range []struct {
		name  string
		kind  uint8
		n     uint64
		alive bool
	}{
		{"PONG that was not asked for", kindPong, 8, false},
		{"PONG", kindPong, 7, true},
		{"PONG again", kindPong, 7, false},
		{"PING", kindPing, 1, true},
	} {
		c.lastFrame, c.missed = long, 3
		a.manager.mu.Unlock()
		code, err := c.handle(step.kind, appendNumber(nil, step.n))
		a.manager.mu.Lock()
		if alive := c.lastFrame != long && c.missed == 0; alive != step.alive || code != 0 || err != nil {
			t.Errorf("%s: alive %v, code %d, error %v, want %v", step.name, alive, code, err, step.alive)
		}
	}
	a.manager.mu.Unlock()
	raws[1].sync()
}

// TestIdleConnection measures the heap and the stacks of both ends of a connection without a bond
// while no frame is in flight. It is not parallel.
func TestIdleConnection(t *testing.T) {
	const peers, most = 100, 128 << 10
	a := startNode(t, 0, nil)
	ids := crowd(t, peers)
	used := func() int {
		n := heapInUse()
		s := []metrics.Sample{{Name: "/memory/classes/heap/stacks:bytes"}}
		metrics.Read(s)
		return n + int(s[0].Value.Uint64())
	}
	before, goroutines := used(), runtime.NumGoroutine()
	for _, id := range ids {
		r := crowdRaw(t, a, id)
		r.sendEntries(r.entry(1))
		r.settle()
	}
	a.whenNothingIsHeld(nil)
	grown := (used() - before) / peers
	t.Logf("a connection costs %d bytes and %d goroutines, both ends together", grown, (runtime.NumGoroutine()-goroutines)/peers)
	if grown > most {
		t.Errorf("a connection costs %d bytes, want %d at most", grown, most)
	}
}
