package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// Protocol is what a connection is for, with its version; it travels as ALPN.
type Protocol string

// The protocols of a network.
const (
	Bond     Protocol = "mosaik/bond/1"
	Raft     Protocol = "mosaik/raft/1"
	Snapshot Protocol = "mosaik/snap/1"
	// Callback is for connections that the receiver of what is sent opens, because the
	// sender cannot.
	Callback Protocol = "mosaik/back/1"
)

// defaultHandshakeTimeout bounds a handshake when the configuration does not.
const defaultHandshakeTimeout = 2 * time.Second

var (
	// ErrSelf reports a connection to one's own identity.
	ErrSelf = errors.New("link: the peer is this peer itself")
	// ErrOtherPeer reports an address at which another peer answers than the one
	// that was wanted.
	ErrOtherPeer = errors.New("link: another peer answers")
	// ErrHandshake reports a dial whose connection was opened, but not set up.
	ErrHandshake = errors.New("the handshake failed")
	// ErrClosed reports a call on a closed link.
	ErrClosed = errors.New("link: closed")
)

// Config says who and where a [Link] is.
type Config struct {
	Identity Identity  // who we are
	Network  sm.Digest // the network that every peer must be on

	// Listen is the address to listen on, host:port; port 0 picks a free one.
	Listen string
	// Listener, if not nil, is used in place of Listen. The link closes it.
	Listener net.Listener
	// Dial opens TCP connections; nil is [net.Dialer.DialContext]. It must
	// return soon after its context has ended.
	//
	// Of [Link.DialChecked] the check sees an IP address before Dial does, and of
	// a name the remote address of the connection that Dial returns, if that is a
	// [*net.TCPAddr]. For a proxy that is the proxy's: what else a name stands for
	// is decided there.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Resolver looks names up where Dial is nil; nil is [net.DefaultResolver].
	Resolver *net.Resolver

	// HandshakeTimeout bounds a whole Dial, and TLS and preface of an accepted
	// connection; 0 is 2 s.
	HandshakeTimeout time.Duration
	// Limits bounds accepted connections.
	Limits Limits
	// Admit decides about a peer of this network that asks for a protocol; a
	// code other than 0 refuses it. It must return at once. Nil lets in all.
	Admit func(sm.PeerID, Protocol) Code
	// Logger is told of failed handshakes (debug), of connections over a limit
	// and of failures to accept (warn); nil is silence.
	Logger *slog.Logger
}

// Link is this peer's end of the wire: one listener, and every connection that
// was accepted on it or dialled. Its methods may be called concurrently.
type Link struct {
	config   Config
	listener net.Listener
	gate     *gate
	counters Counters
	// Connections whose other end is a stranger pass it.
	cpu     *cpuLimiter
	running sync.WaitGroup // the accept loop and the accepted connections

	mu       sync.Mutex // guards what follows
	handlers map[Protocol]Handler
	stop     func()           // ends what Serve started, nil before it
	ends     map[*Conn]func() // how to end each connection and each Dial
	closed   bool
}

// Handler serves one accepted connection and owns it until it returns, when the
// link closes it. The context ends with the link.
type Handler = func(ctx context.Context, c *Conn)

// Listen binds the configured address. Connections are accepted from
// [Link.Serve] on, dialled at once. The caller must call [Link.Close].
func Listen(config Config) (*Link, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	l := &Link{config: config, listener: config.Listener, gate: newGate(config.Limits), cpu: newCPULimiter(), handlers: map[Protocol]Handler{}, ends: map[*Conn]func(){}}
	if l.listener == nil {
		var err error
		if l.listener, err = net.Listen("tcp", config.Listen); err != nil {
			return nil, fmt.Errorf("link: listen on %s: %w", config.Listen, err)
		}
	}
	return l, nil
}

// complete checks the configuration and fills in the defaults.
func (c *Config) complete() error {
	switch {
	case c.Identity.keys == nil:
		return errors.New("link: listen: Config.Identity is missing; make one with NewIdentity")
	case c.Network.IsZero():
		return errors.New("link: listen: Config.Network is zero; set the network's id")
	case c.Listen == "" && c.Listener == nil:
		return errors.New("link: listen: Config.Listen is empty; set host:port")
	case c.Limits.Conns < 0 || c.Limits.ConnsPerAddr < 0:
		return fmt.Errorf("link: listen: Config.Limits is %+v; it must not be negative", c.Limits)
	case c.HandshakeTimeout < 0:
		return fmt.Errorf("link: listen: Config.HandshakeTimeout is %v; it must not be negative", c.HandshakeTimeout)
	}
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = defaultHandshakeTimeout
	}
	c.Limits.complete()
	if c.Admit == nil {
		c.Admit = func(sm.PeerID, Protocol) Code { return CodeAccepted }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Handle makes h serve the connections that are accepted for the protocol. It
// panics when the link already serves or the protocol has a handler.
func (l *Link) Handle(p Protocol, h Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil || l.handlers[p] != nil {
		panic(fmt.Sprintf("link: handle %s: called after Serve or twice", p))
	}
	l.handlers[p] = h
}

// ServeDialled has the handler of the protocol serve a connection that this end opened, as
// if it had been accepted for the protocol, and closes it. It returns when the handler
// does; without a handler it is false.
func (l *Link) ServeDialled(ctx context.Context, c *Conn, p Protocol) bool {
	defer c.Close()
	l.mu.Lock()
	h := l.handlers[p]
	l.mu.Unlock()
	if h == nil {
		return false
	}
	h(ctx, c)
	return true
}

// Counters returns the link's counts, to which its protocols add.
func (l *Link) Counters() *Counters { return &l.counters }

// Addr returns the address that the link listens on.
func (l *Link) Addr() net.Addr { return l.listener.Addr() }

// Close stops accepting, closes every connection, accepted or dialled, and
// waits until every handler has returned; handlers must not call it. Closing
// again only waits.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	ends, stop := slices.Collect(maps.Values(l.ends)), l.stop
	l.mu.Unlock()
	if stop != nil {
		stop()
	}
	for _, end := range ends {
		end()
	}
	err := l.listener.Close()
	l.running.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("link: close the listener on %s: %w", l.Addr(), err)
	}
	return nil
}

// track has end called when the link closes, in place of what was to be called
// for c before. On a closed link it is [ErrClosed].
func (l *Link) track(c *Conn, end func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	l.ends[c] = end
	return nil
}

func (l *Link) untrack(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ends, c)
}
