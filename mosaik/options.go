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
)

// Option changes how [Open] puts the process on a network.
type Option interface{ apply(*options) error }

type optionFunc func(*options) error

func (f optionFunc) apply(o *options) error { return f(o) }

// DialFunc opens a connection like [net.Dialer.DialContext] does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// The defaults of options.
const (
	defaultListen       = "127.0.0.1:0"
	defaultTick         = 50 * time.Millisecond
	defaultLeaveTimeout = 5 * time.Second
	maxTick             = time.Second
	minConns            = 32
	defaultHistory      = 4 << 20
	minHistory          = 4 << 10
	maxHistory          = 1 << 30

	defaultSnapshotEvery = 10_000
	minSnapshotEvery     = 10
	maxSnapshotEvery     = 1_000_000_000
	defaultSnapshotBytes = 64 << 20
	minSnapshotBytes     = 4 << 10
	maxSnapshotBytes     = 1 << 40
)

type options struct {
	identity     ed25519.PrivateKey
	dir          string
	listen       string
	listener     net.Listener
	advertise    []string
	seeds        []string
	tags         []string
	logger       *slog.Logger
	dial         DialFunc
	dialFilter   func(PeerID, netip.AddrPort) error
	tick         time.Duration
	clock        func() time.Time // dates entries and processes, seeds tokens; tests set it
	leaveTimeout time.Duration
	meters       metric.MeterProvider
	tracers      trace.TracerProvider
	rootSpans    bool
	limits       link.Limits

	snapshotEvery, snapshotBytes int64

	history     int
	recordEarly bool // from joining on
}

func newOptions(opts []Option) (options, error) {
	o := options{
		listen:       defaultListen,
		logger:       slog.New(slog.DiscardHandler),
		tick:         defaultTick,
		clock:        time.Now,
		leaveTimeout: defaultLeaveTimeout,

		snapshotEvery: defaultSnapshotEvery,
		snapshotBytes: defaultSnapshotBytes,

		history: defaultHistory,
	}
	for i, opt := range opts {
		if opt == nil {
			return options{}, fmt.Errorf("option %d of %d is nil", i+1, len(opts))
		}
		if err := opt.apply(&o); err != nil {
			return options{}, err
		}
	}
	if o.meters == nil {
		o.meters = otel.GetMeterProvider()
	}
	if o.tracers == nil {
		o.tracers = otel.GetTracerProvider()
	}
	return o, nil
}

// WithDir gives the network a directory, made if need be, that outlives the
// process and keeps its identity: a process that is started again with it is
// the same peer, under any name and address. It also keeps the addresses of the
// peers that it knew, which are dialled like seeds while those peers are not known.
// The logs of groups joined with
// [logstore.Disk] lie in it, too, and their members go on where they were. The
// directory belongs to one network and one peer, and while the network is open
// to it alone. A member must never be started from a copy: its group may have
// counted on what the copy lacks.
//
// The private key lies in its file identity.pem (PKCS #8 in PEM), which only
// its owner may read. A key that was put there before the first start is taken,
// and so is that of [WithIdentity], which must then be the same at every start.
//
// [Open] fails with [logstore.ErrLocked], [logstore.ErrForeign],
// [logstore.ErrFormat], [logstore.ErrCorrupt] or [logstore.ErrExposed] if the
// directory can't be used.
func WithDir(dir string) Option {
	return optionFunc(func(o *options) error {
		if dir == "" {
			return errors.New("directory: its name is empty")
		}
		o.dir = dir
		return nil
	})
}

// WithIdentity makes the process the peer whose private key is given. By
// default the identity is that of the directory ([WithDir]), without one it is
// random. Two processes must never use one identity
// at the same time.
func WithIdentity(key ed25519.PrivateKey) Option {
	return optionFunc(func(o *options) error {
		if len(key) != ed25519.PrivateKeySize {
			return fmt.Errorf("identity: an ed25519 private key has %d bytes, not %d", ed25519.PrivateKeySize, len(key))
		}
		o.identity = key
		return nil
	})
}

// WithListen sets the TCP address, host:port, that peers connect to. Port 0
// picks a free one. The default is 127.0.0.1:0: peers on this machine only.
func WithListen(addr string) Option {
	return optionFunc(func(o *options) error {
		if err := checkAddr("listen address", addr, 0); err != nil {
			return err
		}
		o.listen = addr
		return nil
	})
}

