package gen

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	ipCodec  = "//mosaik:codec name=ip\ntype ipCodec = codec.Binary[netip.Addr, *netip.Addr]\n"
	closed   = "type Closed interface{ closed() }\ntype Open struct{ A int8 }\nfunc (Open) closed() {}\n"
	sides    = "type Side uint8\nconst (\nLeft Side = iota + 1\nRight\n)\n"
	withIP   = `"net/netip"; "github.com/mosaik-go/mosaik/codec"`
	withHex  = `"github.com/mosaik-go/mosaik/codec"`
	opt      = "type Opt struct{ A int8 `msgpack:\",omitempty\"` }\ntype Outer struct{ Opt }\ntype List []int8\n"
	both     = "type Both struct{ _msgpack struct{} `msgpack:\",as_array\"`; A int8 `msgpack:\",omitempty\"`; B string `msgpack:\",omitempty\"` }\ntype Two struct{ _msgpack struct{} `msgpack:\",as_array,omitempty\"`; Both `msgpack:\",noinline\"` }\n"
	embedded = "type Base struct{ A int8; C string }\n"
)

// pairs are pairs of packages. Their schemas are equal, or differ as words
// describes.
var pairs = []struct {
	name          string
	first, second string
	words         string // "" if the schemas are equal
}{
	{"codec of another type", machineSource(withIP, "A netip.Addr", ipCodec), machineSource(withHex, "A Hex", strings.Replace(hexCodec, "name=hex", "name=ip", 1)), ""},
	{"codec that nothing uses", machineSource(withHex, "A int8", hexCodec), machineSource("", "A int8", ""), ""},
	{"codec renamed", machineSource(withHex, "A Hex", hexCodec), machineSource(withHex, "A Hex", strings.Replace(hexCodec, "name=hex", "name=x", 1)), `Set.A: own "hex" → own "x"`},
	{"codec for bytes", machineSource(withHex, "A []Hex", hexCodec), machineSource("", "A [][]byte", ""), `Set.A[]: own "hex" → bytes`},
	{"codec limited", machineSource(withHex, "A Hex", hexCodec), machineSource(withHex, "A Hex `mosaik:\"max=3\"`", hexCodec), "Set.A: no condition → max=3"},

	{"bytes of a named type", machineSource("", "A []Octet; B [3]Octet", "type Octet byte"), machineSource("", "A []byte; B [3]byte", ""), ""},
	{"bytes of an enum renamed", machineSource("", "A []Side; B [3]Side", sides), machineSource("", "A []Wing; B [3]Wing", strings.ReplaceAll(sides, "Side", "Wing")), ""},
	{"bytes of an enum with another constant", machineSource("", "A []Side", sides), machineSource("", "A []Side", sides+"const Up Side = 7"), "Set.A[]: constant Up = 7 added"},
	{"bytes of an enum without constants", machineSource("", "A []Side", sides), machineSource("", "A []byte", ""), "Set.A: bytes of u8 → bytes"},
	{"array of enum bytes without constants", machineSource("", "A [2]Side", sides), machineSource("", "A [2]byte", ""), "Set.A: bytes[2] of u8 → bytes[2]"},

	{"variant renamed with its name kept", machineSource("", "A Closed", closed), machineSource("", "A Closed", strings.ReplaceAll(strings.Replace(closed, "type Open", "//mosaik:variant name=Open\ntype Open", 1), "Open ", "Shut ")+"func (Shut) closed() {}\nvar _ = Shut{}"), ""},
	{"variant's name", machineSource("", "A Closed", closed), machineSource("", "A Closed", strings.Replace(closed, "type Open", "//mosaik:variant name=o\ntype Open", 1)), "Set.A: variant o added; Set.A: variant Open removed"},

	{"constants of the standard library", machineSource(`"crypto/tls"; "io/fs"`, "A tls.CurveID; B fs.FileMode; C []fs.FileMode", ""), machineSource("", "A uint16; B uint32; C []uint32", ""), ""},
	{"generic alias", machineSource("", "A Vec[int8]; B map[string]Vec[Vec[bool]]", "type Vec[T any] = []T"), machineSource("", "A []int8; B map[string][][]bool", ""), ""},
	{"instance embedded", machineSource("", "Pair[int8, string]", "type Pair[X, Y any] struct{ A X; B Y }"), machineSource("", "A int8; B string", ""), ""},
	{"embedded pointer not inlined", machineSource("", "*Base `msgpack:\",noinline\"`", embedded), machineSource("", "Base *Base", embedded), ""},
	{"embedded scalar", machineSource("", "Name", "type Name string"), machineSource("", "Name string", ""), ""},
	{"options of an embedded struct", machineSource("", "Base; B int8", "type Base struct{ _msgpack struct{} `msgpack:\",as_array,omitempty\"`; A int8 }"), machineSource("", "A int8 `msgpack:\",omitempty\"`; B int8", ""), ""},
	{"options of the outer struct", machineSource("", "_msgpack struct{} `msgpack:\",omitempty\"`; Base; B int8", "type Base struct{ A int8 }"), machineSource("", "A int8; B int8 `msgpack:\",omitempty\"`", ""), ""},

	{"method IsZero of what is left out", machineSource("", "A Opt `msgpack:\",omitempty\"`", opt), machineSource("", "A Opt `msgpack:\",omitempty\"`", opt+"func (Opt) IsZero() bool { return true }"), "Set.A: omitempty → omitempty=IsZero"},
	{"method IsZero of what is left out and limited", machineSource("", "A List `msgpack:\",omitempty\" mosaik:\"max=3\"`", opt), machineSource("", "A List `msgpack:\",omitempty\" mosaik:\"max=3\"`", opt+"func (List) IsZero() bool { return true }"), "Set.A: max=3,omitempty → max=3,omitempty=IsZero"},
	{"method IsZero of a pointer that is left out", machineSource("", "A *Opt `msgpack:\",omitempty\"`", opt), machineSource("", "A *Opt `msgpack:\",omitempty\"`", opt+"func (*Opt) IsZero() bool { return true }"), "Set.A: omitempty → omitempty=IsZero"},
	{"method IsZero of an embedded struct", machineSource("", "A Outer `msgpack:\",omitempty\"`", opt), machineSource("", "A Outer `msgpack:\",omitempty\"`", opt+"func (Opt) IsZero() bool { return true }"), "Set.A: omitempty → omitempty=IsZero"},
	{"method IsZero that a value does not have", machineSource("", "A Opt `msgpack:\",omitempty\"`", opt), machineSource("", "A Opt `msgpack:\",omitempty\"`", opt+"func (*Opt) IsZero() bool { return true }"), ""},
	{"method IsZero of another form", machineSource("", "A Opt `msgpack:\",omitempty\"`", opt), machineSource("", "A Opt `msgpack:\",omitempty\"`", opt+"func (Opt) IsZero() (bool, error) { return true, nil }"), ""},
	{"method IsZero of what is not left out", machineSource("", "A Opt", opt), machineSource("", "A Opt", opt+"func (Opt) IsZero() bool { return true }"), ""},
	{"method IsZero of an element", machineSource("", "A []Opt `msgpack:\",omitempty\"`", opt), machineSource("", "A []Opt `msgpack:\",omitempty\"`", opt+"func (Opt) IsZero() bool { return true }"), ""},
	{"method IsZero in an array", machineSource("", "_msgpack struct{} `msgpack:\",as_array\"`; A Opt `msgpack:\",omitempty\"`", opt), machineSource("", "_msgpack struct{} `msgpack:\",as_array\"`; A Opt", opt+"func (Opt) IsZero() bool { return true }"), ""},
	{"method IsZero of a variant", machineSource("", "A Closed `msgpack:\",omitempty\"`", closed), machineSource("", "A Closed `msgpack:\",omitempty\"`", closed+"func (Open) IsZero() bool { return true }"), ""},
	{"method IsZero of a type with a codec", machineSource(withHex, "A *Hex `msgpack:\",omitempty\"`", hexCodec), machineSource(withHex, "A *Hex `msgpack:\",omitempty\"`", hexCodec+"\nfunc (Hex) IsZero() bool { return true }"), "Set.A: omitempty → omitempty=IsZero"},

	{"method IsZero of a value with a codec", machineSource(withHex, "A Hex `msgpack:\",omitempty\"`", hexCodec), machineSource(withHex, "A Hex `msgpack:\",omitempty\"`", hexCodec+"\nfunc (Hex) IsZero() bool { return true }"), "Set.A: omitempty → omitempty=IsZero"},

	{"words by a tag", machineSource("", "A int `mosaik:\"int64\"`; B map[uint][]int `mosaik:\"uint64,int64,max=3\"`", ""), machineSource("", "A int64; B map[uint64][]int64 `mosaik:\"max=3\"`", ""), ""},
	{"words of a package", "//mosaik:package int=int64 uint=uint64\n" + machineSource("", "A, B int; C Base", "type Base struct{ A uint; B Count }\ntype Count int\nconst One Count = 1"), machineSource("", "A, B int64; C Base", "type Base struct{ A uint64; B Count }\ntype Count int64\nconst One Count = 1"), ""},
	{"words of another width", machineSource("", "A int `mosaik:\"int64\"`", ""), machineSource("", "A int32", ""), "Set.A: i64 → i32"},

	{"ready-made codecs", machineSource(`"net/netip"; "net/url"; "math/big"`, "A map[netip.Addr]netip.Prefix; B *big.Int; C url.URL", ""), machineSource(`"net/netip"; "net/url"; "math/big"`, "A map[Alias]netip.Prefix; B *big.Int; C url.URL", "type Alias = netip.Addr"), ""},
	{"ready-made codec for one of the package", machineSource(`"net/netip"`, "A netip.Addr", ""), machineSource(withIP, "A netip.Addr", ipCodec), `Set.A: own "mosaik/ip" → own "ip"`},
	{"key with a codec", machineSource(withHex, "A map[Hex]int8", hexCodec), machineSource("", "A map[string]int8", ""), `Set.A[key]: own "hex" → str`},

	{"embedded pointer", machineSource("", "*Base", embedded), machineSource("", "Base", embedded), "Set.A: pointer=1 → no condition; Set.C: pointer=1 → no condition"},
	{"embedded pointer of another name and order", machineSource("", "*Base; B int8 `msgpack:\",omitempty\"`", embedded), machineSource("", "B int8 `msgpack:\",omitempty\"`; *Other", "type Other struct{ C string; A int8 }"), ""},
	{"embedded pointers exchanged", machineSource("", "*Base; *Other", embedded+"type Other struct{ B, D int8 }"), machineSource("", "*Base; *Other", "type Base struct{ A, B int8 }\ntype Other struct{ C string; D int8 }"), "Set.B: pointer=2 → pointer=1; Set.C: pointer=1 → pointer=2"},
	{"embedded pointers within each other", machineSource("", "*Base; *Other", embedded+"type Other struct{ B, D int8 }"), machineSource("", "*Base", "type Base struct{ A int8; C string; *Other }\ntype Other struct{ B, D int8 }"), "Set.B: pointer=2 → pointer=1.2; Set.D: pointer=2 → pointer=1.2"},
	{"embedded pointer limited and left out", machineSource("", "*Base", "type Base struct{ A string `msgpack:\",omitempty\" mosaik:\"max=3\"`; B int8 }"), machineSource("", "*Base", "type Base struct{ A string `msgpack:\",omitempty\"`; B int8 }"), "Set.A: max=3,omitempty,pointer=1 → omitempty,pointer=1"},
	{"hidden field", machineSource("", "A int8; Base", embedded), machineSource("", "A int8; C string", ""), ""},
	{"hidden field behind two", machineSource("", "A int8; *Deep", embedded+"type Deep struct{ C bool; Base; D int8 }"), machineSource("", "A int8; *Deep", "type Deep struct{ C bool; D int8 }"), ""},

	{"array that is left out", machineSource("", "A Both `msgpack:\",omitempty\"`", both), machineSource("", "A Both `msgpack:\",omitempty\"`", strings.ReplaceAll(both, ",omitempty", ",")), "Set.A.A: omitempty → no condition; Set.A.B: omitempty → no condition"},
	{"array in an array that is left out", machineSource("", "A Two `msgpack:\",omitempty\"`", both), machineSource("", "A Two `msgpack:\",omitempty\"`", strings.Replace(both, ",omitempty", ",", 1)), "Set.A.Both: omitempty → no condition; Set.A.Both.A: omitempty → no condition; Set.A.Both.B: omitempty → no condition"},
	{"array that is never empty", machineSource("", "A Both `msgpack:\",omitempty\"`", strings.Replace(both, ",omitempty", ",", 1)), machineSource("", "A Both `msgpack:\",omitempty\"`", strings.ReplaceAll(both, ",omitempty", ",")), ""},
	{"array that is not left out", machineSource("", "A []Both `msgpack:\",omitempty\"`", both), machineSource("", "A []Both `msgpack:\",omitempty\"`", strings.ReplaceAll(both, ",omitempty", ",")), ""},
	{"array by layout", strings.Replace(machineSource("", "A Opt `msgpack:\",omitempty\"`", opt), "version=1", "version=1 layout=array", 1), strings.Replace(machineSource("", "A Opt", "type Opt struct{ A int8 }"), "version=1", "version=1 layout=array", 1), ""},

	{"commands held under another name", machineSource("", "A []Command; B Command", ""), strings.ReplaceAll(machineSource("", "A []Command; B Alias", "type Alias = Command"), "Machine", "Other"), ""},
	{"commands no longer held", machineSource("", "A []Command", ""), machineSource("", "A []string", ""), "Set.A[]: sum → str"},
}

