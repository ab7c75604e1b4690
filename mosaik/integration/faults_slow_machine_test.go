package integration_test

import (
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/testutil"
)

// lingering is a query that does not return before it is told to.
type lingering struct{ until <-chan struct{} }

// Query waits.
func (l lingering) Query(*shut) (int, error) {
	<-l.until
	return 0, nil
}

// slowCalls returns how many calls of machines have run long, by what they did.
func slowCalls(t *testing.T, reader *metric.ManualReader) map[string]int64 {
	t.Helper()
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &collected); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != "mosaik.groups.machine.slow_calls" {
				continue
			}
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				doing, _ := p.Attributes.Value("doing")
				counts[doing.AsString()] = p.Value
			}
		}
	}
	return counts
}

// A command, or a query, that runs for longer than a second shows in Status, in a metric and
// in one line of the log, and no longer once it is over.
func TestSlowMachine(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it waits for calls to run long")
	}
	reader, log := metric.NewManualReader(), newLogbook()
	c := testutil.NewCluster(t, 1, testutil.WithNodeOptions(func(int) []mosaik.Option {
		return []mosaik.Option{
			mosaik.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))),
			mosaik.WithLogger(slog.New(slog.NewTextHandler(log, nil))),
		}
	}))
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	g := testutil.JoinAll(c, func() *shut { return &shut{gate: gate} })[0]
	await := func(want ...consensus.SlowCall) {
		t.Helper()
		var got []consensus.SlowCall
		for s := range g.When().Statuses(soon(t)) {
			got = got[:0]
			for _, call := range s.SlowCalls {
				if call.Since.IsZero() || call.For <= 0 {
					t.Errorf("%+v has taken no time", call)
				}
				got = append(got, consensus.SlowCall{Doing: call.Doing, Type: call.Type, Index: call.Index})
			}
			if gocmp.Equal(want, got) || len(want)+len(got) == 0 {
				return
			}
		}
		t.Fatalf("slow calls are %+v, want %+v", got, want)
	}
	var working sync.WaitGroup
	defer working.Wait()
	defer open()
	working.Go(func() {
		if _, err := g.ExecuteMany(soon(t), step{"pay", 1}, step{"pay", 2}); err != nil {
			t.Error(err)
		}
	})
	await(consensus.SlowCall{Doing: "apply", Type: "integration_test.step", Index: 1})
	if s := g.Status(); !s.Online {
		t.Errorf("a member whose machine is slow: %+v", s)
	}
	open()
	await()

	until := make(chan struct{})
	answer := sync.OnceFunc(func() { close(until) })
	defer answer()
	working.Go(func() {
		if _, err := mosaik.Query(soon(t), g, lingering{until}, mosaik.Weak); err != nil {
			t.Error(err)
		}
	})
	await(consensus.SlowCall{Doing: "query", Type: "integration_test.lingering", Index: 2})
	answer()
	await()
	if got, want := slowCalls(t, reader), (map[string]int64{"apply": 1, "query": 1}); !maps.Equal(got, want) {
		t.Errorf("%v calls ran long, want %v", got, want)
	}
	logged := log.with("machine call runs long")
	if len(logged) != 1 || !strings.Contains(logged[0], "group="+g.ID().Short()+" doing=apply type=integration_test.step index=1 running_for=1") {
		t.Errorf("logged %q", logged)
	}
}

// A machine that panics is logged once, with what its author needs.
func TestPoisonIsLogged(t *testing.T) {
	t.Parallel()
	log := newLogbook()
	c := testutil.NewCluster(t, 1, testutil.WithNodeOptions(func(int) []mosaik.Option {
		return []mosaik.Option{mosaik.WithLogger(slog.New(slog.NewTextHandler(log, nil)))}
	}))
	g := testutil.JoinAll(c, newTill)[0]
	for range 3 {
		_, err := g.ExecuteMany(soon(t), step{"pay", 1}, step{Verb: "blow"})
		wantError(t, "execute", err, consensus.ErrPoisoned)
	}
	for s := range g.When().Statuses(soon(t)) {
		if s.Poisoned != nil {
			break
		}
	}
	var poisoned *consensus.PoisonedError
	if err := g.Status().Poisoned; !errors.As(err, &poisoned) || poisoned.Command != "integration_test.step" || poisoned.Index != 2 ||
		!strings.Contains(string(poisoned.Stack), "integration_test.blow.ApplyTo") {
		t.Errorf("poisoned by %+v", err)
	}
	logged := log.with("machine panicked")
	if len(logged) != 1 {
		t.Fatalf("logged %q", logged)
	}
	for _, text := range []string{
		"command=integration_test.step", "index=2", `error="the till blew up"`, "integration_test.blow.ApplyTo ", "main_test.go:",
		"integration_test.(*till).Apply ",
	} {
		if !strings.Contains(logged[0], text) {
			t.Errorf("logged %s\nwithout %q", logged[0], text)
		}
	}
	if strings.Contains(logged[0], `\n`) || strings.Contains(logged[0], "dragonboat") {
		t.Errorf("logged %s\nwith more than the machine's frames", logged[0])
	}
}
