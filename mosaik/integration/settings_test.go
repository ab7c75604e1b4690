package integration_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// The tests here hold the rules about repeated, nil and contradictory settings that
// Option states, for the options of a network and for the settings of a group.

// TestNilSettings gives nil, and typed nils, to everything that takes a pointer, a
// function or an interface.
func TestNilSettings(t *testing.T) {
	t.Parallel()
	id := mosaik.NetworkID("nil settings")
	var listener *net.TCPListener
	var meters *metricnoop.MeterProvider
	var tracers *tracenoop.TracerProvider
	for name, opt := range map[string]mosaik.Option{
		"option 1 of 1":          nil,
		"identity":               mosaik.WithIdentity(nil),
		"listener":               mosaik.WithListener(nil),
		"listener, typed":        mosaik.WithListener(listener),
		"logger":                 mosaik.WithLogger(nil),
		"dialer":                 mosaik.WithDialer(nil),
		"dial filter":            mosaik.WithDialFilter(nil),
		"meter provider":         mosaik.WithMeterProvider(nil),
		"meter provider, typed":  mosaik.WithMeterProvider(metric.MeterProvider(meters)),
		"tracer provider":        mosaik.WithTracerProvider(nil),
		"tracer provider, typed": mosaik.WithTracerProvider(trace.TracerProvider(tracers)),
	} {
		what, _, _ := strings.Cut(name, ",")
		n, err := mosaik.Open(t.Context(), id, opt)
		if err == nil {
			n.Close()
		}
		wantMessage(t, name, err, "mosaik: open network "+id.Short()+": "+what)
	}

	n := openNetwork(t, id)
	keyed := n.Groups().WithKey(mosaik.RandomKey())
	for name, join := range map[string]func(context.Context) error{
		"the machine's constructor is nil": join(mosaik.WithStateMachine[step, *till](keyed, nil)),
		"the log storage is nil":           join(mosaik.WithStateMachine(keyed, newTill).WithLogStorage(nil)),
		"ticket validator 1 is nil":        join(keyed.RequireTicket(ticket.Validator(nil))),
	} {
		wantMessage(t, name, join(t.Context()), "mosaik: join group: "+name)
	}
	wantMessage(t, "storage of an election", join(keyed.WithLogStorage(nil))(t.Context()), "mosaik: join group: the log storage is nil")
}

// TestLastSettingWins repeats the settings that have one value.
func TestLastSettingWins(t *testing.T) {
	t.Parallel()
	id := mosaik.NetworkID("repeated settings")
	first, last := listen(t), listen(t)
	first.Close()
	dialled := make(chan struct{}, 64)
	dialer := func(counts bool) mosaik.Option {
		return mosaik.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			if !counts {
				t.Error("the first dialer is called")
			}
			select {
			case dialled <- struct{}{}:
			default:
			}
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		})
	}
	refuse := func(sm.PeerID, netip.AddrPort) error { return errShort }
	allow := func(sm.PeerID, netip.AddrPort) error { return nil }
	seed := openNetwork(t, id)
	n := openNetwork(t, id,
		mosaik.WithListener(first), mosaik.WithListener(last),
		mosaik.WithTick(time.Second), mosaik.WithTick(10*time.Millisecond),
		dialer(false), dialer(true),
		mosaik.WithDialFilter(refuse), mosaik.WithDialFilter(allow),
		mosaik.WithLeaveTimeout(time.Hour), mosaik.WithLeaveTimeout(0),
		mosaik.WithSeeds(seed.Addr().String()))
	if got, want := n.Addr().String(), last.Addr().String(); got != want {
		t.Errorf("the network listens on %s, want the last listener's %s", got, want)
	}
	if err := n.Connected(soon(t)); err != nil {
		t.Fatal(err)
	}
	<-dialled

	b := mosaik.WithStateMachine(n.Groups().WithKey(mosaik.RandomKey()), newTill).
		WithConsensusConfig(consensus.Config{MaxMissedHeartbeats: 3, QueryTimeout: time.Hour}).
		WithConsensusConfig(fast(consensus.Config{BootstrapDelay: consensus.None})).
		WithRole(consensus.Role{Reluctance: -1}).WithRole(consensus.Role{}).
		WithMembership(consensus.Policy{Expected: 9}).WithMembership(consensus.Policy{}).
		WithTokenFloor(1<<63).WithTokenFloor(7).
		WithHistory(1).WithHistory(1<<20).
		WithSnapshots(1, 1).WithSnapshots(10, 1<<20).
		WithLogStorage(nil).WithLogStorage(logstore.NewMemory[step]())
	g, err := b.Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := g.Config(), fast(consensus.Config{BootstrapDelay: consensus.None}); got != want {
		t.Errorf("the config is %v, want the last, %v", got, want)
	}
	if err := g.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	mustPay(t, g, 1)
}

