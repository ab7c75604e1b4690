package mosaik

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
)

// scope names this library to OpenTelemetry.
const scope = "github.com/mosaik-go/mosaik"

// telemetry is a network's spans and metrics.
type telemetry struct {
	net      *Network
	tracer   trace.Tracer
	observed metric.Registration
}

func newTelemetry(n *Network) (*telemetry, error) {
	t := &telemetry{net: n, tracer: n.opts.tracers.Tracer(scope)}
	meter := n.opts.meters.Meter(scope)
	groups, err := meter.Int64ObservableUpDownCounter("mosaik.groups.active",
		metric.WithDescription("Groups that the process has joined."), metric.WithUnit("{group}"))
	if err != nil {
		return nil, err
	}
	bonds, err := meter.Int64ObservableUpDownCounter("mosaik.groups.bonds.active",
		metric.WithDescription("Live bonds with other members of a group."), metric.WithUnit("{bond}"))
	if err != nil {
		return nil, err
	}
	t.observed, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		active := 0
		for id, j := range n.groups {
			if j.core.Ended() == nil {
				active++
			}
			o.ObserveInt64(bonds, int64(len(j.core.Status().Get().Bonds)),
				metric.WithAttributes(t.networkAttribute(), t.groupAttribute(id)))
		}
		o.ObserveInt64(groups, int64(active), metric.WithAttributes(t.networkAttribute()))
		return nil
	}, groups, bonds)
	return t, err
}

func (t *telemetry) close() error { return t.observed.Unregister() }

func (t *telemetry) networkAttribute() attribute.KeyValue {
	return attribute.String("network", t.net.id.Short())
}

func (t *telemetry) groupAttribute(id GroupID) attribute.KeyValue {
	return attribute.String("group", id.Short())
}

// noSpan is what calls get that are not traced.
var noSpan = trace.SpanFromContext(context.Background())

// start begins a span about a group, unless neither the parent is sampled nor
// root spans are asked for.
func (t *telemetry) start(ctx context.Context, name string, id GroupID) (context.Context, trace.Span) {
	if !t.net.opts.rootSpans && !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, noSpan
	}
	return t.tracer.Start(ctx, name, trace.WithAttributes(t.networkAttribute(), t.groupAttribute(id)))
}

// endSpan ends a span with the outcome of what it covers.
func endSpan(span trace.Span, err error) {
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// spanContext returns the context's span as it travels in log entries, zero if
// there is no sampled one.
func spanContext(ctx context.Context) format.Span {
	s := trace.SpanContextFromContext(ctx)
	if !s.IsSampled() {
		return format.Span{}
	}
	return format.Span{TraceID: s.TraceID(), SpanID: s.SpanID(), Flags: byte(s.TraceFlags())}
}
