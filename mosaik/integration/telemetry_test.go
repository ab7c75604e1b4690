package integration_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// point is one measured value.
type point struct {
	Name, Network, Group string
	Value                int64
}

// points returns what a reader collects, sorted.
func points(t *testing.T, reader *metric.ManualReader) []point {
	t.Helper()
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &collected); err != nil {
		t.Fatal(err)
	}
	var all []point
	for _, scope := range collected.ScopeMetrics {
		if scope.Scope.Name != module {
			t.Errorf("a metric of %q, want %q", scope.Scope.Name, module)
		}
		for _, m := range scope.Metrics {
			if !strings.HasPrefix(m.Name, "mosaik.groups.") || m.Name == "mosaik.groups.machine.slow_calls" {
				continue // counts of the network and of calls, for other tests
			}
			var data []metricdata.DataPoint[int64]
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				if data = d.DataPoints; d.IsMonotonic {
					t.Errorf("%s can only grow", m.Name)
				}
			case metricdata.Gauge[int64]:
				data = d.DataPoints
			default:
				t.Errorf("%s is a %T", m.Name, m.Data)
			}
			for _, p := range data {
				network, _ := p.Attributes.Value("network")
				id, grouped := p.Attributes.Value("group")
				want := 2
				if grouped {
					want = 3
				}
				name := m.Name
				if voter, ok := p.Attributes.Value("voter"); ok {
					name, want = fmt.Sprintf("%s voter=%v", name, voter.AsBool()), 4
				}
				if p.Attributes.Len() != want {
					t.Errorf("%s has the attributes %v, want network, self and group alone", m.Name, p.Attributes.ToSlice())
				}
				all = append(all, point{name, network.AsString(), id.AsString(), p.Value})
			}
		}
	}
	slices.SortFunc(all, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group))
	})
	return all
}

// TestMetricsOfSeveralNetworks has two networks with one id, in one process, share a
// meter provider: what is measured of each can be told apart.
func TestMetricsOfSeveralNetworks(t *testing.T) {
	t.Parallel()
	reader := metric.NewManualReader()
	provider := mosaik.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	id := mosaik.NetworkID(t.Name())
	want := map[string]int64{}
	for groups := range 3 {
		n := openNetwork(t, id, provider)
		for range groups {
			if _, err := n.Groups().WithKey(mosaik.RandomKey()).Join(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want[n.Self().Short()] = int64(groups)
	}
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &collected); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == "mosaik.groups.active" {
				for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
					self, _ := p.Attributes.Value("self")
					got[self.AsString()] = p.Value
				}
			}
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("active groups by self (-want +got):\n%s", diff)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	readers := []*metric.ManualReader{metric.NewManualReader(), metric.NewManualReader()}
	c := testutil.NewCluster(t, 2, testutil.WithNodeOptions(func(i int) []mosaik.Option {
		return []mosaik.Option{mosaik.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(readers[i])))}
	}))
	network := c.Node(0).Net().ID().Short()
	const active, bonds = "mosaik.groups.active", "mosaik.groups.bonds.active"
	check := func(i int, want ...point) {
		t.Helper()
		got := slices.DeleteFunc(points(t, readers[i]), func(p point) bool { return p.Name != active && p.Name != bonds })
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("metrics of node %d (-want +got):\n%s", i, diff)
		}
	}
	states := func(want map[string]int64) {
		t.Helper()
		got := map[string]int64{}
		for _, p := range points(t, readers[1]) {
			if name := strings.TrimPrefix(p.Name, "mosaik.groups."); p.Name != active && p.Name != bonds && name != "term" {
				got[name] = p.Value
			}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("states of a group (-want +got):\n%s", diff)
		}
	}
	check(0, point{active, network, "", 0})

	lone, err := c.Node(0).Builder().Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	loneID := lone.ID().Short()
	check(0, point{active, network, "", 1}, point{bonds, network, loneID, 0})

	groups := testutil.JoinAll(c, newTill)
	id := groups[0].ID().Short()
	want := []point{{active, network, "", 2}, {bonds, network, id, 1}, {bonds, network, loneID, 0}}
	if loneID < id {
		want[1], want[2] = want[2], want[1]
	}
	check(0, want...)
	check(1, point{active, network, "", 1}, point{bonds, network, id, 1})
	states(map[string]int64{
		"online": 1, "stalled": 0, "diverged": 0, "snapshot.failing": 0, "machine.slow": 0, "recovered": 0, "members voter=true": 2, "members voter=false": 0,
	})

	if err := lone.Leave(soon(t)); err != nil {
		t.Error(err)
	}
	check(0, point{active, network, "", 1}, point{bonds, network, id, 1})
	mustPay(t, groups[0], 1) // without commands there is nothing to keep: they would begin anew
	c.Isolate(1)
	if _, err := groups[1].When().Until(soon(t), stalled); err != nil {
		t.Fatal(err)
	}
	states(map[string]int64{
		"online": 0, "stalled": 1, "diverged": 0, "snapshot.failing": 0, "machine.slow": 0, "recovered": 0, "members voter=true": 2, "members voter=false": 0,
	})
	c.Node(1).Crash()
	if _, err := groups[0].When().Until(soon(t), bondless(groups[0])); err != nil {
		t.Fatal(err)
	}
	check(0, point{active, network, "", 1}, point{bonds, network, id, 0})
	if got := points(t, readers[1]); len(got) != 0 {
		t.Errorf("a closed network measures %+v, want nothing", got)
	}
}

