package session

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// Transport brings entries into the log.
type Transport interface {
	// Start hands an entry over and does not wait. It must not keep data. Entries
	// that are started one after the other get into the log in this order, as
	// far as the network lets them. An error is the outcome of the attempt.
	Start(ctx context.Context, data []byte) (Attempt, error)
}

// Attempt is an entry that was handed over.
type Attempt interface {
	// Wait returns nil once the entry was applied by the local replica. It
	// returns soon after ctx ended, which is that of Start. It is not settled if
	// interrupt was ready first: Wait is called again then.
	Wait(ctx context.Context, interrupt <-chan struct{}) (settled bool, err error)
}

// The defaults of [Config].
const (
	DefaultMaxEntry    = 4 << 20
	DefaultMaxCommands = 4096
	DefaultMaxQueue    = 16384
	DefaultQueueBytes  = 64 << 20
	DefaultMaxFlights  = 32
	DefaultPace        = 2 * time.Millisecond
	DefaultAttempt     = 2 * time.Second
	DefaultRetry       = 10 * time.Millisecond
	DefaultMaxRetry    = 500 * time.Millisecond
)

// Config says what a Proposer works with. The zero value of a number is its
// default.
type Config struct {
	Transport Transport
	// IsVoid reports whether an error of the transport means that the entry surely
	// was not accepted and will not be. Any other says nothing of its fate. nil:
	// no error does.
	IsVoid func(error) bool
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

	MaxEntry    int           // bytes in an entry; a larger call is refused
	MaxCommands int           // commands in an entry; a larger call goes alone
	MaxQueue    int           // queued commands; Submit blocks above, a larger call waits for an empty queue
	QueueBytes  int           // bytes of queued commands; likewise
	MaxFlights  int           // entries on their way at a time
	Pace        time.Duration // between entries that are on their way; where they take less, one follows the other
	Attempt     time.Duration // bounds one attempt to bring an entry into the log
	Retry       time.Duration // pause after a failed attempt, doubled by each further one
	MaxRetry    time.Duration // bounds the pause

	Clock func() time.Time // time.Now by default
	Rand  func() uint64    // rand.Uint64 by default
}

func (c Config) withDefaults() Config {
	if c.IsVoid == nil {
		c.IsVoid = func(error) bool { return false }
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
	orDefault(&c.MaxEntry, DefaultMaxEntry)
	orDefault(&c.MaxCommands, DefaultMaxCommands)
	orDefault(&c.MaxQueue, DefaultMaxQueue)
	orDefault(&c.QueueBytes, DefaultQueueBytes)
	orDefault(&c.MaxFlights, DefaultMaxFlights)
	orDefault(&c.Pace, DefaultPace)
	orDefault(&c.Attempt, DefaultAttempt)
	orDefault(&c.Retry, DefaultRetry)
	orDefault(&c.MaxRetry, DefaultMaxRetry)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Uint64
	}
	return c
}

func orDefault[T int | time.Duration](n *T, def T) {
	if *n <= 0 {
		*n = def
	}
}
