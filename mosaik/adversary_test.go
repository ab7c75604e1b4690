package mosaik_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// The kinds of frames that strangers speak by hand; docs/formats.md has them.
const (
	frameHello   = 1
	frameSelect  = 2
	frameEntries = 3
	frameOpen    = 4
	frameAccept  = 5
	frameClose   = 6
	frameIntro   = 11
)

// fromElsewhere dials from another address than the cluster's where the loopback
// interface has several.
func fromElsewhere() net.Dialer {
	if runtime.GOOS != "linux" {
		return net.Dialer{}
	}
	return net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
}

// stranger is somebody with an identity and without a key, who speaks the
// protocol by hand.
type stranger struct {
	id      link.Identity
	network sm.Digest
	link    *link.Link
}

func newStranger(network sm.Digest) (*stranger, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	s := &stranger{network: network}
	if s.id, err = link.NewIdentity(key); err != nil {
		return nil, err
	}
	dialer := fromElsewhere()
	s.link, err = link.Listen(link.Config{Identity: s.id, Network: network, Listen: "127.0.0.1:0", Dial: dialer.DialContext})
	return s, err
}

// entry returns the stranger's signed entry.
func (s *stranger) entry(groups ...sm.Digest) (discovery.Signed, error) {
	return discovery.Sign(s.id, discovery.Entry{Network: s.network, Version: 1, Groups: groups})
}

// bond connects to a node and goes as far as somebody without a key gets: to an
// OPEN whose proof is wrong. It returns the code that this is answered with.
func (s *stranger) bond(ctx context.Context, addr string, group sm.Digest, open func(theirs []byte) []byte) (link.Code, error) {
	c, err := s.link.Dial(ctx, addr, sm.PeerID{}, link.Bond)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	hello := make([]byte, 30)
	hello[17], hello[21], hello[29] = 1, 1, 1
	frames := []struct {
		kind    uint8
		payload []byte
	}{{frameHello, hello}}
	if s.id.Peer().Compare(c.Peer()) < 0 {
		frames = append(frames, struct {
			kind    uint8
			payload []byte
		}{frameSelect, binary.BigEndian.AppendUint64(nil, 1)})
	}
	for _, f := range frames {
		if err := c.WriteFrame(f.kind, f.payload); err != nil {
			return 0, err
		}
	}
	for {
		kind, payload, err := c.ReadFrame(1<<20, nil)
		if err != nil {
			return 0, err
		}
		switch kind {
		case frameEntries: // the connection is selected
			if group.IsZero() {
				continue
			}
			e, err := s.entry(group)
			if err != nil {
				return 0, err
			}
			raw := e.Bytes()
			if err := c.WriteFrame(frameEntries, binary.BigEndian.AppendUint32(nil, uint32(len(raw))), raw); err != nil {
				return 0, err
			}
			group = sm.Digest{} // once
		case frameOpen:
			if err := c.WriteFrame(frameOpen, open(payload)); err != nil {
				return 0, err
			}
		case frameIntro, frameAccept:
			return 0, errors.New("a stranger is told about the group")
		case frameClose:
			return link.Code(binary.BigEndian.Uint32(payload[40:])), nil
		}
	}
}

// wrongProof makes an OPEN with a proof that is made up.
func wrongProof(theirs []byte) []byte {
	open := slices.Clone(theirs)
	open[len(open)-1] ^= 1
	return open
}

// assault is something that somebody without a key can do to a node.
type assault struct {
	name string
	do   func(ctx context.Context, n *testutil.Node, group sm.Digest) error
}

// expectRefusal turns what an assault got into an error unless it is the code.
func expectRefusal(err error, code link.Code) error {
	var refused *link.RefusedError
	if errors.As(err, &refused) && refused.Code != code {
		return errors.New("refused with " + refused.Code.String())
	}
	if err == nil {
		return errors.New("not refused")
	}
	return nil // refused so, or dropped by a limit
}

