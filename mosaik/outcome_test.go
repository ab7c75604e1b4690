package mosaik_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/apitest"
	"github.com/mosaik-go/mosaik/mosaik/internal/session"
	"github.com/mosaik-go/mosaik/testutil"
)

// outcomes are the outcomes of the exported errors where nothing else is known.
var outcomes = map[mosaik.Outcome][]string{
	mosaik.NotApplied: {
		"ErrClosed", "ErrForming", "ErrInvalid", "ErrLevel", "ErrNotLeader", "ErrOtherEpoch", "ErrOutdated",
		"ErrPrecondition", "ErrStalled", "ErrStorage", "ErrSuperseded", "ErrTooLarge",
	},
	mosaik.Applied: {"ErrResultLost", "ErrUndecodable", "ErrVoteNeeded"},
	mosaik.Unknown: {"ErrNotStopped", "ErrPoisoned"},
}

// TestOutcomesOfErrors looks at every exported error alone, wrapped and joined with others.
func TestOutcomesOfErrors(t *testing.T) {
	t.Parallel()
	own := errors.New("the machine's own")
	type known struct {
		name string
		err  error
		want mosaik.Outcome
	}
	all := []known{
		{"*BehindError", &consensus.BehindError{Index: 1, First: 2}, mosaik.NotApplied},
		{"*OutdatedError", &consensus.OutdatedError{Found: 2, Supported: 1}, mosaik.NotApplied},
		{"*PoisonedError", &consensus.PoisonedError{Doing: "apply", Index: 1, Value: "broken"}, mosaik.Unknown},
	}
	var named []string
	for want, names := range outcomes {
		for _, name := range names {
			all = append(all, known{name, apitest.Errors[name], want})
			named = append(named, name)
		}
	}
	slices.Sort(named)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(apitest.Errors)), named); diff != "" {
		t.Errorf("errors that this test knows (-exported +known):\n%s", diff)
	}
	check := func(what string, err error, want mosaik.Outcome) {
		t.Helper()
		if got := mosaik.OutcomeOf(err); got != want {
			t.Errorf("%s: outcome %v, want %v", what, got, want)
		}
	}
	check("no error", nil, mosaik.Applied)
	check("the machine's own error", own, mosaik.Applied)
	check("the machine's own error, wrapped", fmt.Errorf("pay: %w", own), mosaik.Applied)
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		check("a context's end alone", ended, mosaik.Unknown)
		check("a context's end alone, wrapped", fmt.Errorf("pay: %w", ended), mosaik.Unknown)
		check("a context's end and another error", errors.Join(own, ended), mosaik.Unknown)
	}
	for _, a := range all {
		check(a.name, a.err, a.want)
		check(a.name+", wrapped", fmt.Errorf("pay: %w", fmt.Errorf("again: %w", a.err)), a.want)
		for _, other := range []error{own, io.EOF, context.Canceled, context.DeadlineExceeded} {
			check(a.name+" before "+other.Error(), errors.Join(a.err, other), a.want)
			check(a.name+" after "+other.Error(), fmt.Errorf("%w: %w", other, a.err), a.want)
		}
		for _, b := range all {
			check(a.name+" with "+b.name, fmt.Errorf("both: %w", errors.Join(a.err, b.err)), max(a.want, b.want))
		}
	}
}

// TestOutcomesOfCommands looks at the errors of commands: each cause alone, with what the
// session knows of the outcome, and then wrapped and joined.
func TestOutcomesOfCommands(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	g := testutil.JoinWith(c.Node(0), c.Node(0).Builder())
	causes := maps.Clone(apitest.Errors)
	causes["canceled"], causes["late"] = context.Canceled, context.DeadlineExceeded
	causes["canceled with a cause"] = fmt.Errorf("%w: %w", context.Canceled, io.EOF)
	causes["poisoned"] = &consensus.PoisonedError{Doing: "apply", Index: 1, Value: "broken"}
	causes["another"] = io.EOF
	hopeless := []error{mosaik.ErrClosed, mosaik.ErrSuperseded, mosaik.ErrStorage, consensus.ErrPoisoned, consensus.ErrOutdated, mosaik.ErrTooLarge, mosaik.ErrInvalid}
	for name, cause := range causes {
		for mark, err := range map[string]error{
			"alone":       cause,
			"not applied": fmt.Errorf("%w: %w", session.ErrNotApplied, cause),
			"unknown":     fmt.Errorf("%w: %w", session.ErrUnknownOutcome, cause),
		} {
			want := mosaik.NotApplied
			switch {
			case mark == "unknown":
				want = mosaik.Unknown
			case errors.Is(cause, mosaik.ErrResultLost):
				want = mosaik.Applied
			}
			passes := mark == "not applied" || errors.Is(cause, mosaik.ErrForming) || errors.Is(cause, mosaik.ErrStalled) || errors.Is(cause, mosaik.ErrLevel)
			retry := want == mosaik.NotApplied && passes &&
				!slices.ContainsFunc(hopeless, func(e error) bool { return errors.Is(cause, e) })
			failed := mosaik.CommandFailed(g, err)
			for form, err := range map[string]error{
				"as it is":               failed,
				"wrapped":                fmt.Errorf("pay: %w", failed),
				"joined":                 errors.Join(io.EOF, failed),
				"joined with a context":  errors.Join(context.DeadlineExceeded, failed),
				"wrapped with a context": fmt.Errorf("%w (last error: %w)", context.Canceled, failed),
			} {
				what := strings.Join([]string{name, mark, form}, ", ")
				if got := mosaik.OutcomeOf(err); got != want {
					t.Errorf("%s: outcome %v, want %v", what, got, want)
				}
				if got := mosaik.Retryable(err); got != retry {
					t.Errorf("%s: Retryable is %t, want %t", what, got, retry)
				}
				if !errors.Is(err, cause) || strings.Count(err.Error(), "mosaik: execute in group ") != 1 {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
	}
}

func TestRetryable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"the machine's own", errors.New("the till is short"), false},
		{"a context's end alone", context.Canceled, false},
		{"forming", mosaik.ErrForming, true},
		{"stalled", fmt.Errorf("pay: %w", mosaik.ErrStalled), true},
		{"stalled, and unknown", errors.Join(mosaik.ErrStalled, mosaik.ErrNotStopped), false},
		{"not the leader", mosaik.ErrNotLeader, false},
	} {
		if got := mosaik.Retryable(c.err); got != c.want {
			t.Errorf("%s: Retryable is %t, want %t", c.name, got, c.want)
		}
	}
}

func TestOutcomeString(t *testing.T) {
	t.Parallel()
	for o, want := range map[mosaik.Outcome]string{
		mosaik.NotApplied: "not applied", mosaik.Applied: "applied", mosaik.Unknown: "unknown", 0: "Outcome(0)", 9: "Outcome(9)",
	} {
		if got := o.String(); got != want {
			t.Errorf("outcome %d is %q, want %q", uint8(o), got, want)
		}
	}
}
