package integration_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// besieged is a group of three members, one on each node of a cluster, that an
// attacker in another process attacks.
type besieged struct {
	t      testing.TB
	c      *testutil.Cluster
	groups []tillGroup
	// tickets says that the group requires tickets, which its members have.
	tickets bool
	// paid counts the commands that were committed, and unknown those of which
	// it is not known.
	paid, unknown int64
}

// besiegedPassword is the ticket of the members of a group that requires one.
var besiegedPassword = password{"open sesame"}

// besiege starts a group of three that is about to be attacked, with the options
// for each node.
func besiege(t testing.TB, a attack, options func(node int) []mosaik.Option) *besieged {
	t.Helper()
	c := testutil.NewCluster(t, 3, testutil.WithNodeOptions(options))
	b := &besieged{t: t, c: c, tickets: a.who == aKeyHolder}
	for i := range b.c.Len() {
		b.join(b.c.Node(i))
	}
	testutil.Settle(t, b.groups...)
	b.pay(0)
	return b
}

// join joins the group on another node.
func (b *besieged) join(n *testutil.Node) tillGroup {
	b.t.Helper()
	// The times are those of a real group: an attack on a busy machine must not
	// look like the loss of a leader.
	builder := mosaik.WithStateMachine(n.Builder(), newTill).
		WithMembership(three).WithConsensusConfig(consensus.Config{})
	if b.tickets {
		if err := n.Net().AddTicket(besiegedPassword.ticket()); err != nil {
			b.t.Fatal(err)
		}
		builder = builder.RequireTicket(besiegedPassword)
	}
	g := testutil.JoinWith(n, builder)
	b.groups = append(b.groups, g)
	return g
}

// pay has a member commit a command, whatever time it takes.
func (b *besieged) pay(member int) {
	b.t.Helper()
	for ctx := soon(b.t); ; {
		_, err := mosaik.Execute(ctx, b.groups[member], pay(1))
		switch {
		case err == nil:
			b.paid++
			return
		case ctx.Err() != nil || !errors.Is(err, mosaik.ErrStalled):
			b.t.Fatalf("pay through member %d: %v", member, err)
		case mosaik.OutcomeOf(err) == mosaik.Unknown:
			b.unknown++
		}
		if err := b.groups[member].When().Online(ctx); err != nil {
			b.t.Fatalf("member %d is not online again: %v", member, err)
		}
	}
}

// check fails the test unless all members hold the same, which is what was paid.
func (b *besieged) check() {
	b.t.Helper()
	first, err := mosaik.Query(soon(b.t), b.groups[0], sum{}, mosaik.Strong)
	if err != nil {
		b.t.Fatal(err)
	}
	if first.Value < b.paid || first.Value > b.paid+b.unknown {
		b.t.Errorf("the sum is %d, want %d, or up to %d more whose outcome is unknown",
			first.Value, b.paid, b.unknown)
	}
	wantSum(b.t, first.Value, b.groups...)
}

// payUntil has all members commit commands, in turn, at least so many and until
// done reports true after each of them did.
func (b *besieged) payUntil(least int, done func() bool) {
	b.t.Helper()
	ctx := soon(b.t)
	for n := 0; n < least || !done(); n += len(b.groups) {
		if ctx.Err() != nil {
			b.t.Fatalf("%d commands were committed, and the attacker did not do what it should", n)
		}
		for i := range b.groups {
			b.pay(i)
		}
	}
}

// refusals returns what a reader counted as refused, by code and direction, and
// as dropped.
func refusals(t *testing.T, reader *metric.ManualReader) (refused map[consensus.CloseCode]int64, dropped int64) {
	t.Helper()
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &collected); err != nil {
		t.Fatal(err)
	}
	refused = map[consensus.CloseCode]int64{}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, _ := m.Data.(metricdata.Sum[int64])
			for _, p := range sum.DataPoints {
				code, _ := p.Attributes.Value("code")
				direction, _ := p.Attributes.Value("direction")
				switch {
				case m.Name == "mosaik.bonds.refused" && direction.AsString() == "sent":
					refused[consensus.CloseCode(code.AsInt64())] += p.Value
				case m.Name == "mosaik.connections.dropped":
					dropped += p.Value
				}
			}
		}
	}
	return refused, dropped
}

// bounds say what an attack may cost the three victims together, above what they
// take when it is calm.
type bounds struct {
	memory      uint64 // bytes
	goroutines  int
	descriptors int
	dials       int64 // connections of victims to made-up peers
}

// boundsOf returns the bounds of an attack. They are totals and do not grow with
// the number of assailants, except for the connections that victims accept. An
// assailant has at most three at a time, and as many that are about to end; each
// takes a descriptor and three goroutines.
func boundsOf(a attack) bounds {
	accepted := min(6*a.assailants, 3*link.DefaultMaxConns)
	return bounds{memory: 256 << 20, goroutines: 1024 + 3*accepted, descriptors: 256 + accepted, dials: 2000}
}

// check fails the test if the peak exceeds the bounds.
func (b bounds) check(t *testing.T, calm, peak burden, seen report) {
	t.Helper()
	t.Logf("calm: %v; peak: %v; attacker: %v", calm, peak, seen)
	if raceDetector() {
		b.memory *= 4
	}
	if got := peak.memory - min(peak.memory, calm.memory); got > b.memory {
		t.Errorf("the attack took %d MiB of memory, want at most %d", got>>20, b.memory>>20)
	}
	if got := peak.goroutines - calm.goroutines; got > b.goroutines {
		t.Errorf("the attack took %d goroutines, want at most %d", got, b.goroutines)
	}
	if got := peak.descriptors - calm.descriptors; got > b.descriptors {
		t.Errorf("the attack took %d descriptors, want at most %d", got, b.descriptors)
	}
	if got := seen.Counts["dials"]; got > b.dials {
		t.Errorf("the victims dialled made-up peers %d times, want at most %d", got, b.dials)
	}
}

