package codec_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/codec"
)

// refusal is a decoding that must fail.
type refusal interface {
	name() string
	run(t *testing.T)
}

type refused[C any] struct {
	bytes string
	is    error // nil for one that is nobody's
	path  string
	text  string // a part of the message
}

func (r refused[C]) name() string { return r.bytes }

func (r refused[C]) run(t *testing.T) {
	src := bytesOf(t, r.bytes)
	v, err := codec.Reflect[C]().Decode(src)
	var at *codec.Error
	if !errors.As(err, &at) {
		t.Fatalf("Decode = %+v, %v; want a *codec.Error", v, err)
	}
	if r.is != nil && !errors.Is(err, r.is) {
		t.Errorf("error %q is not %q", err, r.is)
	}
	if at.Path != r.path || at.Op != "decode" || at.Offset < 0 || at.Offset > len(src) {
		t.Errorf("error is at %q, %d, in %q; want %q in decode", at.Path, at.Offset, at.Op, r.path)
	}
	if !strings.Contains(err.Error(), r.text) || !strings.HasPrefix(err.Error(), "codec: decode "+r.path+": ") {
		t.Errorf("message %q does not hold %q", err, r.text)
	}
}

func TestReflectDecodeRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("91", 64) + "90"
	for _, r := range []refusal{
		// Truncated, and lengths that cannot be.
		refused[Transfer]{"", codec.ErrTruncated, "Transfer", "the bytes end"},
		refused[Transfer]{"81 a4'Fro'", codec.ErrTruncated, "Transfer", "a string of length 4 is declared, 3 bytes remain"},
		refused[Transfer]{"81 a4'From'", codec.ErrTruncated, "Transfer.From", "the bytes end"},
		refused[Transfer]{"81 a5'Nonce' cf000000", codec.ErrTruncated, "Transfer.Nonce", "8 more bytes are needed, 3 remain"},
		refused[Transfer]{"81 a4'Legs' ddffffffff 80", codec.ErrTruncated, "Transfer.Legs", "an array of length 4294967295 is declared, 1 bytes remain"},
		refused[Transfer]{"81 a4'Legs' dc", codec.ErrTruncated, "Transfer.Legs", "2 more"},
		refused[Transfer]{"81 a5'Notes' dfffffffff a0a0", codec.ErrTruncated, "Transfer.Notes", "a map of length 4294967295"},
		refused[Transfer]{"81 a5'Notes' 82 a0a0a0", codec.ErrTruncated, "Transfer.Notes", "3 bytes remain"},
		refused[Transfer]{"81 a2'At' d6ff0000", codec.ErrTruncated, "Transfer.At", "extension of length 4"},
		refused[Transfer]{"81 a2'At' c9ffffffffff", codec.ErrTruncated, "Transfer.At", "extension of length 4294967295"},
		refused[Transfer]{"81 a2'At' d6", codec.ErrTruncated, "Transfer.At", "1 more"},
		refused[Transfer]{"81 a2'At' c7", codec.ErrTruncated, "Transfer.At", "1 more"},
		refused[[]byte]{"c6ffffffff00", codec.ErrTruncated, "command", "bytes of length 4294967295"},
		// Trailing.
		refused[Transfer]{"80 c0", codec.ErrTrailing, "Transfer", "1 bytes follow"},
		refused[uint8]{"01 02 03", codec.ErrTrailing, "uint8", "2 bytes follow"},
		// Deep.
		refused[Tree]{deep, codec.ErrDepth, "Tree" + strings.Repeat("[0]", 64), "deeper than 64"},
		refused[Point]{"92 01 ", codec.ErrTruncated, "Point", "2 is declared, 1 bytes remain"},
		refused[map[string]bool]{"81 a1'k'", codec.ErrTruncated, `command["k"]`, "the bytes end"},
		refused[map[string]bool]{"81 a2 a1", codec.ErrTruncated, "command[key]", "a string of length 2"},
		refused[map[int16]bool]{"81 d1 00", codec.ErrTruncated, "command[key]", "2 more"},
		refused[Transfer]{"81 d9ff", codec.ErrTruncated, "Transfer", "a string of length 255"},
		refused[Forest]{strings.Repeat("81a0", 64) + "80", codec.ErrDepth, "Forest" + strings.Repeat(`[""]`, 64), "deeper than 64"},
		refused[Nest]{strings.Repeat("81a141", 64) + "80", codec.ErrDepth, "Nest" + strings.Repeat(".A", 64), "deeper than 64"},
		refused[Tuple]{strings.Repeat("91", 65) + "c0", codec.ErrDepth, "Tuple" + strings.Repeat(".A", 64), "deeper than 64"},
		refused[Raw]{deep, codec.ErrDepth, "Raw", "deeper than 64"},
		refused[Raw]{strings.Repeat("81c0", 64) + "80", codec.ErrDepth, "Raw", "deeper than 64"},
		// Overflow.
		refused[Transfer]{"81 a4'Legs' 94 80 80 80 81 a6'Amount' cd012c", codec.ErrOverflow, "Transfer.Legs[3].Amount", "300 overflows uint8"},
		refused[Transfer]{"81 a5'Nonce' ff", codec.ErrOverflow, "Transfer.Nonce", "-1 overflows uint64"},
		refused[int8]{"cc80", codec.ErrOverflow, "int8", "128 overflows int8"},
		refused[int8]{"d1ff7f", codec.ErrOverflow, "int8", "-129 overflows int8"},
		refused[int64]{"cf80000000 00000000", codec.ErrOverflow, "int64", "9223372036854775808 overflows int64"},
		refused[uint16]{"ce00010000", codec.ErrOverflow, "uint16", "65536 overflows uint16"},
		refused[uint32]{"d2ffffffff", codec.ErrOverflow, "uint32", "-1 overflows uint32"},
		refused[Level]{"cd0100", codec.ErrOverflow, "Level", "256 overflows codec_test.Level"},
		refused[map[int16]uint8]{"81 ce00010000 01", codec.ErrOverflow, "command[key]", "65536 overflows int16"},
		refused[map[int16]uint8]{"81 fe cd0100", codec.ErrOverflow, "command[-2]", "256 overflows uint8"},
		refused[map[uint64]uint8]{"81 cfffffffffffffffff cd0100", codec.ErrOverflow, "command[18446744073709551615]", "256"},
		refused[time.Time]{"d7ffee6b2800 00000001", codec.ErrOverflow, "Time", "1000000000 nanoseconds"},
		refused[time.Time]{"c70cff3b9aca00 0000000000000001", codec.ErrOverflow, "Time", "1000000000 nanoseconds"},
		// Duplicate.
		refused[Transfer]{"82 a5'Nonce'01 a5'Nonce'02", codec.ErrDuplicate, "Transfer.Nonce", "comes twice"},
		refused[Transfer]{"81 a5'Notes' 82 a1'k'a0 a1'k'a0", codec.ErrDuplicate, `Transfer.Notes["k"]`, "comes twice"},
		refused[Transfer]{"81 a5'Notes' 83 a1'k'a0 a1'a'a0 d901'k'a0", codec.ErrDuplicate, `Transfer.Notes["k"]`, "comes twice"},
		refused[Transfer]{"81 a6'Counts' 83 01 01 ff 01 d10001 01", codec.ErrDuplicate, "Transfer.Counts[1]", "comes twice"},
		refused[map[int16]bool]{"82 ffc2 d0ffc2", codec.ErrDuplicate, "command[-1]", "comes twice"},
		// Unknown field.
		refused[Transfer]{"81 a4'Evil' 01", codec.ErrUnknownField, "Transfer", `unknown field "Evil"`},
		refused[Transfer]{"81 a4'from' a0", codec.ErrUnknownField, "Transfer", `unknown field "from"`},
		refused[Transfer]{"81 d928'" + strings.Repeat("x", 40) + "' 01", codec.ErrUnknownField, "Transfer", `"` + strings.Repeat("x", 32) + `"…`},
		refused[struct{ Base }]{"81 a4'Base' 80", codec.ErrUnknownField, "command", `unknown field "Base"`},
		// Wrong type.
		refused[Transfer]{"90", codec.ErrType, "Transfer", "an array, where a map (codec_test.Transfer) is wanted"},
		refused[Transfer]{"81 01 01", codec.ErrType, "Transfer", "an integer, where a field's name is wanted"},
		refused[Transfer]{"81 c0 01", codec.ErrType, "Transfer", "nil, where a field's name is wanted"},
		refused[Transfer]{"81 a4'From' c40141", codec.ErrType, "Transfer.From", "bytes, where a string"},
		refused[Transfer]{"81 a5'Nonce' a131", codec.ErrType, "Transfer.Nonce", "a string, where uint64 is wanted"},
		refused[Transfer]{"81 a5'Nonce' ca00000000", codec.ErrType, "Transfer.Nonce", "a float32, where"},
		refused[Transfer]{"81 a4'Hash' c403000000", codec.ErrType, "Transfer.Hash", "3 elements, where [4]uint8 has 4"},
		refused[Transfer]{"81 a4'Hash' c4050000000000", codec.ErrType, "Transfer.Hash", "5 elements"},
		refused[Transfer]{"81 a4'Pair' 91 01", codec.ErrType, "Transfer.Pair", "1 elements, where [2]int8 has 2"},
		refused[Transfer]{"81 a4'Pair' 93 01 02 03", codec.ErrType, "Transfer.Pair", "3 elements"},
		refused[Transfer]{"81 a5'Point' 91 01", codec.ErrType, "Transfer.Point", "1 elements, where codec_test.Point has 2"},
		refused[Transfer]{"81 a5'Point' 80", codec.ErrType, "Transfer.Point", "a map, where an array"},
		refused[Transfer]{"81 a5'Point' 92 01 a0", codec.ErrType, "Transfer.Point.Y", "a string, where int32"},
		refused[Transfer]{"81 a2'At' d5ff0000", codec.ErrType, "Transfer.At", "a timestamp of 2 bytes"},
		refused[Transfer]{"81 a2'At' d60d00000001", codec.ErrType, "Transfer.At", "an extension, where time.Time"},
		refused[Transfer]{"81 a2'At' 01", codec.ErrType, "Transfer.At", "an integer, where time.Time"},
		refused[Transfer]{"81 a5'Notes' 81 01 a0", codec.ErrType, "Transfer.Notes[key]", "an integer, where a string"},
		refused[Transfer]{"81 a6'Counts' 81 a0 01", codec.ErrType, "Transfer.Counts[key]", "a string, where int16"},
		refused[Transfer]{"81 a5'Notes' 81 a1'k' 01", codec.ErrType, `Transfer.Notes["k"]`, "an integer, where a string"},
		refused[Transfer]{"c1", codec.ErrType, "Transfer", "the byte 0xc1 starts no MessagePack value"},
		refused[Raw]{"91c1", codec.ErrType, "Raw", "0xc1"},
		refused[float32]{"cb3ff8000000000000", codec.ErrType, "float32", "a float64, where a float32"},
		refused[float64]{"01", codec.ErrType, "float64", "an integer, where a float64"},
		refused[bool]{"01", codec.ErrType, "bool", "an integer, where a bool"},
		refused[[]byte]{"a0", codec.ErrType, "command", "a string, where bytes"},
		refused[Text]{"a0", codec.ErrType, "Text", "a string, where bytes"},
		// Invalid UTF-8.
		refused[Transfer]{"81 a4'From' a2c328", codec.ErrUTF8, "Transfer.From", `"\xc3(" is not valid UTF-8`},
		refused[Transfer]{"81 a1ff 01", codec.ErrUTF8, "Transfer", `"\xff"`},
		refused[Transfer]{"81 a5'Notes' 81 a1ff a0", codec.ErrUTF8, "Transfer.Notes[key]", `"\xff"`},
		refused[Raw]{"a1ff", codec.ErrUTF8, "Raw", `"\xff"`},
		// Nil.
		refused[Transfer]{"c0", codec.ErrNil, "Transfer", "nil, where"},
		refused[*Transfer]{"c0", codec.ErrNil, "Transfer", "nil is no command"},
		refused[Transfer]{"81 a2'At' c0", codec.ErrNil, "Transfer.At", "nil, where time.Time is wanted"},
		refused[Transfer]{"81 a4'From' c0", codec.ErrNil, "Transfer.From", "nil, where a string"},
		refused[Transfer]{"81 a5'Nonce' c0", codec.ErrNil, "Transfer.Nonce", "nil, where uint64"},
		refused[Transfer]{"81 a4'Hash' c0", codec.ErrNil, "Transfer.Hash", "nil, where"},
		refused[Transfer]{"81 a4'Pair' c0", codec.ErrNil, "Transfer.Pair", "nil, where"},
		refused[Transfer]{"81 a5'Notes' 81 c0 a0", codec.ErrNil, "Transfer.Notes[key]", "nil, where"},
		refused[Transfer]{"81 a6'Counts' 81 c0 01", codec.ErrNil, "Transfer.Counts[key]", "nil, where"},
		refused[Transfer]{"81 a4'Legs' 91 c0", codec.ErrNil, "Transfer.Legs[0]", "nil, where"},
		refused[Text]{"c0", codec.ErrNil, "Text", "nil, where"},
		refused[Raw]{"c0", codec.ErrNil, "Raw", "nil, where"},
		// Types that decode themselves.
		refused[Raw]{"01", errRaw, "Raw", "raw refuses this"},
		refused[struct{ Raw Raw }]{"81 a3'Raw' a4'boom'", nil, "command", "panic: boom"},
	} {
		t.Run(r.name(), func(t *testing.T) {
			t.Parallel()
			r.run(t)
		})
	}
}

