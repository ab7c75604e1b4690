package session

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// Transport brings entries into the log.
type Transport interface {
	// Propose returns nil once the entry was applied by the local replica. It
	// must not keep data after it returned. It returns soon after ctx ended.
	Propose(ctx context.Context, data []byte) error
}

// Fate is what an error of the transport says about the entry.
type Fate uint8

const (
	// Unknown: the entry may be in the log, or may get there.
	Unknown Fate = iota
	// NotApplied: the entry surely was not accepted; it is worth another try.
	NotApplied
	// Refused: the entry surely was not accepted and never will be. Its calls
	// fail with the error.
	Refused
)

// The defaults of [Config].
const (
	DefaultMaxEntry    = 4 << 20
	DefaultMaxCommands = 4096
	DefaultMaxQueue    = 16384
	DefaultAttempt     = 2 * time.Second
	DefaultRetry       = 10 * time.Millisecond
	DefaultMaxRetry    = 500 * time.Millisecond
)

// Config says what a Proposer works with. The zero value of a number is its
// default.
type Config struct {
	Transport Transport
	// Classify says what an error of the transport means. nil: always Unknown.
	Classify func(error) Fate
	// Own is told each session before anything of it is sent; the state then
	// delivers the session's outcomes to [Proposer.Deliver].
	Own func(format.SessionID)
	// Stalled is asked after each failed attempt. While it returns an error,
	// all calls fail with it. nil: never.
	Stalled func() error
	// Leader returns a channel that is closed at the next change of the
	// leader, upon which a failed attempt is repeated at once. nil: attempts
	// are repeated by time alone.
	Leader func() <-chan struct{}

	Level       uint32        // schema level of the entries
	MaxEntry    int           // bytes in an entry; a larger call is refused
	MaxCommands int           // commands in an entry; a larger call goes alone
	MaxQueue    int           // queued commands; Submit blocks above, a larger call waits for an empty queue
	Attempt     time.Duration // bounds one attempt to bring an entry into the log
	Retry       time.Duration // pause after a failed attempt, doubled by each further one
	MaxRetry    time.Duration // bounds the pause

	Clock func() time.Time // time.Now by default
	Rand  func() uint64    // rand.Uint64 by default
}

func (c Config) withDefaults() Config {
	if c.Classify == nil {
		c.Classify = func(error) Fate { return Unknown }
	}
	if c.Own == nil {
		c.Own = func(format.SessionID) {}
	}
	if c.Stalled == nil {
		c.Stalled = func() error { return nil }
	}
	if c.Leader == nil {
		c.Leader = func() <-chan struct{} { return nil }
	}
	if c.MaxEntry <= 0 {
		c.MaxEntry = DefaultMaxEntry
	}
	if c.MaxCommands <= 0 {
		c.MaxCommands = DefaultMaxCommands
	}
	if c.MaxQueue <= 0 {
		c.MaxQueue = DefaultMaxQueue
	}
	if c.Attempt <= 0 {
		c.Attempt = DefaultAttempt
	}
	if c.Retry <= 0 {
		c.Retry = DefaultRetry
	}
	if c.MaxRetry <= 0 {
		c.MaxRetry = DefaultMaxRetry
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Uint64
	}
	return c
}
