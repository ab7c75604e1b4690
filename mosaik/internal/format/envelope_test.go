package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var header = Header{
	Kind:     KindCommands,
	Level:    7,
	Session:  SessionID{0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xaf},
	Sequence: 300,
	Time:     -5,
	Seed:     math.MaxUint64 - 1,
}

var traces = []Trace{
	{Offset: 0, Span: Span{TraceID: [16]byte{1}, SpanID: [8]byte{2}, Flags: 1}},
	{Offset: 2, Span: Span{TraceID: [16]byte{3}, SpanID: [8]byte{4}}},
}

func commands() [][]byte {
	return [][]byte{[]byte("deposit"), {}, bytes.Repeat([]byte{0xcc}, 200)}
}

func build(h Header, traces []Trace, cmds [][]byte) []byte {
	b := Begin(nil, h, traces, len(cmds))
	for _, cmd := range cmds {
		b = AppendCommand(b, cmd)
	}
	return b
}

func list(c Commands) [][]byte {
	var cmds [][]byte
	for i, cmd := range c.All() {
		if i != len(cmds) {
			panic("offsets are not dense")
		}
		cmds = append(cmds, cmd)
	}
	return cmds
}

func TestEnvelopeGolden(t *testing.T) {
	t.Parallel()
	b := golden(t, "envelope_commands_v1.hex", build(header, traces, commands()))
	e, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(header, e.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(traces, slices.Collect(e.Traces.All())); diff != "" {
		t.Errorf("traces (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(commands(), list(e.Commands)); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if e.Commands.Len() != 3 || e.Traces.Len() != 2 {
		t.Errorf("%d commands and %d traces, want 3 and 2", e.Commands.Len(), e.Traces.Len())
	}
	if again := Append(nil, &e); !bytes.Equal(again, b) {
		t.Errorf("Append(Parse(b)) = %x, want %x", again, b)
	}

	open := Envelope{Header: Header{Kind: KindOpen, Time: 1}}
	golden(t, "envelope_open_v1.hex", Append(nil, &open))
	open.Sequence = 0x0102030405060708 // the token base
	golden(t, "envelope_open_tokens_v1.hex", Append(nil, &open))
	raise := Envelope{Header: Header{Kind: KindLevel, Level: 2, Time: 1}}
	golden(t, "envelope_level_v1.hex", Append(nil, &raise))
	// Logs that were written before level entries were.
	unknown := header
	unknown.Level = 0
	golden(t, "envelope_level_unknown_v1.hex", build(unknown, traces, commands()))
}

func TestEnvelopeSizes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 127, 128, 16383, 16384, 70000} {
		if got := len(AppendCommand(nil, make([]byte, n))); got != CommandSize(n) {
			t.Errorf("CommandSize(%d) = %d, want %d", n, CommandSize(n), got)
		}
	}
	if got := len(Begin(nil, header, nil, math.MaxInt)); got > MaxOverhead {
		t.Errorf("overhead of %d bytes, more than MaxOverhead %d", got, MaxOverhead)
	}
	few, many := len(Begin(nil, header, nil, 3)), len(Begin(nil, header, traces, 3))
	if many-few > len(traces)*MaxTrace {
		t.Errorf("%d traces take %d bytes, more than MaxTrace %d each", len(traces), many-few, MaxTrace)
	}
}

func TestEnvelopeRefused(t *testing.T) {
	t.Parallel()
	valid := build(header, traces, commands())
	edit := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(valid)) }
	set := func(at int, v byte) []byte { return edit(func(b []byte) []byte { b[at] = v; return b }) }
	fixed := func(kind Kind) []byte { h := header; h.Kind = kind; return appendHeader(nil, h) }
	for _, test := range []struct {
		name string
		b    []byte
		want error
	}{
		{"empty", nil, ErrMalformed},
		{"other version", set(0, 2), ErrVersion},
		{"kind 0", set(1, 0), ErrVersion},
		{"kind 9", set(1, 9), ErrVersion},
		{"flags", set(2, 1), ErrVersion},
		{"flags, the higher ones", set(3, 1), ErrVersion},
		{"short header", valid[:headerSize-1], ErrMalformed},
		{"no traces", valid[:headerSize], ErrMalformed},
		{"trailing byte", append(bytes.Clone(valid), 0), ErrMalformed},
		{"commands in open", set(1, byte(KindOpen)), ErrMalformed},
		{"trace past the commands", build(header, []Trace{{Offset: 3}}, commands()), ErrMalformed},
		{"traces out of order", build(header, []Trace{{Offset: 2}, {Offset: 1}}, commands()), ErrMalformed},
		{"traces at one offset", build(header, []Trace{{Offset: 1}, {Offset: 1}}, commands()), ErrMalformed},
		{"trace without commands", build(header, []Trace{{Offset: 0}}, nil), ErrMalformed},
		{"uvarint too long", append(fixed(KindOpen), 0, 0x80, 0), ErrMalformed},
		{"uvarint overflows", append(fixed(KindOpen), bytes.Repeat([]byte{0xff}, 11)...), ErrMalformed},
		{"4 G traces", binary.AppendUvarint(fixed(KindCommands), 1<<32), ErrMalformed},
		{"4 G commands", binary.AppendUvarint(append(fixed(KindCommands), 0), 1<<32), ErrMalformed},
		{"command of 2^63 bytes", binary.AppendUvarint(append(fixed(KindCommands), 0, 1), 1<<63), ErrMalformed},
	} {
		if _, err := Parse(test.b); !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", test.name, err, test.want)
		}
	}
	for n := range len(valid) {
		if _, err := Parse(valid[:n]); err == nil {
			t.Errorf("the first %d of %d bytes pass", n, len(valid))
		}
	}
}

func TestEnvelopeAllocatesNothing(t *testing.T) {
	b := build(header, traces, commands())
	dst := make([]byte, 0, 2*len(b))
	var sum int
	allocs := testing.AllocsPerRun(100, func() {
		e, err := Parse(b)
		if err != nil {
			panic(err)
		}
		for i, cmd := range e.Commands.All() {
			sum += i + len(cmd)
		}
		for tr := range e.Traces.All() {
			sum += tr.Offset
		}
		dst = Append(dst[:0], &e)
	})
	if allocs != 0 {
		t.Errorf("%v allocations to parse, iterate and append, want none", allocs)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(build(header, traces, commands()))
	f.Add(build(header, nil, nil))
	f.Add(Append(nil, &Envelope{Header: Header{Kind: KindSession}}))
	f.Add(binary.AppendUvarint(append(appendHeader(nil, header), 0), 1<<32))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrVersion) {
				t.Fatalf("error %v of neither kind", err)
			}
			return
		}
		if got := build(e.Header, slices.Collect(e.Traces.All()), list(e.Commands)); !bytes.Equal(got, b) {
			t.Fatalf("rebuilt as %x, want %x", got, b)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	data := build(header, nil, slices.Repeat([][]byte{make([]byte, 16)}, 64))
	b.ReportAllocs()
	for b.Loop() {
		e, err := Parse(data)
		if err != nil {
			b.Fatal(err)
		}
		for _, cmd := range e.Commands.All() {
			_ = cmd
		}
	}
}
