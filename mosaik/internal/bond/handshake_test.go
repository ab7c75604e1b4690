package bond

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/sm"
)

// TestHandshakeTransitions applies every event in every state and compares the outcome with
// a table that lists all valid transitions.
func TestHandshakeTransitions(t *testing.T) {
	t.Parallel()
	type step struct {
		from  handshakeState
		event handshakeEvent
	}
	valid := map[step]handshakeState{
		{stateIdle, sentOpen}:       stateOpened,
		{stateOpened, receivedOpen}: stateProved,

		{stateProved, receivedIntro}:               stateIntroduced,
		{stateProved, receivedAccept}:              stateProvedAndAccepted,
		{stateProvedAndAccepted, receivedIntro}:    stateIntroducedAndAccepted,
		{stateIntroduced, receivedAccept}:          stateIntroducedAndAccepted,
		{stateIntroduced, sentAccept}:              stateAccepted,
		{stateIntroducedAndAccepted, sentAccept}:   stateUp,
		{stateAccepted, receivedAccept}:            stateUp,
		{stateProved, receivedOpen}:                stateProved,
		{stateProvedAndAccepted, receivedOpen}:     stateProved,
		{stateIntroduced, receivedOpen}:            stateProved,
		{stateIntroducedAndAccepted, receivedOpen}: stateProved,
		{stateAccepted, receivedOpen}:              stateProved,
	}
	for from := range handshakeStates {
		for event := range handshakeEvents {
			want, ok := valid[step{from, event}]
			if !ok {
				want = from
			}
			h := handshake{state: from}
			if got := h.step(event); got != ok || h.state != want {
				t.Errorf("event %d in state %q: valid %v, state %q, want %v, %q", event, from, got, h.state, ok, want)
			}
		}
		h := handshake{state: from, ours: 1, theirs: 2, hello: []byte{3}, deadline: time.Unix(4, 0)}
		was := h.clear()
		if h.state != stateIdle || h.ours != 0 || h.theirs != 0 || h.hello != nil || !h.deadline.IsZero() {
			t.Errorf("clear in state %q leaves %+v", from, h)
		}
		if was.state != from || was.ours != 1 || was.theirs != 2 || len(was.hello) != 1 {
			t.Errorf("clear in state %q returns %+v", from, was)
		}
	}
}

// TestHandshakePredicates checks in every state which predicates hold.
func TestHandshakePredicates(t *testing.T) {
	t.Parallel()
	for state, want := range map[handshakeState]string{
		stateIdle:                  "",
		stateOpened:                "pending",
		stateProved:                "pending proved",
		stateProvedAndAccepted:     "pending proved",
		stateIntroduced:            "pending proved deciding",
		stateIntroducedAndAccepted: "pending proved deciding",
		stateAccepted:              "pending proved",
		stateUp:                    "proved up",
	} {
		h := handshake{state: state}
		var got []byte
		for _, p := range []struct {
			holds bool
			name  string
		}{{h.isPending(), "pending"}, {h.isProved(), "proved"}, {h.isDeciding(), "deciding"}, {h.isUp(), "up"}} {
			if p.holds {
				got = append(append(got, ' '), p.name...)
			}
		}
		if got := string(bytes.TrimSpace(got)); got != want {
			t.Errorf("state %q is %q, want %q", state, got, want)
		}
	}
}

// deferring is a Handler whose answers come from the test.
type deferring struct {
	*recorder
	answers chan func(consensus.CloseCode)
}

func (d deferring) Accept(_ sm.PeerID, _ []byte, answer func(consensus.CloseCode)) {
	d.answers <- answer
}

// scene is a node and a raw peer within a handshake between their OPENs with number
// 1.
type scene struct {
	a      *node
	ms     *GroupBonds
	r      *raw
	rec    *recorder
	group  sm.Digest
	answer func(consensus.CloseCode) // of the handler, nil before Accept was called
}

