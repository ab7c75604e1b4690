package integration_test

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/integration/testdata/savings"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// A constructor that fails must end its group, at its first or a later call, and
// nothing else.
func TestConstructorThatFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fail func() *till
		want string
	}{
		"a panic": {func() *till { panic("no till left") }, "the machine's constructor panicked: no till left"},
		"an exit": {func() *till { runtime.Goexit(); return nil }, "the machine's constructor panicked: runtime.Goexit was called"},
		"nil":     {func() *till { return nil }, "the machine's constructor returned nil"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := testutil.NewCluster(t, 1)
			works := bystander(t, c)
			n := c.Node(0)
			_, err := mosaik.WithStateMachine(n.Builder(), tc.fail).Join(t.Context())
			wantMessage(t, "join", err, tc.want)

			var made atomic.Int32
			g := testutil.JoinWith(n, mosaik.WithStateMachine(n.Builder(), func() *till {
				if made.Add(1) > 1 { // the first machine only provides its Spec
					return tc.fail()
				}
				return newTill()
			}))
			if _, err := g.When().Until(soon(t), ended); err != nil {
				t.Error(err)
			}
			for what, err := range map[string]error{
				"wait": g.When().Online(soon(t)),
				"execute": func() error {
					_, err := mosaik.Execute(soon(t), g, pay(1))
					return err
				}(),
				"weak read": func() error {
					_, err := mosaik.Query(soon(t), g, sum{}, mosaik.Weak)
					return err
				}(),
			} {
				wantError(t, what, err, consensus.ErrPoisoned)
				wantMessage(t, what, err, tc.want)
				if mosaik.Retryable(err) {
					t.Errorf("%s: %v can be retried", what, err)
				}
			}
			works()
		})
	}
}

// shy is a till that panics in one of its methods.
type shy struct {
	keptTill
	of string
}

func (s *shy) asked(of string) {
	if s.of == of {
		panic("none of your business")
	}
}

func (s *shy) Spec() sm.Spec[step] { s.asked("Spec"); return s.keptTill.Spec() }
func (s *shy) SnapshotVersion() uint64 {
	s.asked("SnapshotVersion")
	return 1
}
func (s *shy) ConsensusDefaults() consensus.Config {
	s.asked("ConsensusDefaults")
	return testutil.FastConsensus()
}

// nameless is a validator without a signature.
type nameless struct{ password }

func (nameless) Signature() sm.Digest { panic("none of your business") }

// A machine or a validator that panics during Join must cause an error.
func TestJoinThatPanics(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	works := bystander(t, c)
	for _, of := range []string{"Spec", "SnapshotVersion", "ConsensusDefaults"} {
		_, err := mosaik.WithStateMachine(c.Node(0).Builder(), func() *shy { return &shy{of: of} }).Join(t.Context())
		wantMessage(t, of, err, "mosaik: join group: the machine's "+of+" panicked: none of your business")
	}
	_, err := mosaik.WithStateMachine(c.Node(0).Builder(), newTill).RequireTicket(password{"x"}).RequireTicket(nameless{}).Join(t.Context())
	wantMessage(t, "Signature", err, "mosaik: join group: ticket validator 2's Signature panicked: none of your business")
	works()
}

// panicky is a till whose codec panics instead of refusing a command.
type panicky struct{ till }

func (*panicky) Spec() sm.Spec[step] {
	spec := sm.Define[step]("panicky", 1)
	spec.Codec = panickyCodec{spec.Codec}
	return spec
}

type panickyCodec struct{ codec.Codec[step] }

func (c panickyCodec) Append(dst []byte, s step) ([]byte, error) {
	if s.Verb == "" {
		panic(errSeal)
	}
	return c.Codec.Append(dst, s)
}

// A command that cannot be encoded is refused, alone and within a batch, and no
// part of the batch is applied.
func TestCommandsThatPanic(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	g := testutil.JoinAll(c, func() *panicky { return &panicky{} })[0]
	_, err := g.Execute(t.Context(), step{})
	wantError(t, "execute", err, mosaik.ErrInvalid)
	wantMessage(t, "execute", err, errSeal.Error())
	_, err = g.Feed(t.Context(), step{"pay", 1}, step{}, step{"pay", 1})
	wantError(t, "feed", err, mosaik.ErrInvalid)
	wantMessage(t, "feed", err, "command 2 of 3")

	generated := testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(c.Node(0).Builder(), savings.New))
	testutil.Settle(t, generated)
	_, err = mosaik.Execute[int64](t.Context(), generated, nil)
	wantError(t, "execute nil", err, mosaik.ErrInvalid)
	_, err = mosaik.Execute(t.Context(), generated, (*savings.Deposit)(nil))
	wantError(t, "execute a nil pointer", err, mosaik.ErrInvalid)
	_, err = generated.Execute(t.Context(), nil)
	wantError(t, "untyped, execute nil", err, mosaik.ErrInvalid)
	_, err = generated.ExecuteMany(t.Context(), savings.Deposit{}, (*savings.Deposit)(nil))
	wantError(t, "untyped, execute a nil pointer", err, mosaik.ErrInvalid)
	for _, consistency := range []mosaik.Consistency{mosaik.Weak, mosaik.Strong, mosaik.AtLeast(0)} {
		_, err = mosaik.Query[savings.Report](soon(t), generated, nil, consistency)
		wantMessage(t, "a nil query", err, "nil pointer")
		_, err = mosaik.Read[int](soon(t), generated, consistency, nil)
		wantMessage(t, "a nil function", err, "nil pointer")
	}

	if g.AppliedIndex() != 0 || generated.AppliedIndex() != 0 {
		t.Errorf("%d and %d commands were applied, want none", g.AppliedIndex(), generated.AppliedIndex())
	}
	if got, err := g.Execute(soon(t), step{"pay", 1}); err != nil || got.Value != int64(1) {
		t.Errorf("pay returned %v, error %v", got, err)
	}
	if got, err := mosaik.Execute(soon(t), generated, &savings.Deposit{Amount: 1}); err != nil || got.Value != 1 {
		t.Errorf("a pointer to a deposit makes %v, error %v", got, err)
	}
	if got, err := generated.Execute(soon(t), &savings.Deposit{Amount: 2}); err != nil || got.Value != int64(3) {
		t.Errorf("untyped, a pointer to a deposit makes %v, error %v", got, err)
	}
	results, err := generated.ExecuteMany(soon(t), &savings.Deposit{Amount: 3}, savings.Deposit{Amount: 4})
	if err != nil || results[0].Value != int64(6) || results[1].Value != int64(10) {
		t.Errorf("a batch with a pointer makes %v, error %v", results, err)
	}
	type lookalike struct{ savings.Deposit }
	for _, stranger := range []savings.Command{lookalike{}, &lookalike{}} {
		_, err = generated.Execute(t.Context(), stranger)
		wantError(t, "a type that is no command", err, mosaik.ErrInvalid)
		wantError(t, "a type that is no command", err, codec.ErrVariant)
		wantMessage(t, "a type that is no command", err, "integration_test.lookalike")
	}
}

