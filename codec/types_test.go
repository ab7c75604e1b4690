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
	_msgpack struct{} `msgpack:",as_array"` //lint:ignore U1000 read by reflection
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
		_msgpack struct{} `msgpack:",as_array"` //lint:ignore U1000 read by reflection
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
	private  int               //lint:ignore U1000 must not be encoded
}

// Many has more fields than the scanner marks without an allocation.
type Many struct {
	F000, F001, F002, F003, F004, F005, F006, F007, F008, F009, F010, F011, F012,
	F013, F014, F015, F016, F017, F018, F019, F020, F021, F022, F023, F024, F025,
	F026, F027, F028, F029, F030, F031, F032, F033, F034, F035, F036, F037, F038,
	F039, F040, F041, F042, F043, F044, F045, F046, F047, F048, F049, F050, F051,
	F052, F053, F054, F055, F056, F057, F058, F059, F060, F061, F062, F063, F064,
	F065, F066, F067, F068, F069, F070, F071, F072, F073, F074, F075, F076, F077,
	F078, F079, F080, F081, F082, F083, F084, F085, F086, F087, F088, F089, F090,
	F091, F092, F093, F094, F095, F096, F097, F098, F099, F100, F101, F102, F103,
	F104, F105, F106, F107, F108, F109, F110, F111, F112, F113, F114, F115, F116,
	F117, F118, F119, F120, F121, F122, F123, F124, F125, F126, F127, F128, F129 uint8
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
