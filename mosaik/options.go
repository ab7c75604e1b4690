package mosaik

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// Option configures the network that [Open] opens. Options and the methods of
// builders follow the same rules:
//
//   - A setting that has one value has that of the last call.
//   - A setting that is a list adds up over several calls: [WithSeeds],
//     [WithAdvertise], [WithTags], [KeyedBuilder.RequireTicket].
//   - Nil is an error, as an option and as the argument of one. To keep a default,
//     leave the option out.
//   - A value out of its range is an error, which names the setting, the value and
//     the range.
//   - Two settings that contradict each other are an error that names both:
//     [WithListen] with [WithListener], a [consensus.Role] that is an observer and reluctant.
//
// Open returns the errors of options, and Join those of a builder.
type Option interface{ apply(*options) error }

type optionFunc func(*options) error

func (f optionFunc) apply(o *options) error { return f(o) }

// Defaults and ranges of options.
const (
	defaultListen       = "127.0.0.1:0"
	defaultTick         = 50 * time.Millisecond
	defaultLeaveTimeout = 5 * time.Second
	maxTick             = time.Second
	minConns            = 32
)

// dialFunc opens a connection like [net.Dialer.DialContext].
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// options is what the options of a network set.
type options struct {
	identity     ed25519.PrivateKey // nil: the directory's, or a random one
	dir          string             // "" for none
	listen       string             // "": defaultListen, or the listener's address
	listener     net.Listener       // nil: listen on the address
	advertise    []string
	seeds        []string
	tags         []string
	logger       *slog.Logger
	dial         dialFunc // nil: the system's
	dialFilter   func(sm.PeerID, netip.AddrPort) error
	tick         time.Duration
	clock        func() time.Time // dates entries and processes, and seeds tokens; tests set it
	leaveTimeout time.Duration
	meters       metric.MeterProvider
	tracers      trace.TracerProvider
	rootSpans    bool
	limits       link.Limits
}

// newOptions returns what the options set, with the defaults of the others.
func newOptions(opts []Option) (options, error) {
	o := options{
		logger:       slog.New(slog.DiscardHandler),
		tick:         defaultTick,
		clock:        time.Now,
		leaveTimeout: defaultLeaveTimeout,
	}
	for i, opt := range opts {
		if isNil(opt) {
			return options{}, fmt.Errorf("option %d of %d is nil; leave it out", i+1, len(opts))
		}
		if err := opt.apply(&o); err != nil {
			return options{}, err
		}
	}
	if o.listen != "" && o.listener != nil {
		return options{}, fmt.Errorf("listen address %q and a listener are both set; use either WithListen or WithListener", o.listen)
	}
	if o.listen == "" {
		o.listen = defaultListen
	}
	if o.meters == nil {
		o.meters = otel.GetMeterProvider()
	}
	if o.tracers == nil {
		o.tracers = otel.GetTracerProvider()
	}
	return o, nil
}

// notNil returns an option that calls set, or one that returns an error if v is nil.
func notNil[T any](what string, v T, set func(*options)) Option {
	return optionFunc(func(o *options) error {
		if isNil(v) {
			return fmt.Errorf("%s: it is nil; leave the option out for the default", what)
		}
		set(o)
		return nil
	})
}

// WithDir sets the directory of the network, which outlives the process. Open
// creates it if it does not exist. A process that is started again with the
// directory is the same peer, under any name and address. The directory holds:
//
//   - the private key, in the file identity.pem (PKCS #8 in PEM), which only its
//     owner may read. A key that was put there before the first start is used. So is
//     that of [WithIdentity], which must be the same at every start;
//   - the addresses of the peers that the process has met. They are dialled like
//     seeds while those peers are unknown;
//   - the logs of groups that are joined with [logstore.Disk], whose members resume
//     where they stopped.
//
// A directory belongs to one network and one peer. An open network locks it. Never
// start a member from a copy: its group may rely on entries that the copy lacks.
//
// [Open] fails with [logstore.ErrLocked], [logstore.ErrForeign],
// [logstore.ErrFormat], [logstore.ErrCorrupt] or [logstore.ErrExposed] if it cannot
// use the directory.
func WithDir(dir string) Option {
	return optionFunc(func(o *options) error {
		if dir == "" {
			return errors.New("directory: its name is empty; leave the option out for none")
		}
		o.dir = dir
		return nil
	})
}