// refusal is a machine's error that is often a nil pointer.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

// clumsy is a till that returns nil pointers as errors, and results of any type.
type clumsy struct{ till }

func (*clumsy) Spec() sm.Spec[step] { return sm.Define[step]("clumsy", 1) }

func (c *clumsy) Apply(at sm.ApplyContext, s step) (any, error) {
	switch s.Verb {
	case "nil error":
		var r *refusal
		return int64(7), r
	case "text":
		return "seven", nil
	case "nil":
		return nil, nil
	}
	return c.till.Apply(at, s)
}

// ask is a command of a clumsy till. Its declared result is a number.
type ask struct{ verb string }

func (a ask) AsCommand() step                                     { return step{Verb: a.verb} }
func (ask) ApplyTo(*clumsy, sm.ApplyContext) (n int64, err error) { return }

// Any result of a machine must reach the caller and do no harm, also with tracing.
func TestResultsOfAClumsyMachine(t *testing.T) {
	t.Parallel()
	provider := sdktrace.NewTracerProvider()
	c := testutil.NewCluster(t, 1, testutil.WithNodeOptions(func(int) []mosaik.Option {
		return []mosaik.Option{mosaik.WithTracerProvider(provider), mosaik.WithRootSpans()}
	}))
	g := testutil.JoinAll(c, func() *clumsy { return &clumsy{} })[0]
	got, err := mosaik.Execute(soon(t), g, ask{"nil error"})
	if r, ok := err.(*refusal); !ok || r != nil || got.Value != 7 {
		t.Errorf("a nil pointer as error came back as %#v, with the result %d", err, got.Value)
	}
	if mosaik.Retryable(err) {
		t.Error("a machine's own error can be retried")
	}
	got, err = mosaik.Execute(soon(t), g, ask{"text"})
	wantMessage(t, "a result of another type", err, "returned a string where the command returns a int64")
	if got.Value != 0 || mosaik.Retryable(err) {
		t.Errorf("a result of another type came back as %d, retryable %t", got.Value, mosaik.Retryable(err))
	}
	if got, err := mosaik.Execute(soon(t), g, ask{"nil"}); got.Value != 0 || err != nil {
		t.Errorf("no result came back as %d, error %v", got.Value, err)
	}
	results, err := g.ExecuteMany(soon(t), step{Verb: "text"}, step{Verb: "nil error"}, step{"pay", 1})
	if err != nil || results[0].Value != "seven" || results[1].Err != error((*refusal)(nil)) || results[2].Value != int64(1) {
		t.Errorf("a batch returned %+v, error %v", results, err)
	}

	// An answer may have any size: it is not sent over the network.
	const size = 64 << 20
	answer, err := mosaik.Read(soon(t), g, mosaik.Strong, func(*clumsy) (string, error) { return strings.Repeat("x", size), nil })
	if err != nil || len(answer.Value) != size {
		t.Errorf("an answer of %d bytes has %d, error %v", size, len(answer.Value), err)
	}
}

// A call whose context has ended must have no effect.
func TestEndedContexts(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	g := testutil.JoinAll(c, newTill)[0]
	ended, end := context.WithCancel(t.Context())
	end()
	for range 100 {
		_, one := mosaik.Execute(ended, g, pay(1))
		_, many := g.ExecuteMany(ended, step{"pay", 1}, step{"pay", 2})
		_, fed := g.Feed(ended, step{"pay", 1})
		for what, err := range map[string]error{"execute": one, "execute many": many, "feed": fed} {
			wantOutcome(t, what, err, mosaik.NotApplied)
			wantError(t, what, err, context.Canceled)
			if !mosaik.Retryable(err) {
				t.Errorf("%s: %v cannot be retried", what, err)
			}
		}
	}
	wantHistory(t, nil, g)
	mustPay(t, g, 1)
	wantHistory(t, []int64{1}, g)
}
