package session

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// Transport proposes entries for the log.
type Transport interface {
	// Start proposes an entry and does not wait for it. It must not keep data. Entries reach
	// the log in the order of Start unless the network reorders or loses them. An error is the
	// outcome of the attempt.
	Start(ctx context.Context, data []byte) (Attempt, error)
}

// Attempt is a proposal in flight.
type Attempt interface {
	// Wait returns a nil error once the local replica has applied the entry. It returns soon
	// after the context of Start has ended, which is ctx. If interrupt is ready first, settled
	// is false and Wait must be called again.
	Wait(ctx context.Context, interrupt <-chan struct{}) (settled bool, err error)
}

// Defaults of [Config].
const (
	DefaultMaxEntry    = 4 << 20
	DefaultMaxCommands = 4096
	DefaultMaxQueue    = 16384
	DefaultQueueBytes  = 64 << 20
	DefaultMaxInflight = 32
	DefaultPace        = 2 * time.Millisecond
	DefaultAttempt     = 2 * time.Second
	DefaultRetry       = 10 * time.Millisecond
	DefaultMaxRetry    = 500 * time.Millisecond
)

// Config configures a Proposer. The zero value of a number means its default.
type Config struct {
	Transport Transport
	// IsVoid reports whether an error of the transport means that the entry was not accepted
	// and will not be. After any other error the entry may be in the log. nil means that no
	// error is void.
	IsVoid func(error) bool
	// SetSession is called with each session before anything is sent in it. The state must
	// then deliver the session's outcomes to [Proposer.Deliver].
	SetSession func(format.SessionID)
	// Stalled is called after each failed attempt. If it returns an error, all calls fail with
	// it. nil means never.
	Stalled func() error
	// Leader returns a channel that is closed at the next change of the leader. A failed
	// attempt is then repeated at once. nil means that attempts are repeated after a pause.
	Leader func() <-chan struct{}

	MaxEntry    int           // bytes of an entry; a larger call is refused
	MaxCommands int           // commands of an entry; a larger call gets an entry of its own
	MaxQueue    int           // queued commands, above which Submit blocks; a larger call waits for an empty queue
	QueueBytes  int           // bytes of queued commands; likewise
	MaxInflight int           // entries in flight
	Pace        time.Duration // between entries in flight; with a shorter RTT, one entry is in flight at a time
	Attempt     time.Duration // limit of one attempt to commit an entry
	Retry       time.Duration // pause after a failed attempt, doubled after each further one
	MaxRetry    time.Duration // limit of the pause

	Clock func() time.Time // nil means time.Now
	Rand  func() uint64    // nil means rand.Uint64
}

func (c Config) withDefaults() Config {
	if c.IsVoid == nil {
		c.IsVoid = func(error) bool { return false }
	}
	if c.SetSession == nil {
		c.SetSession = func(format.SessionID) {}
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
	orDefault(&c.MaxInflight, DefaultMaxInflight)
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