// hang does something with a TCP connection and waits until the node closes it.
func hang(ctx context.Context, n *testutil.Node, do func(net.Conn)) error {
	dialer := fromElsewhere()
	raw, err := dialer.DialContext(ctx, "tcp", n.Addr())
	if err != nil {
		return nil // the backlog is full
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	do(raw)
	_, _ = io.Copy(io.Discard, raw)
	return nil
}

// asStranger runs an assault of somebody with a new identity.
func asStranger(network sm.Digest, do func(*stranger) error) error {
	s, err := newStranger(network)
	if err != nil {
		return err
	}
	defer s.link.Close()
	return do(s)
}

var assaults = []assault{
	{"half open", func(ctx context.Context, n *testutil.Node, _ sm.Digest) error {
		return hang(ctx, n, func(net.Conn) {})
	}},
	{"garbage", func(ctx context.Context, n *testutil.Node, _ sm.Digest) error {
		return hang(ctx, n, func(raw net.Conn) { _, _ = io.WriteString(raw, "GET / HTTP/1.1\r\n\r\n") })
	}},
	{"truncated", func(ctx context.Context, n *testutil.Node, _ sm.Digest) error {
		return hang(ctx, n, func(raw net.Conn) { _, _ = io.WriteString(raw, "\x16\x03\x01\x3f\xff\x01") })
	}},
	{"old TLS", func(ctx context.Context, n *testutil.Node, _ sm.Digest) error {
		return hang(ctx, n, func(raw net.Conn) {
			_ = tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}).HandshakeContext(ctx)
		})
	}},
	{"other protocol", func(ctx context.Context, n *testutil.Node, _ sm.Digest) error {
		return hang(ctx, n, func(raw net.Conn) {
			_ = tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}).HandshakeContext(ctx)
		})
	}},
	{"other network", func(ctx context.Context, n *testutil.Node, _ sm.Digest) error {
		return asStranger(sm.ID("elsewhere"), func(s *stranger) error {
			_, err := s.link.Dial(ctx, n.Addr(), sm.PeerID{}, link.Bond)
			return expectRefusal(err, link.CodeOtherNetwork)
		})
	}},
	{"raft without a bond", func(ctx context.Context, n *testutil.Node, _ sm.Digest) error {
		return asStranger(n.Net().ID(), func(s *stranger) error {
			_, err := s.link.Dial(ctx, n.Addr(), sm.PeerID{}, link.Raft)
			return expectRefusal(err, link.CodeUnknownPeer)
		})
	}},
	{"snapshot without a bond", func(ctx context.Context, n *testutil.Node, _ sm.Digest) error {
		return asStranger(n.Net().ID(), func(s *stranger) error {
			_, err := s.link.Dial(ctx, n.Addr(), sm.PeerID{}, link.Snapshot)
			return expectRefusal(err, link.CodeUnknownPeer)
		})
	}},
	{"wrong proof", func(ctx context.Context, n *testutil.Node, group sm.Digest) error {
		return asStranger(n.Net().ID(), func(s *stranger) error {
			code, err := s.bond(ctx, n.Addr(), group, wrongProof)
			if err == nil && code != link.CodeWrongProof {
				return errors.New("refused with " + code.String())
			}
			return nil
		})
	}},
	{"reflected proof", func(ctx context.Context, n *testutil.Node, group sm.Digest) error {
		return asStranger(n.Net().ID(), func(s *stranger) error {
			code, err := s.bond(ctx, n.Addr(), group, func(theirs []byte) []byte { return theirs })
			if err == nil && code != link.CodeWrongProof {
				return errors.New("refused with " + code.String())
			}
			return nil
		})
	}},
}

// flood has as many assailants as said attack every node, each with one assault
// after the other, until it is stopped. It reports how often each assault was
// carried out.
func flood(t testing.TB, c *testutil.Cluster, group sm.Digest, assailants int) (stop func(), counts []atomic.Int64) {
	ctx, cancel := context.WithCancel(t.Context())
	counts = make([]atomic.Int64, len(assaults))
	var running sync.WaitGroup
	for i := range assailants {
		running.Go(func() {
			for k := i; ctx.Err() == nil; k++ {
				one, end := context.WithTimeout(ctx, time.Second)
				a := k % len(assaults)
				if err := assaults[a].do(one, c.Node(k/len(assaults)%c.Len()), group); err != nil && ctx.Err() == nil && one.Err() == nil {
					t.Errorf("%s: %v", assaults[a].name, err)
				}
				end()
				counts[a].Add(1)
			}
		})
	}
	return func() { cancel(); running.Wait() }, counts
}

// refusals returns what a reader counted as refused, by code and direction, and
// as dropped.
func refusals(t *testing.T, reader *metric.ManualReader) (refused map[link.Code]int64, dropped int64) {
	t.Helper()
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &collected); err != nil {
		t.Fatal(err)
	}
	refused = map[link.Code]int64{}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, _ := m.Data.(metricdata.Sum[int64])
			for _, p := range sum.DataPoints {
				code, _ := p.Attributes.Value("code")
				direction, _ := p.Attributes.Value("direction")
				switch {
				case m.Name == "mosaik.bonds.refused" && direction.AsString() == "sent":
					refused[link.Code(code.AsInt64())] += p.Value
				case m.Name == "mosaik.connections.dropped":
					dropped += p.Value
				}
			}
		}
	}
	return refused, dropped
}