// listen returns a listener on the loopback interface.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestListsAddUp repeats the settings that are lists.
func TestListsAddUp(t *testing.T) {
	t.Parallel()
	id := mosaik.NetworkID("lists")
	seed := openNetwork(t, id)
	dead := listen(t)
	dead.Close()
	n := openNetwork(t, id,
		mosaik.WithSeeds(dead.Addr().String()), mosaik.WithSeeds(), mosaik.WithSeeds(seed.Addr().String()),
		mosaik.WithTags("one"), mosaik.WithTags("two", "three"),
		mosaik.WithAdvertise("127.0.0.1:1"), mosaik.WithAdvertise("127.0.0.1:2"))
	if err := n.Connected(soon(t)); err != nil {
		t.Fatal(err)
	}
	if err := seed.Connected(soon(t)); err != nil {
		t.Fatal(err)
	}
	peers := seed.Peers()
	if len(peers) != 1 || !slices.Equal(peers[0].Tags, []string{"one", "three", "two"}) || // ascending
		!slices.Equal(peers[0].Addrs, []string{"127.0.0.1:1", "127.0.0.1:2"}) {
		t.Errorf("the seed knows %+v, want all tags and addresses", peers)
	}

	keyed := n.Groups().WithKey(mosaik.RandomKey()).RequireTicket(password{"a"})
	wantMessage(t, "validators", join(keyed.RequireTicket(nil))(t.Context()), "ticket validator 2 is nil")
	// Each of two builders that branch from one has its own second validator.
	ids := map[sm.Digest]bool{}
	for _, b := range []mosaik.KeyedBuilder{keyed, keyed.RequireTicket(password{"b"}), keyed.RequireTicket(password{"c"})} {
		g, err := b.Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids[g.ID()] = true
	}
	if len(ids) != 3 {
		t.Errorf("builders with different validators join %d groups, want 3", len(ids))
	}
}

// TestContradictorySettings sets what cannot hold together.
func TestContradictorySettings(t *testing.T) {
	t.Parallel()
	id := mosaik.NetworkID("contradictions")
	l := listen(t)
	defer l.Close()
	for _, opts := range [][]mosaik.Option{
		{mosaik.WithListen("127.0.0.1:0"), mosaik.WithListener(l)},
		{mosaik.WithListener(l), mosaik.WithListen("127.0.0.1:0")},
	} {
		n, err := mosaik.Open(t.Context(), id, opts...)
		if err == nil {
			n.Close()
		}
		wantMessage(t, "listening", err, `listen address "127.0.0.1:0" and a listener are both set`, "either WithListen or WithListener")
	}
	n := openNetwork(t, id, mosaik.WithListener(l))
	keyed := n.Groups().WithKey(mosaik.RandomKey())
	wantMessage(t, "role", join(keyed.WithRole(consensus.Role{Observer: true, Reluctance: 3}))(t.Context()),
		"validate role: it is both an observer and reluctant")
}

// TestNilClusterOptions gives nil to a cluster, whose options follow the same rules.
func TestNilClusterOptions(t *testing.T) {
	t.Parallel()
	for want, opts := range map[string][]testutil.ClusterOption{
		"testutil: new cluster: option 2 of 2 is nil; leave it out":                               {testutil.WithNodeOptions(func(int) []mosaik.Option { return nil }), nil},
		"testutil: new cluster: node options: the function is nil; leave the option out for none": {testutil.WithNodeOptions(nil)},
	} {
		failing := &failingTest{TB: t}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			testutil.NewCluster(failing, 1, opts...)
		}()
		<-ended
		if failing.message != want {
			t.Errorf("the test fails with %q, want %q", failing.message, want)
		}
	}
}

// failingTest is a test that may fail.
type failingTest struct {
	testing.TB
	message string
}

func (f *failingTest) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
