package bond

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// The defaults of a [Config].
const (
	defaultHandshakeTimeout = 2 * time.Second
	defaultRedialMin        = 100 * time.Millisecond
	defaultRedialMax        = 5 * time.Second
	defaultUnreached        = 5 * time.Minute
	defaultForgetAfter      = 10 * time.Minute
)

// Config is the configuration of a [Manager].
type Config struct {
	Link    *link.Link        // required; must not serve before [Manager.Start]
	Catalog discovery.Catalog // required

	// Seeds are addresses, host:port, that are dialled whichever peer is there.
	Seeds []string

	// HandshakeTimeout bounds a dial to one address, the setup of a connection until it is
	// selected, and the handshake of a bond. 0 means 2 s.
	HandshakeTimeout time.Duration
	// Redial bounds the pause before a peer, a seed or a refused bond is tried again. The
	// pause doubles with each failure, less a random part of up to a half. Zeros mean 100 ms
	// and 5 s.
	Redial rate.Bounds
	// Unreached replaces Redial.Max for peers that were never reached. 0 means 5 min. If the
	// peer's entry lists a group that is joined here, a tenth of Unreached does.
	Unreached time.Duration
	// DialFilter decides about each IP address of an entry, also one that a name resolves
	// to, before it is dialled. An error forbids the address. DialFilter is called
	// concurrently and must return at once. It is not called for seeds. Nil allows all
	// addresses that [discovery.Dialable] allows.
	DialFilter func(peer sm.PeerID, addr netip.AddrPort) error
	// ForgetAfter is how long a peer that cannot be reached stays in the catalog after its
	// last sign of life. 0 means 10 min.
	ForgetAfter time.Duration

	// KnownPeers are peers that an earlier process knew. While one of them is not in the
	// catalog, its addresses are dialled like seeds, with pauses of up to a minute, if the
	// rules for addresses and DialFilter allow them. Without SaveKnownPeers they are
	// ignored.
	KnownPeers []discovery.KnownPeer
	// SaveKnownPeers saves the peers that a later process should dial, at most
	// [discovery.MaxKnownPeers]. It is called on one goroutine, soon after they change,
	// every hour, and before Close returns. Nil saves nothing.
	SaveKnownPeers func([]discovery.KnownPeer) error

	// Mismatch reports that connected peers announce groups and none of them announces this
	// one, which has been joined for more than 5 s. It is called at most once for each
	// [Manager.Join], on one goroutine and without locks, and must return soon. May be nil.
	Mismatch func(group sm.Digest, m consensus.Mismatch)

	// Logger receives connections that begin and end (info), addresses that cannot be
	// reached (once per change of the error: info at first, warn after 10 s or if a retry is
	// useless) and refusals (debug). Nil discards them.
	Logger *slog.Logger
}

// complete sets the defaults.
func (c *Config) complete() {
	orDefault(&c.HandshakeTimeout, defaultHandshakeTimeout)
	orDefault(&c.Redial.Min, defaultRedialMin)
	orDefault(&c.Redial.Max, max(defaultRedialMax, c.Redial.Min))
	orDefault(&c.Unreached, defaultUnreached)
	orDefault(&c.ForgetAfter, defaultForgetAfter)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func orDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Heartbeat configures how a manager detects that a peer has ended.
type Heartbeat struct {
	// Interval is how long a peer may be silent before it is sent a PING, more than 0. A
	// random part of Jitter, at least 0 and less than Interval, is subtracted each time.
	Interval, Jitter time.Duration
	// MaxMissed intervals of silence end a bond, at least 1.
	MaxMissed int
}

// validate returns an error for a field that is out of its bounds.
func (h Heartbeat) validate() error {
	switch {
	case h.Interval <= 0:
		return fmt.Errorf("Heartbeat.Interval is %v; it must be positive", h.Interval)
	case h.Jitter < 0 || h.Jitter >= h.Interval:
		return fmt.Errorf("Heartbeat.Jitter is %v; it must be at least 0 and less than the interval of %v", h.Jitter, h.Interval)
	case h.MaxMissed < 1:
		return fmt.Errorf("Heartbeat.MaxMissed is %d; it must be at least 1", h.MaxMissed)
	}
	return nil
}

// probes returns how many PINGs a peer must have been sent before its silence ends a bond.
// The last miss is detected when the next PING is due, so it is one less than MaxMissed.
func (h Heartbeat) probes() int { return max(1, h.MaxMissed-1) }

// silence returns how long a peer may be silent.
func (h Heartbeat) silence() time.Duration { return time.Duration(h.MaxMissed) * h.Interval }

var (
	// ErrClosed reports a call on a manager that is closed.
	ErrClosed = errors.New("bond: the manager is closed")
	// ErrJoined reports a group that was joined before and not left.
	ErrJoined = errors.New("bond: the group is joined already")
)
