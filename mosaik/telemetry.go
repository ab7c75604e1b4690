package mosaik

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// scope names this library to OpenTelemetry.
const scope = "github.com/mosaik-go/mosaik"

// telemetry records the spans and metrics of a network.
type telemetry struct {
	net      *Network
	self     sm.PeerID
	tracer   trace.Tracer
	observed metric.Registration
}

func newTelemetry(n *Network, self sm.PeerID) (*telemetry, error) {
	t := &telemetry{net: n, self: self, tracer: n.opts.tracers.Tracer(scope)}
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
	members, err := meter.Int64ObservableUpDownCounter("mosaik.groups.members",
		metric.WithDescription("Members that belong to a group, by whether they vote."), metric.WithUnit("{member}"))
	if err != nil {
		return nil, err
	}
	observed := []metric.Observable{groups, bonds, members}
	states := make([]metric.Int64Observable, len(groupStates))
	for i, s := range groupStates {
		if states[i], err = meter.Int64ObservableGauge("mosaik.groups."+s.name, metric.WithDescription(s.description)); err != nil {
			return nil, err
		}
		observed = append(observed, states[i])
	}
	refused, err := meter.Int64ObservableCounter("mosaik.bonds.refused",
		metric.WithDescription("Connections and bonds that were refused or ended, by close code and by the side that sent it."), metric.WithUnit("{refusal}"))
	if err != nil {
		return nil, err
	}
	dropped, err := meter.Int64ObservableCounter("mosaik.connections.dropped",
		metric.WithDescription("Connections that were closed before their handshake ended, by the limit that they exceeded."), metric.WithUnit("{connection}"))
	if err != nil {
		return nil, err
	}
	dials, err := meter.Int64ObservableCounter("mosaik.network.dials",
		metric.WithDescription("Dials of peers by outcome; forbidden ones were refused by a rule or by the dial filter."), metric.WithUnit("{dial}"))
	if err != nil {
		return nil, err
	}
	slow, err := meter.Int64ObservableCounter("mosaik.groups.machine.slow_calls",
		metric.WithDescription("Calls of this member's machine that ran for longer than a second, by whether they applied a command."), metric.WithUnit("{call}"))
	if err != nil {
		return nil, err
	}
	observed = append(observed, refused, dropped, dials, slow)
	t.observed, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		active := 0
		for id, j := range n.groups {
			if j.core.Ended() == nil {
				active++
			}
			status := j.core.Status().Get()
			here := t.here(t.groupAttribute(id))
			o.ObserveInt64(bonds, int64(len(status.Bonds)), here)
			for i, s := range groupStates {
				o.ObserveInt64(states[i], s.value(status), here)
			}
			applies, queries := j.core.SlowCalls()
			o.ObserveInt64(slow, applies, here, metric.WithAttributes(attribute.String("doing", "apply")))
			o.ObserveInt64(slow, queries, here, metric.WithAttributes(attribute.String("doing", "query")))
			voters := 0
			for _, m := range status.Members {
				if m.Voter {
					voters++
				}
			}
			o.ObserveInt64(members, int64(voters), here, metric.WithAttributes(attribute.Bool("voter", true)))
			o.ObserveInt64(members, int64(len(status.Members)-voters), here, metric.WithAttributes(attribute.Bool("voter", false)))
		}
		o.ObserveInt64(groups, int64(active), t.here())
		n.link.Counters().EachRefused(func(code consensus.CloseCode, d link.Direction, count int64) {
			o.ObserveInt64(refused, count, t.here(codeAttribute(code), attribute.String("direction", d.String())))
		})
		n.link.Counters().EachDropped(func(l link.Limit, count int64) {
			o.ObserveInt64(dropped, count, t.here(attribute.String("limit", l.String())))
		})
		n.link.Counters().EachDialled(func(outcome link.Outcome, count int64) {
			o.ObserveInt64(dials, count, t.here(attribute.String("outcome", outcome.String())))
		})
		return nil
	}, observed...)
	return t, err
}

// groupStates are the metrics of a group's status.
var groupStates = [...]struct {
	name, description string
	value             func(group.Status) int64
}{
	{"online", "1 while this member can serve.", func(s group.Status) int64 { return one(s.Online) }},
	{"stalled", "1 while there is no leader and none can be elected.", func(s group.Status) int64 { return one(s.Stalled) }},
	{"diverged", "Other epochs of the group that also hold commands.", func(s group.Status) int64 { return int64(len(s.Diverged)) }},
	{"term", "The Raft term that this member is in.", func(s group.Status) int64 { return int64(s.Term) }},
	{"snapshot.failing", "1 while this member's last snapshot failed and its log grows.", func(s group.Status) int64 { return one(s.SnapshotError != nil) }},
	{"machine.slow", "Calls of this member's machine that have been running for longer than a second.", func(s group.Status) int64 { return int64(len(s.SlowCalls)) }},
	{"recovered", "Number of earlier epochs that the present one continues.", func(s group.Status) int64 { return int64(s.Recoveries) }},
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

func (t *telemetry) close() error { return t.observed.Unregister() }

// here returns the attributes of a measurement: those of the network, and more.
func (t *telemetry) here(more ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(append(t.attributes(), more...)...)
}

// attributes returns the attributes that distinguish the network from others in the
// process. Networks with the same id differ in self.
func (t *telemetry) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("network", t.net.id.Short()),
		attribute.String("self", t.self.Short()),
	}
}

func (t *telemetry) groupAttribute(id sm.Digest) attribute.KeyValue {
	return attribute.String("group", id.Short())
}

// codeAttribute returns a code as a number, -1 for every code that is not known.
func codeAttribute(code consensus.CloseCode) attribute.KeyValue {
	if code == consensus.CodeAccepted {
		return attribute.Int64("code", -1)
	}
	return attribute.Int64("code", int64(code))
}

// noSpan is the span of calls that are not traced.
var noSpan = trace.SpanFromContext(context.Background())

// start starts a span about a group if the parent span is sampled, or root spans are
// enabled (WithRootSpans).
func (t *telemetry) start(ctx context.Context, name string, id sm.Digest) (context.Context, trace.Span) {
	if !t.net.opts.rootSpans {
		if parent := trace.SpanFromContext(ctx); parent == noSpan || !parent.SpanContext().IsSampled() {
			return ctx, noSpan
		}
	}
	return t.tracer.Start(ctx, name, trace.WithAttributes(append(t.attributes(), t.groupAttribute(id))...))
}

// endSpan ends a span with the outcome of its call.
func endSpan(span trace.Span, err error) {
	if err != nil {
		if isNil(err) {
			err = fmt.Errorf("a nil %T", err) // an error of the machine, whose methods may need a receiver
		}
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// spanContext returns the context's span as log entries carry it, zero if the span is
// not sampled.
func spanContext(ctx context.Context) format.Span {
	s := trace.SpanContextFromContext(ctx)
	if !s.IsSampled() {
		return format.Span{}
	}
	return format.Span{TraceID: s.TraceID(), SpanID: s.SpanID(), Flags: byte(s.TraceFlags())}
}