// WithIdentity sets the private key of the process, whose public key is its peer
// id. The default is the key in the directory ([WithDir]), or a random key without
// a directory. Two processes must not use one key at the same time.
func WithIdentity(key ed25519.PrivateKey) Option {
	return optionFunc(func(o *options) error {
		if len(key) != ed25519.PrivateKeySize {
			return fmt.Errorf("identity: an ed25519 private key has %d bytes, not %d", ed25519.PrivateKeySize, len(key))
		}
		o.identity = key
		return nil
	})
}

// WithListen sets the TCP address, host:port, on which the process accepts
// connections from peers. Port 0 picks a free port. The default is 127.0.0.1:0,
// which only peers on the same machine can reach.
func WithListen(addr string) Option {
	return optionFunc(func(o *options) error {
		if err := checkAddr("listen address", addr, 0); err != nil {
			return err
		}
		o.listen = addr
		return nil
	})
}

// WithListener accepts connections from ln instead of listening on an address.
// The network closes ln.
func WithListener(ln net.Listener) Option {
	return notNil("listener", ln, func(o *options) { o.listener = ln })
}

// WithAdvertise adds addresses, host:port, that peers use to reach this process.
// At most 16 are allowed. The default is the address listened on. If that is a
// wildcard, it is its port on each address of the machine's interfaces, IPv4 only
// for 0.0.0.0; addresses beyond the sixteenth are omitted and logged.
//
// If peers cannot dial any of the addresses, this process dials them, and they ask
// it for further connections. Both sides log that, and [consensus.Status].LinkErrors shows it.
func WithAdvertise(addrs ...string) Option {
	return addrList("advertised address", addrs, func(o *options) { o.advertise = append(o.advertise, addrs...) })
}

// WithSeeds adds addresses, host:port, of peers through which the process learns
// of all other peers. One that is reachable is enough. Every IP address of a name
// is tried, 16 at a time. A seed that cannot be reached is tried again as long as
// the network is open; [Network.Connected] returns why. So is a seed that leads to
// the process itself, such as a load balancer. [WithDialFilter] does not apply to
// seeds.
func WithSeeds(addrs ...string) Option {
	return addrList("seed", addrs, func(o *options) { o.seeds = append(o.seeds, addrs...) })
}

// addrList returns an option that calls set, or one that returns the error of the first bad
// address.
func addrList(what string, addrs []string, set func(*options)) Option {
	return optionFunc(func(o *options) error {
		for _, addr := range addrs {
			if err := checkAddr(what, addr, 1); err != nil {
				return err
			}
		}
		set(o)
		return nil
	})
}

// WithTags adds words to what other peers can read about this process
// ([Peer].Tags), such as a zone or a version: at most 64, each of 1 to 64 bytes of
// UTF-8 in printable characters.
func WithTags(tags ...string) Option {
	return optionFunc(func(o *options) error {
		o.tags = append(o.tags, tags...)
		return nil
	})
}

// WithLogger sets where the network logs. The default is nowhere. Repetition is
// limited per cause and per message. A cause is a message about one peer, group or
// the like. The levels warn and error log a cause once a minute; the level info
// logs it five times and then once a minute. All causes of a message together log
// at most 100 lines at once and 10 in each further second. The next line that is
// logged has the number of omitted ones in its attribute "omitted".
func WithLogger(l *slog.Logger) Option {
	return notNil("logger", l, func(o *options) { o.logger = l })
}

// WithDialer sets the function that opens connections to peers: through a proxy,
// from one interface, or with faults in a test. It takes the arguments of
// [net.Dialer.DialContext]. TLS runs over the connection that it returns.
//
// The address rules and [WithDialFilter] check an IP address that a peer
// advertises before dial is called. For a name they check the remote address of
// the connection that dial returned, if it is a [*net.TCPAddr], before anything is
// sent. Behind a proxy that is the proxy's address, so the proxy decides what a
// name stands for. The name of a seed that leads to no other peer is also resolved
// here, and dial is called with each of its IP addresses.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return notNil("dialer", dial, func(o *options) { o.dial = dial })
}

