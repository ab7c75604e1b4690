package codec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	gomaps "maps"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/codecimpl"
)

// suiteCase is a case of the public test suite for MessagePack: one value, under a
// name of its type, and every encoding of it.
type suiteCase map[string]json.RawMessage

// suite returns the cases of the test suite that have a value of a type.
func suite(t *testing.T, typ string) (cases []suiteCase) {
	t.Helper()
	b, err := os.ReadFile("testdata/msgpack-test-suite/msgpack-test-suite.json")
	if err != nil {
		t.Fatal(err)
	}
	var files map[string][]suiteCase
	if err := json.Unmarshal(b, &files); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(gomaps.Keys(files)) {
		for _, c := range files[name] {
			if c[typ] != nil {
				cases = append(cases, c)
			}
		}
	}
	if len(cases) == 0 {
		t.Fatalf("the suite has no case of type %s", typ)
	}
	return cases
}

// encodings returns the encodings of a case.
func (c suiteCase) encodings(t *testing.T) (all [][]byte) {
	t.Helper()
	var texts []string
	if err := json.Unmarshal(c["msgpack"], &texts); err != nil || len(texts) == 0 {
		t.Fatalf("a case without encodings: %v", err)
	}
	for _, text := range texts {
		all = append(all, unhex(t, text))
	}
	return all
}

// unhex returns the bytes of a text such as c4-01-01.
func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// suiteOf checks that both decoders read the value of a case from every encoding, and
// nothing from a part of one, or from more, and that the encoder writes one of them.
func suiteOf[T any](t *testing.T, c suiteCase, want T, method func(*codecimpl.Reader) T) {
	t.Helper()
	reflected := codec.Reflect[T]()
	all := c.encodings(t)
	for _, b := range all {
		for name, decode := range map[string]func([]byte) (T, error){
			"Reader":  func(b []byte) (T, error) { return read(b, method) },
			"Reflect": reflected.Decode,
		} {
			if method == nil && name == "Reader" {
				continue
			}
			got, err := decode(b)
			if err != nil {
				t.Errorf("%s: %x: %v", name, b, err)
			} else if diff := cmp.Diff(want, got, equalities); diff != "" {
				t.Errorf("%s: %x (-want +got):\n%s", name, b, diff)
			}
			for n := range b {
				if got, err := decode(b[:n]); !errors.Is(err, codec.ErrTruncated) {
					t.Errorf("%s: %x, cut to %d bytes, is %v, error %v; want %v", name, b, n, got, err, codec.ErrTruncated)
				}
			}
			if got, err := decode(append(bytes.Clone(b), 0xc0)); !errors.Is(err, codec.ErrTrailing) {
				t.Errorf("%s: %x, and a byte more, is %v, error %v; want %v", name, b, got, err, codec.ErrTrailing)
			}
		}
	}
	got, err := reflected.Append(nil, want)
	if err != nil || !slices.ContainsFunc(all, func(b []byte) bool { return bytes.Equal(b, got) }) {
		t.Errorf("%v is encoded as %x, error %v; want one of %x", want, got, err, all)
	}
}