func TestReflectDecodeManyFields(t *testing.T) {
	t.Parallel()
	c := codec.Reflect[Many]()
	want := Many{F000: 1, F001: 2, F064: 3, F065: 4, F128: 5, F129: 6}
	if got, err := c.Decode(encode(t, want)); err != nil || got != want {
		t.Errorf("Decode = %+v, %v; want what was encoded", got, err)
	}
	var at *codec.Error
	_, err := c.Decode(bytesOf(t, "83 a4'F129'01 a4'F001'02 a4'F129'01"))
	if !errors.As(err, &at) || at.Path != "Many.F129" || !errors.Is(err, codec.ErrDuplicate) {
		t.Errorf("a duplicate of the last field: %v, want ErrDuplicate at Many.F129", err)
	}
}

func TestReflectDecodeAcceptsMissing(t *testing.T) {
	t.Parallel()
	got, err := codec.Reflect[Transfer]().Decode(bytesOf(t, "81 a5'Nonce' 09"))
	if err != nil || got.Nonce != 9 || got.Legs != nil {
		t.Errorf("Decode = %+v, %v; want a transfer with nonce 9 alone", got, err)
	}
}

func TestReflectDecodeDepth(t *testing.T) {
	t.Parallel()
	if _, err := codec.Reflect[Tree]().Decode(bytesOf(t, strings.Repeat("91", 63)+"90")); err != nil {
		t.Errorf("a tree of depth 64: %v", err)
	}
}

