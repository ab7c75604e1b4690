package codec_test

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/codec"
)

// Transfer is the command of most tests of refusals.
type Transfer struct {
	From, To string
	Nonce    uint64
	Legs     []Leg
	Notes    map[string]string `msgpack:",omitempty"`
	Counts   map[int16]uint8   `msgpack:",omitempty"`
	At       time.Time
	Parent   *Transfer
	Hash     [4]byte
	Pair     [2]int8
	Point    Point
}

type Leg struct {
	Amount uint8
	Rate   float32
	Memo   []byte
}

// Point is encoded as an array.
type Point struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by reflection
	X, Y     int32
}

type (
	Name   string
	Level  uint8
	Octet  byte
	Labels map[string]string
	Tree   []Tree
	Forest map[string]Forest
	Nest   struct{ A *Nest }
	Tuple  struct {
		_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by reflection
		A        *Tuple
	}
)

type Base struct {
	ID   uint64
	Time time.Time
}

type hidden struct{ Seen bool }

// Broad holds every kind of field that Reflect takes.
type Broad struct {
	Base
	hidden
	Bool     bool
	I8       int8
	I16      int16
	I32      int32
	I64      int64
	U8       uint8
	U16      uint16
	U32      uint32
	U64      uint64
	F32      float32
	F64      float64
	String   string `msgpack:"s"`
	Bytes    []byte
	Octets   []Octet
	Array    [5]byte
	OctetArr [3]Octet
	Shorts   [3]int16
	Time     time.Time `msgpack:"t"`
	Took     time.Duration
	Name     Name
	Level    Level
	Strings  []string
	Names    []Name
	Nested   [][]Point
	Times    []time.Time
	Labels   Labels
	Flags    map[string]bool
	ByName   map[Name]Leg
	ByNumber map[int64]map[uint16]time.Time
	Arrays   map[string][2]byte
	Tree     Tree
	Next     *Broad
	Count    *int64
	When     *time.Time
	Addr     netip.Addr
	Text     Text
	Hex      *Hex
	Raw      Raw
	Maybe    string            `msgpack:",omitempty"`
	MaybeMap map[string]string `msgpack:"mm,omitempty"`
	Skipped  chan int          `msgpack:"-"`
	private  int               //nolint:unused // must not be encoded
}

// Text encodes itself as text, by value.
type Text struct{ s string }

func (t Text) MarshalText() ([]byte, error)     { return []byte(t.s), nil }
func (t *Text) UnmarshalText(text []byte) error { t.s = string(text); return nil }

// Hex encodes itself as text, by pointer, and refuses what is not hexadecimal.
type Hex struct{ b string }

func (h *Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString([]byte(h.b))), nil }

func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	h.b = string(b)
	return err
}

var errRaw = errors.New("raw refuses this")

// Raw encodes itself as one MessagePack value, a string.
type Raw struct{ s string }

func (r Raw) MarshalMsgpack() ([]byte, error) {
	switch r.s {
	case "refuse":
		return nil, errRaw
	case "nil":
		return []byte{0xc0}, nil
	case "two values":
		return []byte{0xc2, 0xc2}, nil
	case "panic":
		panic(errRaw)
	}
	if len(r.s) > 31 {
		return nil, errRaw
	}
	return append([]byte{0xa0 | byte(len(r.s))}, r.s...), nil
}

func (r *Raw) UnmarshalMsgpack(b []byte) error {
	if b[0]&0xe0 != 0xa0 {
		return errRaw
	}
	if r.s = string(b[1:]); r.s == "boom" {
		panic("boom")
	}
	return nil
}

// bytesOf decodes hexadecimal digits with spaces between them; what stands in
// quotes is taken as it is.
func bytesOf(t testing.TB, text string) []byte {
	t.Helper()
	var out []byte
	for i, part := range strings.Split(text, "'") {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

func encode[C any](t testing.TB, v C) []byte {
	t.Helper()
	b, err := codec.Reflect[C]().Append(nil, v)
	if err != nil {
		t.Fatalf("Append(%+v): %v", v, err)
	}
	return b
}