// value returns the value of a case.
func value[T any](t *testing.T, c suiteCase, typ string) (v T) {
	t.Helper()
	if err := json.Unmarshal(c[typ], &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSuiteScalars(t *testing.T) {
	t.Parallel()
	for _, c := range suite(t, "nil") {
		suiteOf[[]string](t, c, nil, nil)
		suiteOf[[]byte](t, c, nil, func(r *codecimpl.Reader) []byte { return r.Bytes(0) })
	}
	for _, c := range suite(t, "bool") {
		suiteOf(t, c, value[bool](t, c, "bool"), (*codecimpl.Reader).Bool)
	}
	for _, c := range suite(t, "binary") {
		suiteOf(t, c, unhex(t, value[string](t, c, "binary")), func(r *codecimpl.Reader) []byte { return r.Bytes(0) })
	}
	for _, c := range suite(t, "string") {
		suiteOf(t, c, value[string](t, c, "string"), func(r *codecimpl.Reader) string { return r.String(0) })
	}
	for _, c := range suite(t, "timestamp") {
		at := value[[2]int64](t, c, "timestamp")
		suiteOf(t, c, time.Unix(at[0], at[1]).UTC(), (*codecimpl.Reader).Time)
	}
}

// TestSuiteNumbers reads the numbers of the suite as every type. A number is not
// converted: what is encoded as a float is no integer, and the other way round.
func TestSuiteNumbers(t *testing.T) {
	t.Parallel()
	cases := append(suite(t, "number"), suite(t, "bignum")...)
	for _, c := range cases {
		text := strings.Trim(string(c["bignum"]), `"`)
		if text == "" {
			text = string(c["number"])
		}
		want, ok := new(big.Float).SetPrec(128).SetString(text)
		if !ok {
			t.Fatalf("%s is no number", text)
		}
		all := c.encodings(t)
		for _, b := range all {
			suiteFloat(t, b, want)
			suiteIntegers(t, b, want)
		}
		whole, _ := want.Int(nil)
		for _, typ := range numbers {
			if !want.IsInt() || !typ.holds(whole) {
				continue
			}
			got, err := typ.appended(bits(whole))
			if err != nil || !slices.ContainsFunc(all, func(b []byte) bool { return bytes.Equal(b, got) }) {
				t.Errorf("%s: %v is encoded as %x, error %v; want one of %x", typ.name, want, got, err, all)
			}
		}
	}
}

// bits returns an integer as 64 bits, a negative one as its two's complement.
func bits(n *big.Int) uint64 {
	if n.Sign() < 0 {
		return uint64(n.Int64())
	}
	return n.Uint64()
}

// holds reports whether the type has the number.
func (n number) holds(v *big.Int) bool {
	return v.Cmp(big.NewInt(n.low)) >= 0 && v.Cmp(new(big.Int).SetUint64(n.high)) <= 0
}

// suiteFloat reads an encoding of a number as a float.
func suiteFloat(t *testing.T, b []byte, want *big.Float) {
	t.Helper()
	f64, _ := want.Float64()
	for name, decode := range map[string]func([]byte) (float64, error){
		"Reader":  func(b []byte) (float64, error) { return read(b, (*codecimpl.Reader).Float64) },
		"Reflect": codec.Reflect[float64]().Decode,
	} {
		got, err := decode(b)
		switch float := b[0] == 0xca || b[0] == 0xcb; {
		case float && (err != nil || got != f64):
			t.Errorf("%s: %x is %v, error %v; want %v", name, b, got, err, f64)
		case !float && !errors.Is(err, codec.ErrType):
			t.Errorf("%s: %x, an integer, is the float %v, error %v; want %v", name, b, got, err, codec.ErrType)
		}
	}
	for name, decode := range map[string]func([]byte) (float32, error){
		"Reader":  func(b []byte) (float32, error) { return read(b, (*codecimpl.Reader).Float32) },
		"Reflect": codec.Reflect[float32]().Decode,
	} {
		got, err := decode(b)
		switch float := b[0] == 0xca; {
		case float && (err != nil || float64(got) != f64):
			t.Errorf("%s: %x is %v, error %v; want %v", name, b, got, err, f64)
		case !float && !errors.Is(err, codec.ErrType):
			t.Errorf("%s: %x is the float32 %v, error %v; want %v", name, b, got, err, codec.ErrType)
		}
	}
}

// suiteIntegers reads an encoding of a number as every integer.
func suiteIntegers(t *testing.T, b []byte, want *big.Float) {
	t.Helper()
	whole, _ := want.Int(nil)
	for _, typ := range numbers {
		for i, decode := range typ.methods {
			got, err := decode(b)
			float := b[0] == 0xca || b[0] == 0xcb
			switch {
			case float && !errors.Is(err, codec.ErrType):
				t.Errorf("%s %d: %x, a float, is %d, error %v; want %v", typ.name, i, b, got, err, codec.ErrType)
			case float:
			case typ.holds(whole) && (err != nil || got != bits(whole)):
				t.Errorf("%s %d: %x is %d, error %v; want %v", typ.name, i, b, int64(got), err, want)
			case !typ.holds(whole) && !errors.Is(err, codec.ErrOverflow):
				t.Errorf("%s %d: %x is %d, error %v; want %v", typ.name, i, b, int64(got), err, codec.ErrOverflow)
			}
		}
	}
}

// TestSuiteContainers reads the arrays and maps of the suite as the types that they
// have in Go.
func TestSuiteContainers(t *testing.T) {
	t.Parallel()
	read := 0
	for _, typ := range []string{"array", "map"} {
		for _, c := range suite(t, typ) {
			read += suiteAs[[]int](t, c, typ, true)
			read += suiteAs[[]string](t, c, typ, false)
			read += suiteAs[[][]int](t, c, typ, false)
			read += suiteAs[[]map[string]int](t, c, typ, false)
			read += suiteAs[map[string]int](t, c, typ, true)
			read += suiteAs[map[string]string](t, c, typ, false)
			read += suiteAs[map[string]map[string]int](t, c, typ, false)
			read += suiteAs[map[string][]int](t, c, typ, false)
		}
	}
	if want := len(suite(t, "array")) + len(suite(t, "map")); read != want {
		t.Errorf("%d containers were read, want each of %d as one type", read, want)
	}
}

// suiteAs reads a container as a T, if it is one, and returns 1 then. One that is empty
// is of one type only.
func suiteAs[T any](t *testing.T, c suiteCase, typ string, empty bool) int {
	t.Helper()
	var v T
	if json.Unmarshal(c[typ], &v) != nil {
		return 0
	}
	if none := string(c[typ]) == "[]" || string(c[typ]) == "{}"; none && !empty {
		return 0
	}
	suiteOf(t, c, v, nil)
	return 1
}

// TestSuiteExtensions decodes extensions as several types. All are refused, because only
// timestamps have a type in Go.
func TestSuiteExtensions(t *testing.T) {
	t.Parallel()
	for _, c := range suite(t, "ext") {
		for _, b := range c.encodings(t) {
			for name, decode := range map[string]func([]byte) error{
				"time":   func(b []byte) error { _, err := codec.Reflect[time.Time]().Decode(b); return err },
				"bytes":  func(b []byte) error { _, err := codec.Reflect[[]byte]().Decode(b); return err },
				"string": func(b []byte) error { _, err := codec.Reflect[string]().Decode(b); return err },
				"int":    func(b []byte) error { _, err := codec.Reflect[int64]().Decode(b); return err },
				"Time":   func(b []byte) error { _, err := read(b, (*codecimpl.Reader).Time); return err },
				"Int64":  func(b []byte) error { _, err := read(b, (*codecimpl.Reader).Int64); return err },
			} {
				if err := decode(b); !errors.Is(err, codec.ErrType) {
					t.Errorf("%s: %x: error %v, want %v", name, b, err, codec.ErrType)
				}
			}
		}
	}
}