func TestReflectDecodeSize(t *testing.T) {
	t.Parallel()
	c := codec.Reflect[[]byte]()
	fits := append([]byte{0xc6, 0, 0x7f, 0xff, 0xfb}, make([]byte, codec.MaxSize-5)...)
	if v, err := c.Decode(fits); err != nil || len(v) != codec.MaxSize-5 {
		t.Errorf("Decode of MaxSize bytes = %d bytes, %v", len(v), err)
	}
	if got, err := c.Append(nil, fits[5:]); err != nil || !bytes.Equal(got, fits) {
		t.Errorf("Append up to MaxSize bytes = %d bytes, %v", len(got), err)
	}
	if _, err := c.Decode(append(fits, 0)); !errors.Is(err, codec.ErrTooLarge) {
		t.Errorf("Decode of more than MaxSize bytes: %v, want ErrTooLarge", err)
	}
	if _, err := c.Append(nil, fits[4:]); !errors.Is(err, codec.ErrTooLarge) {
		t.Errorf("Append of more than MaxSize bytes: %v, want ErrTooLarge", err)
	}
}

// Wide takes 8 KiB, but no more than one byte when it is empty.
type Wide struct {
	Fields [512]string `msgpack:",omitempty"`
	Next   *Wide
}

// Patch is empty in one byte too, and its encoder says so.
type Patch struct {
	A, B, C, D, E, F, G, H, I, J []string `msgpack:",omitempty"`
}