// TestGroupGoesOnUnderAFlood has strangers do all that they can do without the
// key while the members work, and looks at what is left of it.
func TestGroupGoesOnUnderAFlood(t *testing.T) {
	t.Parallel()
	var readers [4]*metric.ManualReader
	for i := range readers {
		readers[i] = metric.NewManualReader()
	}
	c := testutil.NewCluster(t, 3, testutil.WithNodeOptions(func(i int) []mosaik.Option {
		return []mosaik.Option{mosaik.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(readers[i])))}
	}))
	groups := []tillGroup{joinThree(c.Node(0)), joinThree(c.Node(1)), joinThree(c.Node(2))}
	testutil.Settle(t, groups...)
	mustPay(t, groups[0], 1)
	before := groups[0].Status()

	stop, counts := flood(t, c, groups[0].ID(), 24)
	paid := int64(1)
	for done := false; !done; {
		mustPay(t, groups[paid%3], 1)
		paid++
		done = true
		for i := range counts {
			done = done && counts[i].Load() >= 6
		}
	}
	stop()

	wantSum(t, paid, groups...)
	after := groups[0].Status()
	if after.Epoch != before.Epoch || len(after.Members) != len(before.Members) {
		t.Errorf("the flood took epoch %s with %d members to epoch %s with %d", before.Epoch, len(before.Members), after.Epoch, len(after.Members))
	}
	var total = map[link.Code]int64{}
	for i, reader := range readers[:3] {
		refused, dropped := refusals(t, reader)
		t.Logf("node %d dropped %d and refused %v", i, dropped, refused)
		for code, n := range refused {
			total[code] += n
		}
	}
	for _, code := range []link.Code{link.CodeOtherNetwork, link.CodeUnknownPeer, link.CodeWrongProof} {
		if total[code] == 0 {
			t.Errorf("no refusal with code %d was counted", code)
		}
	}
	late := joinThree(c.Add()) // who has the key gets in
	if err := late.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	wantSum(t, paid, late)
}

// TestRefusalsAreTypedErrors looks at a refusal from both sides.
func TestRefusalsAreTypedErrors(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 2)
	key := mosaik.RandomKey()
	join := func(i int, p mosaik.Policy) tillGroup {
		b := c.Node(i).Net().Groups().WithKey(key).WithConsensusConfig(testutil.FastConsensus())
		g, err := mosaik.WithStateMachine(b, newTill).WithMembership(p).Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	groups := []tillGroup{join(0, mosaik.DefaultPolicy()), join(1, mosaik.DefaultPolicy().WithMaximumVoters(3))}
	for i, g := range groups {
		wantRefused(t, g, mosaik.RefusedError{Peer: c.Node(1 - i).Peer(), Code: link.CodePolicy})
	}
	other := openNetwork(t, mosaik.NewNetworkID("another"), mosaik.WithSeeds(c.Node(0).Addr()))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var refused *mosaik.RefusedError
	if err := other.Connected(ctx); !errors.As(err, &refused) || refused.Peer != c.Node(0).Peer() || refused.Code != link.CodeOtherNetwork {
		t.Errorf("connect to a seed of another network: %v, want a refusal of node 0 with code %d", err, link.CodeOtherNetwork)
	}
}

// wantRefused waits until the status of a group lists the refusal.
func wantRefused[M sm.StateMachine[step]](t *testing.T, g *mosaik.Group[step, M], want mosaik.RefusedError) {
	t.Helper()
	for s := range g.When().Statuses(soon(t)) {
		if slices.Contains(s.Refused, want) {
			return
		}
	}
	t.Errorf("refused are %+v, want %+v", g.Status().Refused, want)
}

// BenchmarkFlood measures commands while nothing else happens and while
// strangers flood all members: how long they take, how large the heap gets, and
// how much of it and how many goroutines are left when the strangers are gone.
func BenchmarkFlood(b *testing.B) {
	for _, run := range []struct {
		name       string
		assailants int
	}{{"calm", 0}, {"flood", 32}} {
		b.Run(run.name, func(b *testing.B) {
			c := testutil.NewCluster(b, 3)
			groups := testutil.JoinAll(c, newTill)
			mustPay(b, groups[0], 1)
			stop, _ := flood(b, c, groups[0].ID(), run.assailants)
			var took []time.Duration
			var peak uint64
			for b.Loop() {
				begin := time.Now()
				mustPay(b, groups[0], 1)
				took = append(took, time.Since(begin))
				if len(took)%128 == 0 {
					peak = max(peak, heapObjects())
				}
			}
			stop()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(peak)/1e6, "peak-MB")
			runtime.GC()
			b.ReportMetric(float64(heapObjects())/1e6, "after-MB")
			b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines-after")
		})
	}
}

// heapObjects returns how many bytes of the heap objects take, dead ones that
// are not collected yet among them.
func heapObjects() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
