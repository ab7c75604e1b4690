package ticket

import (
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// A Validator decides whether a ticket admits a peer to a group. Every member must have the
// same validators in the same order: their signatures are part of the group's id.
//
// The methods are called concurrently. They should return soon and must not wait for
// anything outside the process. All validators of a group together have one second for a
// peer. After that, or if one panics, the peer is refused; other peers are not affected. Go
// cannot end a call that hangs, so its goroutine stays until the call returns: at most one
// for each peer and 64 in a group. While a call for a peer hangs, that peer is refused
// without a call. While 64 calls hang, every peer is.
type Validator interface {
	// Class returns the class of the tickets that the validator decides about. It never
	// changes.
	Class() sm.Digest

	// Signature identifies the validator and everything that its decisions depend on, such
	// as its keys, or a name that stands for them. It never changes.
	Signature() sm.Digest

	// Validate returns the time until which the ticket admits the peer. The zero time means
	// without end. An error, or a time that is not after now, refuses the ticket. The ticket
	// is of the validator's class. Its data comes from the peer unchecked, and must not be
	// changed or kept. Validate is called again when the ticket expires and when the peer's
	// tickets change.
	Validate(now time.Time, peer sm.PeerID, t Ticket) (expiry time.Time, err error)
}

// A Watchable is a [Validator] whose decisions can change while its signature does not: for
// instance one whose keys are rotated under a name, or that knows revoked tickets.
type Watchable interface {
	Validator

	// Watch has f called after each change until stop is called. f returns at once. It makes
	// the groups that require the validator check the tickets of every peer again.
	Watch(f func()) (stop func())
}

// The reasons of a refusal other than the errors of Validate.
var (
	// ErrMissing reports a peer without a ticket of the validator's class.
	ErrMissing = errors.New("no ticket of this class")
	// ErrExpired reports a ticket whose expiry has passed.
	ErrExpired = errors.New("ticket has expired")
	// ErrPanicked reports a validator that panicked. The error includes the panic's value.
	ErrPanicked = errors.New("validator panicked")
)

// Error reports the validator that refused a peer.
type Error struct {
	Class sm.Digest // of the validator; zero if its Class panicked
	Err   error     // the reason; for several tickets of the class, all reasons
}

// Error implements the error interface.
func (e *Error) Error() string {
	return fmt.Sprintf("ticket: class %s: %v", e.Class.Short(), e.Err)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// Check decides whether the tickets admit the peer at the time now. Every validator must
// accept at least one ticket of its class. If it accepts several, the one that expires last
// counts. Check returns the time until which the peer is admitted: the earliest of these
// expiries over the validators, zero if none expires. If a validator refuses, Check returns
// an *[Error] for the first one. A validator that panics refuses.
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

// later reports whether expiry a is after b. The zero time is after every other one.
func later(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return a.IsZero() && !b.IsZero()
	}
	return a.After(b)
}