// traced is a network's spans, and a parent for them.
type traced struct {
	spans    *tracetest.SpanRecorder
	provider *sdktrace.TracerProvider
}

func newTraced() traced {
	spans := tracetest.NewSpanRecorder()
	return traced{spans, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))}
}

// parent returns a context with a remote span, sampled or not.
func (tr traced) parent(ctx context.Context, sampled bool) (context.Context, trace.SpanContext) {
	var flags trace.TraceFlags
	s := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags.WithSampled(sampled), Remote: true,
	})
	return trace.ContextWithSpanContext(ctx, s), s
}

// drain returns the names of the spans that ended since the last call.
func (tr traced) drain() (names []string, spans []sdktrace.ReadOnlySpan) {
	spans = tr.spans.Ended()
	tr.spans.Reset()
	for _, s := range spans {
		names = append(names, s.Name())
	}
	return names, spans
}

// fastTick suits [testutil.FastConsensus].
const fastTick = 10 * time.Millisecond

// call joins, executes twice and queries, with errors where they can be had.
func (tr traced) call(t *testing.T, ctx context.Context, n *mosaik.Network) (group sm.Digest) {
	t.Helper()
	b := n.Groups().WithKey(mosaik.RandomKey()).WithConsensusConfig(fast(consensus.Config{BootstrapDelay: consensus.None}))
	g, err := mosaik.WithStateMachine(b, newTill).Join(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.When().Online(soon(t)); err != nil {
		t.Fatal(err)
	}
	_, err = mosaik.Execute(ctx, g, take(1))
	wantError(t, "execute", err, errShort)
	if _, err := g.ExecuteMany(ctx, step{"pay", 1}); err != nil {
		t.Error(err)
	}
	if _, err := mosaik.Query(ctx, g, sum{}, mosaik.Strong); err != nil {
		t.Error(err)
	}
	_, err = mosaik.Read(ctx, g, mosaik.Weak, func(*till) (int, error) { return 0, errShort })
	wantError(t, "read", err, errShort)
	if err := g.Leave(soon(t)); err != nil {
		t.Error(err)
	}
	return g.ID()
}

var calls = []string{"mosaik.join", "mosaik.execute", "mosaik.execute", "mosaik.query", "mosaik.query"}

func TestSpansUnderASampledParent(t *testing.T) {
	t.Parallel()
	tr := newTraced()
	n := openNetwork(t, mosaik.NetworkID("spans"), mosaik.WithTracerProvider(tr.provider), mosaik.WithTick(fastTick))

	for name, ctx := range map[string]context.Context{
		"no parent":               t.Context(),
		"a parent not sampled":    func() context.Context { ctx, _ := tr.parent(t.Context(), false); return ctx }(),
		"a parent that is no one": trace.ContextWithSpanContext(t.Context(), trace.SpanContext{}),
	} {
		tr.call(t, ctx, n)
		if names, _ := tr.drain(); len(names) != 0 {
			t.Errorf("%s: spans %v, want none", name, names)
		}
	}

	ctx, parent := tr.parent(t.Context(), true)
	id := tr.call(t, ctx, n)
	names, spans := tr.drain()
	if diff := gocmp.Diff(calls, names); diff != "" {
		t.Fatalf("spans (-want +got):\n%s", diff)
	}
	attributes := []attribute.KeyValue{attribute.String("network", n.ID().Short()), attribute.String("self", n.Self().Short()), attribute.String("group", id.Short())}
	for i, s := range spans {
		if got := s.Parent(); got.TraceID() != parent.TraceID() || got.SpanID() != parent.SpanID() {
			t.Errorf("%s has the parent %v, want %v", s.Name(), got, parent)
		}
		if !slices.Equal(s.Attributes(), attributes) {
			t.Errorf("%s has the attributes %v, want %v", s.Name(), s.Attributes(), attributes)
		}
		if got := s.InstrumentationScope().Name; got != module {
			t.Errorf("%s is of the scope %q, want %q", s.Name(), got, module)
		}
		if failed := i == 1 || i == 4; (s.Status().Code == codes.Error) != failed || len(s.Events()) != 0 != failed {
			t.Errorf("span %d, %s, has status %+v and events %+v; failed: %t", i, s.Name(), s.Status(), s.Events(), failed)
		}
	}

	// So does a join that fails.
	till := mosaik.WithStateMachine(n.Groups().WithKey(mosaik.RandomKey()), newTill)
	first, err := till.Join(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = till.WithRole(consensus.Role{Observer: true}).Join(ctx)
	wantError(t, "join differently", err, mosaik.ErrPrecondition)
	if err := first.Leave(soon(t)); err != nil {
		t.Error(err)
	}
	names, spans = tr.drain()
	if !slices.Equal(names, []string{"mosaik.join", "mosaik.join"}) || spans[1].Status().Code != codes.Error {
		t.Errorf("spans %v, want those of two joins, the second with an error", names)
	}
}

func TestRootSpans(t *testing.T) {
	t.Parallel()
	tr := newTraced()
	n := openNetwork(t, mosaik.NetworkID("root spans"), mosaik.WithTracerProvider(tr.provider),
		mosaik.WithRootSpans(), mosaik.WithTick(fastTick))
	tr.call(t, t.Context(), n)
	names, spans := tr.drain()
	if diff := gocmp.Diff(calls, names); diff != "" {
		t.Fatalf("spans (-want +got):\n%s", diff)
	}
	for _, s := range spans {
		if s.Parent().IsValid() {
			t.Errorf("%s has the parent %v, want none", s.Name(), s.Parent())
		}
	}
}
