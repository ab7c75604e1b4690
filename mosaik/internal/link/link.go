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

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Protocol names the protocol of a connection and its version. It is the ALPN of TLS.
type Protocol string

// The protocols of a network.
const (
	Bond     Protocol = "mosaik/bond/1"
	Raft     Protocol = "mosaik/raft/1"
	Snapshot Protocol = "mosaik/snap/1"
	// Callback is for connections that the receiver of data opens because the sender cannot.
	Callback Protocol = "mosaik/back/1"
)

// defaultHandshakeTimeout is the default of Config.HandshakeTimeout.
const defaultHandshakeTimeout = 2 * time.Second

var (
	// ErrSelf reports a connection of this peer to itself.
	ErrSelf = errors.New("the peer is this peer itself")
	// ErrOtherPeer reports an address at which a peer other than the expected one answers.
	ErrOtherPeer = errors.New("another peer answers")
	// ErrHandshake reports a dial whose TCP connection was opened and whose handshake failed.
	ErrHandshake = errors.New("the handshake failed")
	// ErrClosed reports a call on a closed link.
	ErrClosed = errors.New("the link is closed")
)

// Config is the configuration of a [Link].
type Config struct {
	Identity Identity  // of this peer; required
	Network  sm.Digest // every peer must be on it; required

	// Listen is the address to listen on, host:port. Port 0 picks a free port.
	Listen string
	// Listener, if not nil, replaces Listen. The link closes it.
	Listener net.Listener
	// Dial opens TCP connections. Nil means [net.Dialer.DialContext]. It must return soon
	// after its context has ended.
	//
	// If Dial is set, the check of [Link.DialChecked] sees an IP address before Dial does.
	// For a name it sees the remote address of the connection that Dial returns, if that is
	// a [*net.TCPAddr]. Behind a proxy that is the address of the proxy, which resolves the
	// name.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Resolver looks up names if Dial is nil. Nil means [net.DefaultResolver].
	Resolver *net.Resolver

	// HandshakeTimeout bounds a call of Dial, and TLS and preface of an accepted
	// connection. 0 means 2 s.
	HandshakeTimeout time.Duration
	// Limits bounds accepted connections.
	Limits Limits
	// Admit decides about a peer of this network that asks for a protocol. A code other
	// than 0 refuses it. Admit is called concurrently and must return at once. Nil admits
	// every peer.
	Admit func(sm.PeerID, Protocol) consensus.CloseCode
	// Logger receives failed handshakes (debug), connections over a limit and failures to
	// accept (warn). Nil discards them.
	Logger *slog.Logger
}

// Link is one listener and all connections that were accepted on it or dialled. Its methods
// may be called concurrently.
type Link struct {
	config   Config
	listener net.Listener
	gate     *gate
	counters Counters
	cpu      *cpuLimiter    // of connections whose peer is a stranger
	running  sync.WaitGroup // the accept loop and the accepted connections

	mu       sync.Mutex // guards the fields below
	handlers map[Protocol]Handler
	stop     func()           // ends what Serve started, nil before it
	ends     map[*Conn]func() // ends each connection and each Dial in flight; called without mu
	closed   bool
}

// Handler serves one accepted connection and owns it until it returns. Then the link closes
// the connection. The context ends with the link.
type Handler = func(ctx context.Context, c *Conn)

// Listen binds the configured address. Connections can be dialled at once and are accepted
// after [Link.Serve]. The caller must call [Link.Close].
func Listen(config Config) (*Link, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	l := &Link{config: config, listener: config.Listener, gate: newGate(config.Limits), cpu: newCPULimiter(), handlers: map[Protocol]Handler{}, ends: map[*Conn]func(){}}
	if l.listener == nil {
		var err error
		if l.listener, err = net.Listen("tcp", config.Listen); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", config.Listen, err)
		}
	}
	return l, nil
}

// complete checks the configuration and fills in the defaults.
func (c *Config) complete() error {
	switch {
	case c.Identity.keys == nil:
		return errors.New("listen: Config.Identity is missing; make one with NewIdentity")
	case c.Network.IsZero():
		return errors.New("listen: Config.Network is zero; set the network's id")
	case c.Listen == "" && c.Listener == nil:
		return errors.New("listen: Config.Listen is empty; set host:port")
	case c.Limits.Conns < 0 || c.Limits.ConnsPerAddr < 0:
		return fmt.Errorf("listen: Config.Limits is %+v; no limit may be negative", c.Limits)
	case c.HandshakeTimeout < 0:
		return fmt.Errorf("listen: Config.HandshakeTimeout is %v; it must not be negative", c.HandshakeTimeout)
	}
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = defaultHandshakeTimeout
	}
	c.Limits.complete()
	if c.Admit == nil {
		c.Admit = func(sm.PeerID, Protocol) consensus.CloseCode { return consensus.CodeAccepted }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Handle sets the handler of connections that are accepted for the protocol. It panics if
// the link already serves or the protocol has a handler.
func (l *Link) Handle(p Protocol, h Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil || l.handlers[p] != nil {
		panic(fmt.Sprintf("link: handle %s: called after Serve or twice", p))
	}
	l.handlers[p] = h
}

// ServeDialled runs the handler of the protocol on a connection that this end dialled, as if
// it had been accepted for the protocol, and closes the connection. It returns when the
// handler does, and is false if the protocol has no handler.
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

// Counters returns the link's counters. The protocols on the link add to them.
func (l *Link) Counters() *Counters { return &l.counters }

// Addr returns the address that the link listens on.
func (l *Link) Addr() net.Addr { return l.listener.Addr() }

// Close stops accepting, closes every connection, accepted or dialled, and waits until every
// handler has returned. Handlers must not call it. Closing again only waits.
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
		return fmt.Errorf("close the listener on %s: %w", l.Addr(), err)
	}
	return nil
}

// track registers end to be called when the link closes, in place of what was registered for
// c before. On a closed link it returns [ErrClosed].
func (l *Link) track(c *Conn, end func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	l.ends[c] = end
	return nil
}

// untrack removes what track registered.
func (l *Link) untrack(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ends, c)
}