// WithDialFilter sets the function that decides which addresses of other peers
// this process dials. Peers advertise their own addresses, and any process that
// knows the network id can be a peer. Without a filter, such a process can make
// this one open a TCP connection and begin TLS at any address that the rules below
// allow.
//
// The filter is called with the IP address that a socket is about to connect to,
// after a name was resolved. An error or a panic refuses the address; it is logged
// with peer and address whenever it changes, and counted in the metric
// mosaik.network.dials. The filter may be called by several goroutines at once,
// must return at once, and must not call the network.
//
// The rules apply first and always: never port 0 or an unspecified, multicast or
// broadcast address; a loopback or link-local address only if this process
// advertises one of the same class ([WithAdvertise]). Neither the rules nor the
// filter apply to seeds ([WithSeeds]).
func WithDialFilter(filter func(peer sm.PeerID, addr netip.AddrPort) error) Option {
	return notNil("dial filter", filter, func(o *options) { o.dialFilter = filter })
}

// WithTick sets the tick of Raft's clock: 1 ms to 1 s in whole milliseconds, by
// default 50 ms. An election timeout is at least three ticks. A shorter tick takes
// processor time in proportion to the number of groups. It does not make commands
// faster.
func WithTick(d time.Duration) Option {
	return optionFunc(func(o *options) error {
		if d < time.Millisecond || d > maxTick || d%time.Millisecond != 0 {
			return fmt.Errorf("tick: %v is not 1ms to %v in whole milliseconds", d, maxTick)
		}
		o.tick = d
		return nil
	})
}

// WithLeaveTimeout sets how long [Network.Close] waits for the other members to
// confirm that this one has left their groups, by default 5 s. With 0 it does not
// leave them and ends all connections at once, as a crash does.
func WithLeaveTimeout(d time.Duration) Option {
	return optionFunc(func(o *options) error {
		if d < 0 {
			return fmt.Errorf("leave timeout: %v is negative; the least is 0, for no orderly leave", d)
		}
		o.leaveTimeout = d
		return nil
	})
}

// WithMeterProvider sets where metrics go. The default is OpenTelemetry's global
// provider.
func WithMeterProvider(p metric.MeterProvider) Option {
	return notNil("meter provider", p, func(o *options) { o.meters = p })
}

// WithTracerProvider sets where spans go. The default is OpenTelemetry's global
// provider.
func WithTracerProvider(p trace.TracerProvider) Option {
	return notNil("tracer provider", p, func(o *options) { o.tracers = p })
}

// WithRootSpans also starts spans for calls whose context has no sampled span. By
// default only calls with a sampled parent have spans.
func WithRootSpans() Option {
	return optionFunc(func(o *options) error {
		o.rootSpans = true
		return nil
	})
}

// WithConnectionLimits sets how many connections the process accepts: in total, by
// default 4096, and from one IP address (for IPv6 one /64 network), by default
// 1024. Both must be at least 32. Of the limit per address, at most 1/32 may be in the
// handshake at a time, 1/4 may arrive at once, and 1/16 in each further second. A member
// needs at most three connections to each other member. Raise the limit per address where
// many members share an address: on one machine, or behind one proxy.
func WithConnectionLimits(total, perAddress int) Option {
	return optionFunc(func(o *options) error {
		if total < minConns || perAddress < minConns || perAddress > total {
			return fmt.Errorf("connection limits: %d in all and %d per address; both must be at least %d, "+
				"and the second at most the first", total, perAddress, minConns)
		}
		o.limits = link.Limits{Conns: total, ConnsPerAddr: perAddress}
		return nil
	})
}

// checkAddr returns an error that names what and the address if addr is not
// host:port with a port from minPort on. Where the port may be 0, so may the host
// be empty.
func checkAddr(what, addr string, minPort int) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s %q: it must be host:port: %w", what, addr, err)
	}
	if host == "" && minPort > 0 {
		return fmt.Errorf("%s %q: it must be host:port: the host is missing", what, addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < minPort || n > 65535 {
		return fmt.Errorf("%s %q: the port must be a number from %d to 65535", what, addr, minPort)
	}
	return nil
}
