package bond

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

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

// Config says what a [Manager] works with.
type Config struct {
	Link    *link.Link
	Catalog discovery.Catalog

	// Seeds are addresses, host:port, that are dialled whoever is there.
	Seeds []string

	// HandshakeTimeout bounds one attempt to dial an address, the wait for
	// the other end's part in setting up a connection, and the handshake of a
	// bond; 0 is 2 s.
	HandshakeTimeout time.Duration
	// Redial bounds the pause before a peer, a seed or a refused bond is tried
	// again. It doubles with each failure; up to a half of it is left out at random.
	// Zeros are 100 ms and 5 s.
	Redial rate.Bounds
	// Unreached bounds in place of Redial.Max the pause before a peer that was
	// never reached is tried again; 0 is 5 min. A tenth of it bounds the pause
	// for a peer whose entry lists a group that is joined here.
	Unreached time.Duration
	// DialFilter decides about each IP address that an entry names, or a name in
	// it stands for, before it is dialled; an error refuses it. It is called from
	// several goroutines, and must return at once. Seeds are not asked about. Nil
	// allows all that the rules for addresses allow ([discovery.Dialable]).
	DialFilter func(peer sm.PeerID, addr netip.AddrPort) error
	// ForgetAfter is how long a peer that cannot be reached stays in the
	// catalog after its last sign of life; 0 is 10 min.
	ForgetAfter time.Duration

	// KnownPeers are peers that an earlier process knew. While one of them is
	// unknown, its addresses are dialled like seeds, with pauses of up to a minute,
	// within the rules for addresses and if DialFilter allows them. Without
	// SaveKnownPeers they are ignored.
	KnownPeers []discovery.KnownPeer
	// SaveKnownPeers keeps the peers that are worth dialling by a later process, at most
	// [discovery.MaxKnownPeers]. It is called from one goroutine, soon after they
	// change, every hour, and before Close returns. Nil keeps nothing.
	SaveKnownPeers func([]discovery.KnownPeer) error

	// Mismatch reports that connected peers announce groups and none of them this
	// one, which is joined for longer than 5 s: once for each [Manager.Join]. It is
	// called without locks from one goroutine and must return soon. Nil is allowed.
	Mismatch func(group sm.Digest, m Mismatch)

	// Logger is told of peers that come and go (info), of addresses that
	// cannot be reached (once per change of the error; info at first, and warn
	// after 10 s or if they never will be) and of refusals (debug); nil is silence.
	Logger *slog.Logger
}

// complete fills in the defaults.
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

// Heartbeat says how the silence of a peer is noticed.
type Heartbeat struct {
	// Interval is how long a peer may be silent before it is probed. From each
	// probe's interval a random part of Jitter is taken off.
	Interval, Jitter time.Duration
	// MaxMissed intervals of silence end a bond.
	MaxMissed int
}

// validate reports what is wrong with the heartbeat.
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

// probes returns how many probes a silent peer was sent at least: the last miss
// is noticed when the next one is due.
func (h Heartbeat) probes() int { return max(1, h.MaxMissed-1) }

// silence returns how long a peer may be silent.
func (h Heartbeat) silence() time.Duration { return time.Duration(h.MaxMissed) * h.Interval }

var (
	// ErrClosed reports a call on a closed manager.
	ErrClosed = errors.New("bond: the manager is closed")
	// ErrJoined reports a group that is joined already.
	ErrJoined = errors.New("bond: the group is joined already")
)
