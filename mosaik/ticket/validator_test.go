package ticket_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

var (
	now  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	peer = sm.PeerID{7}

	errRefused = errors.New("not today")
	errForged  = errors.New("forged")
)

// scripted is a validator whose answer is the data of the ticket.
type scripted struct{ class string }

func (s scripted) Class() sm.Digest     { return sm.ID(s.class) }
func (s scripted) Signature() sm.Digest { return sm.ID(s.class) }
func (s scripted) Validate(at time.Time, who sm.PeerID, t ticket.Ticket) (time.Time, error) {
	if !at.Equal(now) || who != peer || t.Class != sm.ID(s.class) {
		return time.Time{}, fmt.Errorf("called with %v, %v, %v", at, who, t)
	}
	switch text := string(t.Data); text {
	case "ever":
		return time.Time{}, nil
	case "refused":
		return now.Add(time.Hour), errRefused
	case "forged":
		return time.Time{}, errForged
	case "panic":
		panic("out of order")
	default:
		d, err := time.ParseDuration(text)
		return now.Add(d), err
	}
}

func tickets(class string, data ...string) []ticket.Ticket {
	var all []ticket.Ticket
	for _, d := range data {
		all = append(all, ticket.Ticket{Class: sm.ID(class), Data: []byte(d)})
	}
	return all
}

func validators(classes ...string) []ticket.Validator {
	var all []ticket.Validator
	for _, c := range classes {
		all = append(all, scripted{c})
	}
	return all
}

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	both := func(a, b []ticket.Ticket) []ticket.Ticket { return append(a, b...) }
	for _, c := range []struct {
		name       string
		validators []ticket.Validator
		tickets    []ticket.Ticket
		want       time.Duration // after now, 0 for never
	}{
		{"nothing required", nil, nil, 0},
		{"nothing required of tickets", nil, tickets("a", "refused"), 0},
		{"one", validators("a"), tickets("a", "1h"), time.Hour},
		{"the least time left", validators("a"), tickets("a", "1ns"), 1},
		{"one for ever", validators("a"), tickets("a", "ever"), 0},
		{"latest of a class", validators("a"), tickets("a", "1h", "3h", "2h"), 3 * time.Hour},
		{"never is the latest", validators("a"), tickets("a", "1h", "ever", "2h"), 0},
		{"any suffices", validators("a"), tickets("a", "refused", "1h", "forged", "-1h"), time.Hour},
		{"other classes do not count", validators("a"), both(tickets("b", "panic", "9h"), tickets("a", "1h")), time.Hour},
		{"earliest of validators", validators("a", "b"), both(tickets("a", "2h"), tickets("b", "1h")), time.Hour},
		{"earliest in any order", validators("b", "a"), both(tickets("a", "2h"), tickets("b", "1h")), time.Hour},
		{"never is not the earliest", validators("a", "b"), both(tickets("a", "2h"), tickets("b", "ever")), 2 * time.Hour},
		{"never first", validators("a", "b"), both(tickets("a", "ever"), tickets("b", "2h")), 2 * time.Hour},
		{"never all over", validators("a", "b"), both(tickets("a", "ever"), tickets("b", "ever")), 0},
		{"the same twice", validators("a", "a"), tickets("a", "1h"), time.Hour},
		{"earliest of latest", validators("a", "b"), both(tickets("a", "1h", "4h"), tickets("b", "3h", "2h")), 3 * time.Hour},
	} {
		var want time.Time
		if c.want != 0 {
			want = now.Add(c.want)
		}
		got, err := ticket.Check(now, c.validators, peer, c.tickets)
		if err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, want)
		}
	}
}

// faulty is a validator that panics in methods for which it has no function.
type faulty struct {
	ticket.Validator
	class func() sm.Digest
}

func (f faulty) Class() sm.Digest { return f.class() }

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		validators []ticket.Validator
		tickets    []ticket.Ticket
		class      sm.Digest
		reasons    []error
		message    string
	}{
		{"no ticket", validators("a"), nil, sm.ID("a"), []error{ticket.ErrMissing}, "no ticket of this class"},
		{"other class", validators("a"), tickets("b", "1h"), sm.ID("a"), []error{ticket.ErrMissing}, "no ticket of this class"},
		{"refused", validators("a"), tickets("a", "refused"), sm.ID("a"), []error{errRefused}, "not today"},
		{
			"all refused", validators("a"), tickets("a", "refused", "-1ns", "forged"), sm.ID("a"),
			[]error{errRefused, ticket.ErrExpired, errForged}, "not today; ticket has expired; forged",
		},
		{"expired", validators("a"), tickets("a", "-1h"), sm.ID("a"), []error{ticket.ErrExpired}, "ticket has expired"},
		{"expires now", validators("a"), tickets("a", "0s"), sm.ID("a"), []error{ticket.ErrExpired}, "ticket has expired"},
		{"second validator", validators("a", "b"), tickets("a", "1h"), sm.ID("b"), []error{ticket.ErrMissing}, "no ticket of this class"},
		{"first validator", validators("a", "b"), tickets("b", "1h"), sm.ID("a"), []error{ticket.ErrMissing}, "no ticket of this class"},
		{"panic", validators("a"), tickets("a", "panic"), sm.ID("a"), []error{ticket.ErrPanicked}, "validator panicked: out of order"},
		{"panic after a good one", validators("a"), tickets("a", "1h", "panic"), sm.ID("a"), []error{ticket.ErrPanicked}, "validator panicked: out of order"},
		{
			"panic of another", append(validators("a"), faulty{class: func() sm.Digest { return sm.ID("b") }}),
			append(tickets("a", "1h"), tickets("b", "1h")...), sm.ID("b"), []error{ticket.ErrPanicked},
			"validator panicked: runtime error: invalid memory address or nil pointer dereference",
		},
		{
			"panic in class", []ticket.Validator{faulty{class: func() sm.Digest { panic(errForged) }}}, nil, sm.Digest{},
			[]error{ticket.ErrPanicked}, "validator panicked: forged",
		},
		{
			"nil", []ticket.Validator{nil}, tickets("a", "1h"), sm.Digest{}, []error{ticket.ErrPanicked},
			"validator panicked: runtime error: invalid memory address or nil pointer dereference",
		},
	} {
		expiry, err := ticket.Check(now, c.validators, peer, c.tickets)
		var refusal *ticket.Error
		if !errors.As(err, &refusal) || !expiry.IsZero() {
			t.Errorf("%s: %v, %v, want a *ticket.Error", c.name, expiry, err)
			continue
		}
		if refusal.Class != c.class {
			t.Errorf("%s: refused by class %v, want %v", c.name, refusal.Class, c.class)
		}
		for _, reason := range c.reasons {
			if !errors.Is(err, reason) {
				t.Errorf("%s: %v is not %v", c.name, err, reason)
			}
		}
		if diff := cmp.Diff("ticket: class "+c.class.Short()+": "+c.message, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
