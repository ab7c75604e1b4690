package ticket_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const classCounter = "1c519b0b8c364a91969d643d60425dcc4813e50ff45bfaafe7de672f39e738f0" // sm.ID("counter_v1")

func TestEncodingVectors(t *testing.T) {
	t.Parallel()
	counter := sm.ID("counter_v1")
	for name, c := range map[string]struct {
		tickets []ticket.Ticket
		bytes   string
	}{
		"none":    {nil, "01 00"},
		"no data": {[]ticket.Ticket{{Class: counter}}, "01 01 " + classCounter + " 0000"},
		"two": {
			[]ticket.Ticket{{Class: counter, Data: []byte("hi")}, {Class: sm.Digest{0: 1, 31: 2}, Data: bytes.Repeat([]byte{0xee}, 258)}},
			"01 02 " + classCounter + " 0002 6869 01" + strings.Repeat("00", 30) + "02 0102 " + strings.Repeat("ee", 258),
		},
		"one twice": {
			[]ticket.Ticket{{Class: counter, Data: []byte("x")}, {Class: counter, Data: []byte("x")}},
			"01 02 " + classCounter + " 0001 78 " + classCounter + " 0001 78",
		},
	} {
		want := unhex(t, c.bytes)
		got, err := ticket.Encode(c.tickets)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s encodes to %x, %v, want %x", name, got, err, want)
		}
		back, err := ticket.Decode(want)
		if diff := cmp.Diff(c.tickets, back, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%s decodes with %v, (-want +got):\n%s", name, err, diff)
		}
	}
}

func many(n, size int) []ticket.Ticket {
	all := make([]ticket.Ticket, n)
	for i := range all {
		all[i] = ticket.Ticket{Class: sm.ID("a"), Data: make([]byte, size)}
	}
	return all
}

func TestEncodeLimits(t *testing.T) {
	t.Parallel()
	for name, all := range map[string][]ticket.Ticket{
		"most tickets": many(ticket.MaxTickets, 0),
		"most data":    many(1, ticket.MaxData),
		"most bytes":   many(8, 2013+1), // 2 + 8*(34+2014) = 16386, two too many
	} {
		if name == "most bytes" {
			all[0].Data = all[0].Data[2:]
		}
		b, err := ticket.Encode(all)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if back, err := ticket.Decode(b); err != nil || !cmp.Equal(all, back, cmpopts.EquateEmpty()) {
			t.Errorf("%s: decodes to %v, %v", name, back, err)
		}
	}
	for want, all := range map[string][]ticket.Ticket{
		"ticket: encode: 17 tickets, at most 16 are allowed":                                      many(17, 0),
		"ticket: encode: 16386 bytes, at most 16384 are allowed":                                  many(8, 2014),
		"ticket: encode number 0: the class is zero":                                              {{}},
		"ticket: encode number 0: class 1c519b0b8c: 4097 bytes of data, at most 4096 are allowed": {{Class: sm.ID("counter_v1"), Data: make([]byte, 4097)}},
	} {
		if b, err := ticket.Encode(all); err == nil || err.Error() != want || b != nil {
			t.Errorf("%x, %v, want the error %q", b, err, want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "0 bytes, at least 2 are needed",
		"01":                                   "1 bytes, at least 2 are needed",
		"00 00":                                "version 0 is not known; this program reads version 1",
		"02 00":                                "version 2 is not known; this program reads version 1",
		"01 11":                                "17 tickets, at most 16 are allowed",
		"01 ff":                                "255 tickets, at most 16 are allowed",
		"01 00 00":                             "1 bytes after the last ticket",
		"01 01":                                "number 0: cut off",
		"01 01 " + classCounter + " 00":        "number 0: cut off",
		"01 01 " + classCounter + " 0002 68":   "number 0: cut off",
		"01 01 " + classCounter + " 0001 6868": "1 bytes after the last ticket",
		"01 02 " + classCounter + " 0000":      "number 1: cut off",
		"01 01 " + strings.Repeat("00", 32) + " 0000":                            "number 0: the class is zero",
		"01 01 " + classCounter + " 1001 " + strings.Repeat("00", 4097):          "4097 bytes of data, at most 4096 are allowed",
		"01 01 " + classCounter + " ffff " + strings.Repeat("00", 16<<10):        "16420 bytes, at most 16384 are allowed",
		"01 01 " + classCounter + " ffff " + strings.Repeat("00", 16<<10-2-32-2): "number 0: cut off",
	} {
		got, err := ticket.Decode(unhex(t, text))
		if err == nil || !strings.HasPrefix(err.Error(), "ticket: decode") || !strings.Contains(err.Error(), want) || got != nil {
			t.Errorf("%.80s decodes to %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestDecodeSharesNoMemory(t *testing.T) {
	t.Parallel()
	b := unhex(t, "01 01 "+classCounter+" 0002 6869")
	got, err := ticket.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if diff := cmp.Diff([]ticket.Ticket{{Class: sm.ID("counter_v1"), Data: []byte("hi")}}, got); diff != "" {
		t.Errorf("changing the input changed the tickets (-want +got):\n%s", diff)
	}
}

// FuzzDecode checks that what decodes is within the limits and encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0})
	f.Add(unhex(f, "01 01 "+classCounter+" 0002 6869"))
	f.Add(unhex(f, "01 02 "+classCounter+" 0000 "+classCounter+" 0001 00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tickets, err := ticket.Decode(b)
		if err != nil {
			return
		}
		again, err := ticket.Encode(tickets)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x decodes, but encodes to %x, %v", b, again, err)
		}
	})
}