// WithListener accepts connections from ln, in place of an address to listen
// on. The network closes it.
func WithListener(ln net.Listener) Option {
	return optionFunc(func(o *options) error {
		if ln == nil {
			return errors.New("listener: it is nil")
		}
		o.listener = ln
		return nil
	})
}

// WithAdvertise sets the addresses, host:port, under which peers are told to
// reach this process, 16 at most. By default these are the address listened on
// or, when that is a wildcard, its port on each address of the machine's
// interfaces, of IPv4 only when that is 0.0.0.0. Those beyond the sixteenth are
// left out and logged.
//
// A process that cannot be dialled there connects to others by itself, and they ask it to
// when they need more connections; both sides log it, and [Status].LinkErrors says so.
func WithAdvertise(addrs ...string) Option {
	return optionFunc(func(o *options) error {
		for _, addr := range addrs {
			if err := checkAddr("advertised address", addr, 1); err != nil {
				return err
			}
		}
		o.advertise = addrs
		return nil
	})
}

// WithSeeds names addresses, host:port, of some peers; any one of them is
// enough to learn of all. Of a name every IP address is tried, 16 at a time. A
// seed that cannot be reached is tried again for as long as the network is open;
// [Network.Connected] tells why it cannot. So is one that leads to the process
// itself, such as a load balancer: naming the process itself does no harm. Seeds
// of several calls add up. They are dialled regardless of [WithDialFilter].
func WithSeeds(addrs ...string) Option {
	return optionFunc(func(o *options) error {
		for _, addr := range addrs {
			if err := checkAddr("seed", addr, 1); err != nil {
				return err
			}
		}
		o.seeds = append(o.seeds, addrs...)
		return nil
	})
}

// WithTags attaches words to the peer's entry, for other peers to read: a zone,
// a version. At most 64, of 1 to 64 bytes each: UTF-8 of printable characters.
func WithTags(tags ...string) Option {
	return optionFunc(func(o *options) error {
		o.tags = append(o.tags, tags...)
		return nil
	})
}

// WithLogger sets where the network logs. By default it logs nothing. Lines of one
// cause, which have the same message and are about the same peer, group or the
// like, are logged at most once a minute at the levels warn and error, and at the
// level info five times and then once a minute. Of each message at most 100 are
// logged at once and 10 in every second after that. The next line that is logged
// has an attribute "omitted" with the number of those that were left out.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(o *options) error {
		if l == nil {
			return errors.New("logger: it is nil")
		}
		o.logger = l
		return nil
	})
}

// WithDialer opens connections to peers with dial: through a proxy, from a given
// interface, or with faults in a test. TLS runs over what it returns.
//
// The rules and the filter of [WithDialFilter] then see an IP address that a peer
// advertises before dial does. Of a name they see the remote address of the
// connection that dial returns, if that is a [*net.TCPAddr], before anything is
// sent on it. The name of a seed that leads to no other peer is resolved here as
// well, and dial is called with its IP addresses. Behind a proxy that is the proxy's address: what a name stands for
// is then up to the proxy.
func WithDialer(dial DialFunc) Option {
	return optionFunc(func(o *options) error {
		o.dial = dial
		return nil
	})
}

// WithDialFilter has filter decide which addresses of other peers this process
// dials. Peers advertise their addresses themselves, and any process that knows
// the network id can be a peer: without a filter, its entry can make this
// process open a TCP connection and begin TLS at any address that it can reach.
// An error refuses the address; it is logged, once per change, with peer and
// address, and counted in the metric mosaik.network.dials.
//
// The filter is called with the IP address that a socket is about to connect to,
// after a name has been resolved, so that no name can lead anywhere else. It may
// be called from several goroutines at once, must return at once, and must not
// call the network. A panic in it refuses the address. Nil, the default, allows
// every address that the rules allow, which hold in any case: never port 0, an
// unspecified, multicast or broadcast address; loopback and link-local addresses
// only if this process advertises one of the same class ([WithAdvertise]). Seeds
// ([WithSeeds]) are dialled always, and neither rules nor filter are asked.
func WithDialFilter(filter func(peer PeerID, addr netip.AddrPort) error) Option {
	return optionFunc(func(o *options) error {
		o.dialFilter = filter
		return nil
	})
}

