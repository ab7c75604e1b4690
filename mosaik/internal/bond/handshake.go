package bond

import "time"

// The handshake of a bond
//
// Each end sends an OPEN, either because the other's entry lists the group or because an
// OPEN arrived. An OPEN proves that its sender holds a secret of the group and reveals
// nothing else. An end that has checked the other's proof sends its INTRO, in which it
// describes itself. An end that accepts the other's INTRO sends an ACCEPT that names both
// OPENs. The bond is up at an end that has sent and received an ACCEPT for the same two
// OPENs.
//
// OPENs are numbered, so that frames which cross with a CLOSE are recognised as belonging
// to an earlier handshake and ignored. After a CLOSE its sender remembers neither OPEN.

// handshakeState is the progress of a bond's handshake. The states are ordered: an end in a
// later state knows all that it knows in the earlier ones, except that stateAccepted does
// not include the other end's ACCEPT.
type handshakeState uint8

const (
	// stateIdle: neither end has an OPEN that counts.
	stateIdle handshakeState = iota
	// stateOpened: our OPEN is sent. The other end's has not arrived.
	stateOpened
	// stateProved: the other end's OPEN proved a secret. Its INTRO has not arrived.
	stateProved
	// stateProvedAndAccepted is stateProved with the other end's ACCEPT, which came before
	// its INTRO. Our programs send INTRO first.
	stateProvedAndAccepted
	// stateIntroduced: the other end's INTRO has arrived and the handler decides about it.
	stateIntroduced
	// stateIntroducedAndAccepted is stateIntroduced with the other end's ACCEPT.
	stateIntroducedAndAccepted
	// stateAccepted: we sent our ACCEPT. The other end's has not arrived.
	stateAccepted
	// stateUp: both ends have accepted.
	stateUp

	handshakeStates
)

// String names the state in the failures of tests.
func (s handshakeState) String() string {
	return [handshakeStates]string{
		"idle", "opened", "proved", "proved and accepted",
		"introduced", "introduced and accepted", "accepted", "up",
	}[s]
}

// handshakeEvent is an event that advances a handshake. [handshake.clear] ends one.
type handshakeEvent uint8

const (
	sentOpen       handshakeEvent = iota // we send an OPEN
	receivedOpen                         // an OPEN with a valid proof arrives
	receivedIntro                        // the INTRO that names both OPENs arrives
	receivedAccept                       // the ACCEPT that names both OPENs arrives
	sentAccept                           // the handler accepts and we send our ACCEPT

	handshakeEvents
)

// transitions holds the state that follows a state after an event. No event leads to
// stateIdle, so the zero value marks an event that is not valid in that state.
//
// A second OPEN of the other end begins its half of the handshake again: what it sent for
// its previous OPEN no longer counts.
var transitions = [handshakeStates][handshakeEvents]handshakeState{
	stateIdle: {
		sentOpen: stateOpened,
	},
	stateOpened: {
		receivedOpen: stateProved,
	},
	stateProved: {
		receivedOpen:   stateProved,
		receivedIntro:  stateIntroduced,
		receivedAccept: stateProvedAndAccepted,
	},
	stateProvedAndAccepted: {
		receivedOpen:  stateProved,
		receivedIntro: stateIntroducedAndAccepted,
	},
	stateIntroduced: {
		receivedOpen:   stateProved,
		receivedAccept: stateIntroducedAndAccepted,
		sentAccept:     stateAccepted,
	},
	stateIntroducedAndAccepted: {
		receivedOpen: stateProved,
		sentAccept:   stateUp,
	},
	stateAccepted: {
		receivedOpen:   stateProved,
		receivedAccept: stateUp,
	},
	stateUp: {},
}

// handshake is the state of one end's handshake with its data. Its fields change only in
// the methods of this file, which do no I/O and call no other code. The zero handshake is
// idle. The manager's mutex guards it.
type handshake struct {
	state  handshakeState
	ours   uint32 // number of our OPEN, 0 in stateIdle only
	theirs uint32 // number of the other end's OPEN, 0 before stateProved only
	// hello is the hello of the last INTRO of this handshake, nil before the first. The
	// bond hands it to the handler and drops it when it comes up.
	hello []byte
	// deadline is when the handshake fails unless the bond is up by then. It is zero in
	// stateIdle.
	deadline time.Time
}

// step takes the transition for the event. It is false, and nothing changes, when the event
// is not valid in the present state.
func (h *handshake) step(e handshakeEvent) bool {
	next := transitions[h.state][e]
	if next == stateIdle {
		return false
	}
	h.state = next
	return true
}

// begin starts the handshake with our OPEN. It is false unless the handshake is idle.
func (h *handshake) begin(number uint32, deadline time.Time) bool {
	if !h.step(sentOpen) {
		return false
	}
	h.ours, h.deadline = number, deadline
	return true
}

// opened records the other end's OPEN, whose proof was valid. It is false without an OPEN
// of ours and on a bond that is up.
func (h *handshake) opened(number uint32) bool {
	if !h.step(receivedOpen) {
		return false
	}
	h.theirs = number
	return true
}

// introduced records the hello of the other end's INTRO, which the handshake owns from then
// on. It is false unless the handshake waits for an INTRO.
func (h *handshake) introduced(hello []byte) bool {
	if !h.step(receivedIntro) {
		return false
	}
	h.hello = hello
	return true
}

// clear returns to stateIdle, which is possible in every state, and returns the
// previous handshake.
func (h *handshake) clear() (was handshake) {
	was, *h = *h, handshake{}
	return was
}

// takeHello returns the hello and drops it.
func (h *handshake) takeHello() []byte {
	hello := h.hello
	h.hello = nil
	return hello
}

// names reports whether a frame is about this handshake: theirs and ours are the numbers of
// the other end's OPEN and of ours as the frame names them, which are not 0.
func (h *handshake) names(theirs, ours uint32) bool { return theirs == h.theirs && ours == h.ours }

// isUp reports whether both ends have accepted.
func (h *handshake) isUp() bool { return h.state == stateUp }

// isPending reports whether a handshake has begun and is not complete.
func (h *handshake) isPending() bool { return h.state != stateIdle && h.state != stateUp }

// isProved reports whether the other end has proved that it holds a secret.
func (h *handshake) isProved() bool { return h.state >= stateProved }

// isDeciding reports whether the handler's answer is awaited.
func (h *handshake) isDeciding() bool {
	return h.state == stateIntroduced || h.state == stateIntroducedAndAccepted
}