// newScene brings a handshake into a state.
func newScene(t *testing.T, state handshakeState) *scene {
	t.Helper()
	s := &scene{a: startNode(t, 0, func(s *setup) { s.config.Redial = rate.Bounds{Min: 10 * patience} }), rec: newRecorder()}
	h := deferring{s.rec, make(chan func(consensus.CloseCode), 10)}
	g := testGroup(h, "of a")
	s.group = g.ID
	s.ms = s.a.join(g)
	listed := g.ID
	if state == stateIdle {
		listed = sm.ID("another group")
	}
	s.r = connectRaw(t, s.a, 1, listed)
	if state >= stateOpened {
		s.r.expect(kindOpen)
	}
	if state >= stateProved {
		s.r.open(1)
		s.r.expect(kindIntro)
	}
	if state >= stateIntroduced {
		s.intro()
		s.answer = <-h.answers
	}
	if state >= stateAccepted {
		s.answer(consensus.CodeAccepted)
		s.r.expect(kindAccept)
	}
	switch state {
	case stateProvedAndAccepted, stateIntroducedAndAccepted, stateUp:
		s.accept()
	}
	s.r.sync()
	if got := s.state(); got != state {
		t.Fatalf("the scene is in state %q, want %q", got, state)
	}
	return s
}

func (s *scene) intro()  { s.r.send(kindIntro, introFrame{s.group, 1, 1, []byte("of raw")}.append(nil)) }
func (s *scene) accept() { s.r.send(kindAccept, acceptFrame{s.group, 1, 1}.append(nil)) }

// state returns the node's state, stateIdle without a bond.
func (s *scene) state() handshakeState {
	s.a.manager.mu.Lock()
	defer s.a.manager.mu.Unlock()
	if b := s.ms.bond(s.r.id.Peer()); b != nil {
		return b.state
	}
	return stateIdle
}

// goodbye returns the code with which the node ends the connection, or 0 if it has
// handled all frames and does not end it.
func (s *scene) goodbye() consensus.CloseCode {
	s.r.t.Helper()
	_ = s.r.conn.WriteFrame(kindPing, appendNumber(nil, 42)) // the connection may have ended
	for {
		switch kind, payload := s.r.read(); kind {
		case kindPong:
			return consensus.CodeAccepted
		case kindGoodbye:
			code, err := parseGoodbye(payload)
			if err != nil {
				s.r.t.Fatal(err)
			}
			return code
		}
	}
}

