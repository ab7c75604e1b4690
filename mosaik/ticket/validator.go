package ticket

import (
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// A Validator decides whether a ticket lets a peer into a group. Every member
// has the same validators in the same order, as their signatures are part of
// the group's id.
//
// The methods may be called by several goroutines at once. They should return
// soon, without waiting for anything outside the process. A group gives all its
// validators together one second for a peer, and refuses the peer after that or
// when one panics; nobody else is held up. A call that hangs cannot be ended, so
// its goroutine stays until it returns: one for each peer and 64 in a group at
// most. A peer on which one hangs, and with 64 every peer, is refused unseen.
type Validator interface {
	// Class is the class of the tickets that it looks at. It never changes.
	Class() sm.Digest

	// Signature identifies the validator with everything it decides by, such as
	// its keys, or a name that stands for them. It never changes.
	Signature() sm.Digest

	// Validate returns until when the ticket, which is of the validator's
	// class, lets the peer in; the zero time says for ever. An error, or a time
	// that is not after now, refuses the ticket. The data is whatever the peer
	// chose to send and must not be changed or kept. Validate is called again
	// when the ticket expires and whenever the peer's tickets change.
	Validate(now time.Time, peer sm.PeerID, t Ticket) (expiry time.Time, err error)
}

// A Watchable is a [Validator] that may change what it decides, though never its
// signature: one whose keys rotate under a name, or that knows what was revoked.
type Watchable interface {
	Validator

	// Watch has f called after each change from now on, until stop is called. f
	// returns at once; it lets the groups that require the validator look at
	// every peer's tickets again.
	Watch(f func()) (stop func())
}

// Reasons of a refusal, besides the errors of Validate itself.
var (
	ErrMissing  = errors.New("no ticket of this class")
	ErrExpired  = errors.New("ticket has expired")
	ErrPanicked = errors.New("validator panicked")
)

// Error reports the validator that refused a peer.
type Error struct {
	Class sm.Digest // of the validator, zero if it could not say
	Err   error     // the reason; with several tickets of the class, the reasons
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("ticket: class %s: %v", e.Class.Short(), e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Check decides whether tickets let peer in at the time now. Every validator
// must accept at least one ticket of its class; where it accepts several, the
// one that expires last counts. Check returns the earliest of these expiries
// over the validators, the zero time when there is none: the peer is in until
// then. Otherwise it returns an *[Error] for the first validator that refuses.
// A validator that panics refuses.
func Check(now time.Time, validators []Validator, peer sm.PeerID, tickets []Ticket) (expiry time.Time, err error) {
	for _, v := range validators {
		until, err := check(now, v, peer, tickets)
		if err != nil {
			return time.Time{}, err
		}
		if later(expiry, until) {
			expiry = until
		}
	}
	return expiry, nil
}

func check(now time.Time, v Validator, peer sm.PeerID, tickets []Ticket) (expiry time.Time, err error) {
	var class sm.Digest
	defer func() {
		if p := recover(); p != nil {
			err = &Error{Class: class, Err: fmt.Errorf("%w: %v", ErrPanicked, p)}
		}
	}()
	class = v.Class()
	var refusal error
	accepted := false
	for _, t := range tickets {
		if t.Class != class {
			continue
		}
		until, err := v.Validate(now, peer, t)
		if err == nil && !until.IsZero() && !until.After(now) {
			err = ErrExpired
		}
		switch {
		case err == nil && (!accepted || later(until, expiry)):
			expiry, accepted = until, true
		case err != nil && refusal == nil:
			refusal = err
		case err != nil:
			refusal = fmt.Errorf("%w; %w", refusal, err)
		}
	}
	if accepted {
		return expiry, nil
	}
	if refusal == nil {
		refusal = ErrMissing
	}
	return time.Time{}, &Error{Class: class, Err: refusal}
}

// later reports whether expiry a is after b, where the zero time is never.
func later(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return a.IsZero() && !b.IsZero()
	}
	return a.After(b)
}
