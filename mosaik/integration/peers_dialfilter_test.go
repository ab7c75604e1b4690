package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
)

// TestDialFilterDecides has a process learn of another one through a seed, of
// which it refuses all addresses: the seed is reached, the other one is refused
// and counted.
func TestDialFilterDecides(t *testing.T) {
	t.Parallel()
	id := mosaik.NetworkID("dial filter")
	seed := openNetwork(t, id)
	// The other one learns of the filtering process, too, but cannot dial it.
	other := openNetwork(t, id, mosaik.WithSeeds(seed.Addr().String()),
		mosaik.WithDialFilter(func(sm.PeerID, netip.AddrPort) error { return errors.New("nobody") }))
	reader := metric.NewManualReader()
	asked := make(chan string, 1000)
	n := openNetwork(t, id, mosaik.WithSeeds(seed.Addr().String()),
		mosaik.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(reader))),
		mosaik.WithDialFilter(func(peer sm.PeerID, addr netip.AddrPort) error {
			asked <- fmt.Sprint(peer, " ", addr)
			return errors.New("not in our rack")
		}))
	if err := n.Connected(soon(t)); err != nil {
		t.Fatalf("the seed was not reached: %v", err)
	}
	for range 2 { // the first one was counted when the second one begins
		select {
		case got := <-asked:
			if want := fmt.Sprint(other.Self(), " ", other.Addr()); got != want {
				t.Errorf("asked about %s, want %s", got, want)
			}
		case <-soon(t).Done():
			t.Fatal("the filter was not asked")
		}
	}
	if dials := dialsOf(t, reader); dials["forbidden"] == 0 || dials["connected"] == 0 {
		t.Errorf("dials by outcome %v, want forbidden and connected ones", dials)
	}
}

// dialsOf returns what mosaik.network.dials has counted, by outcome.
func dialsOf(t *testing.T, reader *metric.ManualReader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	dials := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != "mosaik.network.dials" {
				continue
			}
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				outcome, _ := p.Attributes.Value("outcome")
				dials[outcome.AsString()] += p.Value
			}
		}
	}
	return dials
}