// TestHandshakeOfARawPeer tries every frame, every answer of the handler and every kind
// of end in every state of the handshake.
func TestHandshakeOfARawPeer(t *testing.T) {
	t.Parallel()
	const violation = handshakeStates // the connection ends
	same := func(s handshakeState) handshakeState { return s }
	idle := func(handshakeState) handshakeState { return stateIdle }
	idleUnlessUp := func(s handshakeState) handshakeState {
		if s == stateUp {
			return stateUp
		}
		return stateIdle
	}
	after := func(e handshakeEvent) func(handshakeState) handshakeState {
		return func(s handshakeState) handshakeState {
			if next := transitions[s][e]; next != stateIdle {
				return next
			}
			return s
		}
	}
	for name, c := range map[string]struct {
		do   func(s *scene)
		want func(handshakeState) handshakeState
	}{
		"OPEN": {func(s *scene) { s.r.open(2) }, func(s handshakeState) handshakeState {
			if s == stateUp {
				return stateUp // refused as already bonded
			}
			return stateProved
		}},
		"OPEN without the key": {func(s *scene) {
			s.r.send(kindOpen, openFrame{group: s.group, number: 2, proofs: []sm.Digest{{}}}.append(nil))
		}, idleUnlessUp},
		"INTRO": {func(s *scene) { s.intro() }, func(s handshakeState) handshakeState {
			if s >= stateIntroduced {
				return violation // a duplicate
			}
			return after(receivedIntro)(s)
		}},
		"INTRO of another OPEN": {func(s *scene) { s.r.send(kindIntro, introFrame{s.group, 1, 9, nil}.append(nil)) }, same},
		"ACCEPT":                {func(s *scene) { s.accept() }, after(receivedAccept)},
		"ACCEPT of another OPEN": {func(s *scene) {
			s.r.send(kindAccept, acceptFrame{s.group, 9, 1}.append(nil))
		}, same},
		"CLOSE":                 {func(s *scene) { s.r.send(kindClose, closeFrame{s.group, 1, 1, 4711}.append(nil)) }, idle},
		"CLOSE of another OPEN": {func(s *scene) { s.r.send(kindClose, closeFrame{s.group, 9, 9, 4711}.append(nil)) }, same},
		"MESSAGE":               {func(s *scene) { s.r.send(kindMessage, messageFrame{s.group, nil}.append(nil)) }, same},
		"the handler accepts": {func(s *scene) {
			if s.answer != nil {
				s.answer(consensus.CodeAccepted)
			}
		}, after(sentAccept)},
		"the handler refuses": {func(s *scene) {
			if s.answer != nil {
				s.answer(4711)
			}
		}, func(s handshakeState) handshakeState {
			if h := (handshake{state: s}); h.isDeciding() {
				return stateIdle
			}
			return s // already answered, or Accept was not called
		}},
		"this end closes": {func(s *scene) { s.ms.Close(s.r.id.Peer(), 4711) }, idle},
		"the connection ends": {func(s *scene) {
			s.a.manager.mu.Lock()
			defer s.a.manager.mu.Unlock()
			s.a.manager.peers[s.r.id.Peer()].current.end(consensus.CodeProtocolViolation, true)
		}, func(handshakeState) handshakeState { return violation }},
	} {
		for state := range handshakeStates {
			t.Run(fmt.Sprintf("%s in state %s", name, state), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, state)
				c.do(s)
				want := c.want(state)
				code := s.goodbye()
				if want == violation {
					if code != consensus.CodeProtocolViolation {
						t.Errorf("the connection ended with code %d, want %d", code, consensus.CodeProtocolViolation)
					}
					want = stateIdle // without a connection
				} else if code != consensus.CodeAccepted {
					t.Fatalf("the connection ended with code %d", code)
				}
				if got := s.state(); got != want {
					t.Errorf("the state is %q, want %q", got, want)
				}
				s.wantReports(t, state, want)
			})
		}
	}
}

// wantReports checks the reports to the handler in the transition from one state to
// another: a bond that came up, and one that went down.
func (s *scene) wantReports(t *testing.T, from, to handshakeState) {
	t.Helper()
	if from == stateUp {
		if got := s.rec.next(t); got.What != "up" {
			t.Errorf("reported %v first, want that the bond is up", got)
		}
	}
	switch {
	case from != stateUp && to == stateUp:
		if got := s.rec.next(t); got.What != "up" || got.Text != "of raw" {
			t.Errorf("reported %v, want that the bond is up", got)
		}
	case from == stateUp && to == stateIdle:
		if got := s.rec.next(t); got.What != "down" {
			t.Errorf("reported %v, want that the bond is down", got)
		}
	case from != stateIdle && to == stateIdle:
		if got := s.rec.next(t); got.What != "refused" {
			t.Errorf("reported %v, want a refusal", got)
		}
	}
}

// TestHandlerIsAskedWithoutTheLock has Accept call the manager and wait for another
// goroutine that does.
func TestHandlerIsAskedWithoutTheLock(t *testing.T) {
	t.Parallel()
	a, b := pair(t, 0, 1)
	ar, br := newRecorder(), newRecorder()
	ar.accept = func(sm.PeerID, []byte) consensus.CloseCode {
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.manager.Obstacles()
			a.manager.Entry(b.peer())
		}()
		<-done
		return consensus.CodeAccepted
	}
	a.join(testGroup(ar, "of a"))
	b.join(testGroup(br, "of b"))
	ar.want(t, up(b, "of b"))
	br.want(t, up(a, "of a"))
}