// WithTick sets Raft's clock tick, 1 ms to 1 s in whole milliseconds, 50 ms by
// default. An election timeout is at least three ticks. A short tick costs
// processor time in proportion to the number of groups; it does not make
// commands faster.
func WithTick(d time.Duration) Option {
	return optionFunc(func(o *options) error {
		if d < time.Millisecond || d > maxTick || d%time.Millisecond != 0 {
			return fmt.Errorf("tick: %v is not 1ms to %v in whole milliseconds", d, maxTick)
		}
		o.tick = d
		return nil
	})
}

// WithLeaveTimeout sets for how long [Network.Close] tries to leave each group
// in an orderly way, 5 s by default. With 0 it cuts at once, as a crash would.
func WithLeaveTimeout(d time.Duration) Option {
	return optionFunc(func(o *options) error {
		if d < 0 {
			return fmt.Errorf("leave timeout: %v is negative", d)
		}
		o.leaveTimeout = d
		return nil
	})
}

// WithMeterProvider sets where metrics go, in place of OpenTelemetry's global
// provider.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(o *options) error {
		o.meters = p
		return nil
	})
}

// WithTracerProvider sets where spans go, in place of OpenTelemetry's global
// provider.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(o *options) error {
		o.tracers = p
		return nil
	})
}

// WithConnectionLimits bounds the connections that are accepted: in all, 4096 by
// default, and from one IP address (of IPv6, one /64 network), 1024 by default;
// at least 32 each. Of the limit per address a 32nd may be in their handshake at
// a time; a quarter may come at once, and a 16th in every second after that. A
// member needs at most three connections of each other member. Raise the limit
// per address where many members share one: on one machine, behind one proxy.
func WithConnectionLimits(total, perAddress int) Option {
	return optionFunc(func(o *options) error {
		if total < minConns || perAddress < minConns || perAddress > total {
			return fmt.Errorf("connection limits: %d in all and %d per address; both must be at least %d, and the second at most the first", total, perAddress, minConns)
		}
		o.limits = link.Limits{Conns: total, ConnsPerAddr: perAddress}
		return nil
	})
}

// WithHistory says how many bytes of encoded commands, with about a hundred for
// each log entry, every group keeps for [Group.Commands]: from 4 KiB to 1 GiB, and
// always the last entry. They are kept from joining on. By default 4 MiB are kept
// from the first call of Applied on, and nothing before.
func WithHistory(size int) Option {
	return optionFunc(func(o *options) error {
		if size < minHistory || size > maxHistory {
			return fmt.Errorf("history of %d bytes: must be from %d to %d", size, minHistory, maxHistory)
		}
		o.history, o.recordEarly = size, true
		return nil
	})
}

// WithSnapshots says when a member takes a snapshot of a machine that has them:
// when it has applied so many log entries since the last one, or so many bytes of
// them, whichever comes first. From 10 to 10^9 entries, 10 000 by default; from
// 4 KiB to 1 TiB, 64 MiB by default. The log then keeps the younger half of these
// entries, for members that lag a little, so that it never holds much more than
// one and a half of either bound. A snapshot costs time and space in proportion
// to the machine: bounds well below its size make a member copy it again and
// again. While it is written the member applies nothing; it goes on to accept and
// replicate commands.
func WithSnapshots(entries, bytes int64) Option {
	return optionFunc(func(o *options) error {
		if entries < minSnapshotEvery || entries > maxSnapshotEvery {
			return fmt.Errorf("snapshots every %d entries: must be from %d to %d", entries, minSnapshotEvery, maxSnapshotEvery)
		}
		if bytes < minSnapshotBytes || bytes > maxSnapshotBytes {
			return fmt.Errorf("snapshots every %d bytes: must be from %d to %d", bytes, minSnapshotBytes, maxSnapshotBytes)
		}
		o.snapshotEvery, o.snapshotBytes = entries, bytes
		return nil
	})
}

// WithRootSpans starts spans also for calls whose context carries no sampled
// span. By default only sampled parents get children.
func WithRootSpans() Option {
	return optionFunc(func(o *options) error {
		o.rootSpans = true
		return nil
	})
}

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
