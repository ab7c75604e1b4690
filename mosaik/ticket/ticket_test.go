package ticket_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

func TestTicketValidate(t *testing.T) {
	t.Parallel()
	class := sm.ID("a")
	for _, ok := range []ticket.Ticket{{Class: class}, {Class: class, Data: make([]byte, ticket.MaxData)}} {
		if err := ok.Validate(); err != nil {
			t.Errorf("%v: %v", ok, err)
		}
	}
	for _, c := range []struct {
		ticket ticket.Ticket
		want   string
	}{
		{ticket.Ticket{Data: []byte("x")}, "ticket: the class is zero"},
		{ticket.Ticket{Class: class, Data: make([]byte, ticket.MaxData+1)}, "ticket: class " + class.Short() + ": 4097 bytes of data, at most 4096 are allowed"},
	} {
		if err := c.ticket.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("%v: %v, want %q", c.ticket, err, c.want)
		}
	}
}

// Data may be a bearer token, which does not belong in logs.
func TestTicketPrintsWithoutItsData(t *testing.T) {
	t.Parallel()
	secret := ticket.Ticket{Class: sm.ID("a"), Data: []byte("bearer")}
	want := "ticket " + sm.ID("a").Short() + " (6 bytes)"
	if got := fmt.Sprintf("%v %+v %s", secret, &secret, []ticket.Ticket{secret}); got != want+" "+want+" ["+want+"]" {
		t.Errorf("prints as %q, want %q", got, want)
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).Info("m", "shown", secret)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s handler logs %s, want %q in it", name, &out, want)
		}
	}
}
