package session

import (
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/mosaik/internal/state"
)

var (
	// ErrNotApplied reports commands that were not applied and will not be. They can safely
	// be submitted again.
	ErrNotApplied = errors.New("not applied")
	// ErrUnknownOutcome reports commands that may have been applied or may still be.
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrEmpty reports a call without commands.
	ErrEmpty = fmt.Errorf("%w: a batch without commands", state.ErrInvalid)
	// ErrTooLarge reports a call that does not fit into one log entry.
	ErrTooLarge = errors.New("commands are too large for one log entry")
	// ErrClosed reports a proposer that was closed.
	ErrClosed = errors.New("the group is closed")
)

// notApplied and unknown wrap an outcome and its cause.
func notApplied(cause error) error { return fmt.Errorf("%w: %w", ErrNotApplied, cause) }
func unknown(cause error) error    { return fmt.Errorf("%w: %w", ErrUnknownOutcome, cause) }