// TestAdversaries has an attacker in another process carry out each attack on a
// group of three. The group must keep committing while the attack lasts, let a
// newcomer in, and be what it was before; what the attack costs is bounded. The
// subtests are not parallel: they measure this process.
//
//	go test ./mosaik/integration -run TestAdversaries -assailants 1000
func TestAdversaries(t *testing.T) {
	if testing.Short() {
		t.Skip("attacks take a second each and more")
	}
	if raceDetector() && *assailants == 0 {
		t.Skip("the bounds are those of a process without the race detector; -assailants runs the attacks with it")
	}
	for _, a := range attacks() {
		if *assailants > 0 {
			a.assailants = *assailants
		}
		t.Run(a.name, func(t *testing.T) { withstand(t, a) })
	}
}

// withstand carries out one attack.
func withstand(t *testing.T, a attack) {
	b := besiege(t, a, func(int) []mosaik.Option { return nil })
	before, calm, gauge := b.groups[0].Status(), calmBurden(), startGauge(t)
	begun := time.Now()
	phase := func(name string) { t.Logf("%s after %v", name, time.Since(begun).Round(time.Millisecond)) }
	attacker := startAttacker(t, b.c, a, b.groups[0].ID())
	defer func() { // also if the group stands still
		boundsOf(a).check(t, calm, gauge.peak(), attacker.report.Get())
	}()
	attacker.await("under way", func(r report) bool { return r.UnderWay })
	phase("under way")
	b.payUntil(30, func() bool {
		seen := attacker.report.Get()
		for what, times := range a.enough {
			if seen.Counts[what] < times {
				return false
			}
		}
		return true
	})
	phase("withstood")
	newcomer := b.join(b.c.Add())
	if err := newcomer.When().Online(soon(t)); err != nil {
		t.Fatalf("a newcomer during the attack: %v", err)
	}
	phase("a newcomer is in")
	b.payUntil(8, func() bool { return true })
	attacker.stop()

	b.check()
	after := b.groups[0].Status()
	if after.Epoch != before.Epoch {
		t.Errorf("the attack took the group from epoch %s to epoch %s", before.Epoch, after.Epoch)
	}
	if after.Term > before.Term+1000 {
		t.Errorf("the attack took the group from term %d to term %d", before.Term, after.Term)
	}
}

// TestRefusalsUnderAFlood has strangers begin connections in every way in which
// one can fail, and looks at what the members count of it.
func TestRefusalsUnderAFlood(t *testing.T) {
	var readers [3]*metric.ManualReader
	for i := range readers {
		readers[i] = metric.NewManualReader()
	}
	a, _ := attackNamed("handshakes")
	a.assailants = 24
	b := besiege(t, a, func(i int) []mosaik.Option {
		return []mosaik.Option{mosaik.WithMeterProvider(metric.NewMeterProvider(metric.WithReader(readers[i])))}
	})
	attacker := startAttacker(t, b.c, a, b.groups[0].ID())
	total := map[consensus.CloseCode]int64{}
	wanted := []consensus.CloseCode{consensus.CodeOtherNetwork, consensus.CodeUnknownPeer, consensus.CodeWrongProof}
	b.payUntil(1, func() bool {
		clear(total)
		for _, reader := range readers {
			refused, _ := refusals(t, reader)
			for code, n := range refused {
				total[code] += n
			}
		}
		return !slices.ContainsFunc(wanted, func(code consensus.CloseCode) bool { return total[code] == 0 })
	})
	attacker.stop()
	b.check()
}

// TestRefusalsAreTypedErrors looks at a refusal from both sides.
func TestRefusalsAreTypedErrors(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 2)
	key := mosaik.RandomKey()
	join := func(i int, p consensus.Policy) tillGroup {
		b := c.Node(i).Net().Groups().WithKey(key).WithConsensusConfig(testutil.FastConsensus())
		g, err := mosaik.WithStateMachine(b, newTill).WithMembership(p).Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	groups := []tillGroup{join(0, consensus.Policy{}), join(1, consensus.Policy{MaximumVoters: 3})}
	for i, g := range groups {
		wantRefused(t, g, consensus.RefusedError{Peer: c.Node(1 - i).Peer(), Code: consensus.CodePolicy})
	}
	other := openNetwork(t, mosaik.NetworkID("another"), mosaik.WithSeeds(c.Node(0).Addr()))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var refused *consensus.RefusedError
	if err := other.Connected(ctx); !errors.As(err, &refused) || refused.Peer != c.Node(0).Peer() || refused.Code != consensus.CodeOtherNetwork {
		t.Errorf("connect to a seed of another network: %v, want a refusal of node 0 with code %d", err, consensus.CodeOtherNetwork)
	}
}

// wantRefused waits until the status of a group lists the refusal.
func wantRefused[M sm.StateMachine[step]](t *testing.T, g *mosaik.Group[step, M], want consensus.RefusedError) {
	t.Helper()
	for s := range g.When().Statuses(soon(t)) {
		if slices.Contains(s.Refused, want) {
			return
		}
	}
	t.Errorf("refused are %+v, want %+v", g.Status().Refused, want)
}