func TestIdentityOfTypes(t *testing.T) {
	t.Parallel()
	files := make(map[string]string)
	for i, p := range pairs {
		files[fmt.Sprintf("a%d/p.go", i)], files[fmt.Sprintf("b%d/p.go", i)] = p.first, p.second
	}
	pkgs, err := Load(t.Context(), Config{Dir: newModule(t, files), Patterns: []string{"./..."}})
	if err != nil {
		t.Fatal(err)
	}
	schemas := make(map[string]schema)
	for _, pkg := range pkgs {
		schemas[pkg.Path[strings.LastIndex(pkg.Path, "/")+1:]] = schemaOf(pkg.Machines[0])
	}
	for i, p := range pairs {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			first, second := schemas[fmt.Sprintf("a%d", i)], schemas[fmt.Sprintf("b%d", i)]
			for _, s := range []schema{first, second} {
				parsed, err := parseSchema(s.text())
				if err != nil || parsed.text() != s.text() || len(told(parsed, s)) != 0 {
					t.Errorf("a schema that is parsed and written again differs: %v\n%s", err, cmp.Diff(s.text(), parsed.text()))
				}
			}
			if p.words == "" {
				if d := cmp.Diff(first.text(), second.text()); d != "" {
					t.Errorf("the schemas differ (-first +second):\n%s", d)
				}
				return
			}
			if words := strings.Join(told(first, second), "; "); words != p.words {
				t.Errorf("the change is described as\n%s\nwant\n%s", words, p.words)
			}
		})
	}
}