func TestReflectDecodeMemory(t *testing.T) {
	t.Parallel()
	many := func(header string, n int, element string) []byte {
		return append(bytesOf(t, header), bytes.Repeat(bytesOf(t, element), n)...)
	}
	for _, tt := range []struct {
		name string
		err  error
	}{
		{"slice", decodeError[[]Wide](many("dcffff", 65535, "80"))},
		{"pointers", decodeError[[]*Wide](many("dcffff", 65535, "80"))},
		{"map", decodeError[map[uint16]Wide](numbered(65535, 0x80))},
		{"nested slices", decodeError[[][]Wide](many("dc00ff", 255, "9f"+strings.Repeat("80", 15)))},
	} {
		if !errors.Is(tt.err, codec.ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", tt.name, tt.err)
		}
	}
	if _, err := codec.Reflect[[]Patch]().Append(nil, make([]Patch, 10_000)); !errors.Is(err, codec.ErrTooLarge) {
		t.Errorf("Append accepts what Decode refuses: %v, want ErrTooLarge", err)
	}
	if err := decodeError[[]Patch](many("dc00ff", 255, "80")); err != nil {
		t.Errorf("a few empty elements: %v", err)
	}
}

func decodeError[C any](src []byte) error {
	_, err := codec.Reflect[C]().Decode(src)
	return err
}

// numbered returns a map of n entries, all with the value b.
func numbered(n int, b byte) []byte {
	src := []byte{0xde, byte(n >> 8), byte(n)}
	for i := range n {
		src = append(src, 0xcd, byte(i>>8), byte(i), b)
	}
	return src
}
