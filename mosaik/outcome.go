package mosaik

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/session"
)

// Outcome is the effect of a call that returned an error. [OutcomeOf] finds it.
type Outcome uint8

const (
	// NotApplied means that nothing was done, and that nothing will be: the same call can be made
	// again without a risk. [Retryable] reports whether that can help.
	NotApplied Outcome = iota + 1
	// Applied means that the call took effect exactly once, and that the error is part of its
	// result: the machine's own error, or [ErrResultLost] where the result is not known here.
	Applied
	// Unknown means that the call may have taken effect, or may do so later, at most once: the
	// caller stopped waiting, or the member ended, while it was in flight. Ask the group, or repeat
	// the call only if doing it twice is harmless.
	Unknown
)

// String returns "not applied", "applied" or "unknown".
func (o Outcome) String() string {
	switch o {
	case NotApplied:
		return "not applied"
	case Applied:
		return "applied"
	case Unknown:
		return "unknown"
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// OutcomeOf returns what became of a call that returned err: [Execute], [Query], [Read] or
// any method of [Group], [Pending] and [When]. It looks through wrapped and joined errors. Of
// several outcomes it returns the one that demands most care: Unknown before Applied
// before NotApplied.
//
//   - nil is Applied.
//   - An error that is not this package's is the machine's own: the command was applied, and
//     declined. So is a query's own error.
//   - A context's error alone, which no call of this package returned, is Unknown.
//
// Queries, waits and [Group.Commands] change nothing: their errors are NotApplied, but for a
// query's own.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Applied
	}
	var call, value Outcome // 0 for none
	eachCause(err, func(e error) {
		if c, ok := e.(*callError); ok {
			call = max(call, c.outcome)
		}
		value = max(value, outcomeOfValue(e))
	})
	switch {
	case call != 0:
		return call
	case value != 0:
		return value
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Unknown
	}
	return Applied
}

// outcomeOfValue returns what an exported error says by itself, 0 for any other error.
func outcomeOfValue(err error) Outcome {
	switch err.(type) {
	case *consensus.BehindError, *consensus.OutdatedError:
		return NotApplied
	case *consensus.PoisonedError:
		return Unknown
	}
	switch err {
	case session.ErrUnknownOutcome, consensus.ErrPoisoned, ErrNotStopped:
		return Unknown
	case ErrResultLost, ErrUndecodable, ErrVoteNeeded:
		return Applied
	case session.ErrNotApplied, ErrClosed, ErrForming, ErrInvalid, ErrLevel, ErrNotLeader,
		ErrOtherEpoch, consensus.ErrOutdated, ErrPrecondition, ErrStalled, ErrStorage, ErrSuperseded, ErrTooLarge:
		return NotApplied
	}
	return 0
}

// eachCause calls f with err and all errors that it wraps or joins, but not those inside of a
// [callError], whose outcome is decided.
func eachCause(err error, f func(error)) {
	if err == nil {
		return
	}
	f(err)
	switch e := err.(type) {
	case *callError:
	case interface{ Unwrap() error }:
		eachCause(e.Unwrap(), f)
	case interface{ Unwrap() []error }:
		for _, cause := range e.Unwrap() {
			eachCause(cause, f)
		}
	}
}

// Retryable reports whether the same command or query may succeed later on the same handle:
// [OutcomeOf] of err is [NotApplied], and the reason may pass. The group is forming, has no
// quorum or lacks a level of the schema, or a context ended before the command was sent;
// the next attempt then needs another context. Wait for [When.Online], or pause, before it.
//
// OutcomeOf reports whether another attempt is safe, Retryable whether it makes sense: a command
// that is too large, or a member whose group has ended, fails again however often it is tried.
func Retryable(err error) bool {
	if err == nil || OutcomeOf(err) != NotApplied {
		return false
	}
	is := func(target error) bool { return errors.Is(err, target) }
	passes := []error{session.ErrNotApplied, ErrForming, ErrStalled, ErrLevel}
	stays := []error{
		ErrClosed, ErrSuperseded, ErrStorage, consensus.ErrPoisoned, consensus.ErrOutdated, ErrTooLarge, ErrInvalid,
	}
	return slices.ContainsFunc(passes, is) && !slices.ContainsFunc(stays, is)
}

// callError is the error of a call: it names the call, and knows what became of it.
type callError struct {
	call    string // with its object: "recover group 5f1e…"
	outcome Outcome
	err     error
}

// Error implements error. Errors inside have no prefix of their own.
func (e *callError) Error() string { return "mosaik: " + e.call + ": " + e.err.Error() }

// Unwrap returns why the call failed.
func (e *callError) Unwrap() error { return e.err }

// failed returns the error of a call about the group, whose words end before "group".
func (j *joined) failed(doing string, outcome Outcome, err error) error {
	return &callError{call: doing + " group " + j.id.Short(), outcome: outcome, err: err}
}

// commandFailed returns the error of a command, which says by itself whether it was applied.
func (j *joined) commandFailed(err error) error {
	outcome := NotApplied
	switch {
	case errors.Is(err, session.ErrUnknownOutcome):
		outcome = Unknown
	case errors.Is(err, ErrResultLost):
		outcome = Applied
	}
	return j.failed("execute in", outcome, err)
}

// changeFailed returns the error of a call that changes the group in several steps, of which
// these say that not even the first was made.
func (j *joined) changeFailed(doing string, err error) error {
	outcome := Unknown
	for _, refused := range []error{ErrPrecondition, ErrNotLeader, ErrInvalid, consensus.ErrPoisoned} {
		if errors.Is(err, refused) {
			outcome = NotApplied
		}
	}
	return j.failed(doing, outcome, err)
}
