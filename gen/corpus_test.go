package gen

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var corpus = flag.String("corpus", "some", "`which` types TestCorpus generates for: some, or all, which takes minutes")

// kind is a type that the corpus uses in every position.
type kind struct {
	name string // as part of identifiers
	typ  string
	decl string // declarations of typ and of the types that it needs
	more bool   // one of many alike: only with -corpus=all

	noPointer bool // pointers to it are refused
	noVariant bool // it cannot have the method of a sealed interface
	unknown   bool // vmihailenco/msgpack does not know it
	lossy     bool // its method IsZero reports some values as empty that are not, so they are lost
}

// kinds are the types of fields. The results of the methods IsZero differ from the
// emptiness of the kind.
var kinds = []kind{
	{name: "Bool", typ: "bool"},
	{name: "Int64", typ: "int64"},
	{name: "Uint8", typ: "uint8"},
	{name: "Float64", typ: "float64"},
	{name: "String", typ: "string"},
	{name: "Bytes", typ: "[]byte", noPointer: true},
	{name: "ByteArray", typ: "[2]byte"},
	{name: "Time", typ: "time.Time", noVariant: true, lossy: true},
	{name: "Duration", typ: "time.Duration"},
	{name: "Int8", typ: "int8", more: true},
	{name: "Int16", typ: "int16", more: true},
	{name: "Int32", typ: "int32", more: true},
	{name: "Uint16", typ: "uint16", more: true},
	{name: "Uint32", typ: "uint32", more: true},
	{name: "Uint64", typ: "uint64", more: true},
	{name: "Float32", typ: "float32", more: true},
	{name: "Enum", typ: "Enum", decl: "type Enum int16\nconst (\nFirst Enum = iota - 1\nSecond\nThird\n)", more: true},
	{name: "Word", typ: "Word", decl: "type Word string\nconst Hello Word = \"hello\"", more: true},
	{name: "Octets", typ: "[]Octet", decl: "type Octet uint8", noPointer: true, more: true},
	// vmihailenco/msgpack panics on such an array that is the value of a map.
	{name: "OctetArray", typ: "[3]Octet2", decl: "type Octet2 uint8", unknown: true, more: true},
	{name: "Generic", typ: "Generic[int8]", decl: "type Generic[T any] struct{ A T `msgpack:\",omitempty\"`; B []T `msgpack:\",omitempty\"` }"},

	// These are always empty.
	{name: "Unit", typ: "struct{}"},
	{name: "Nothing", typ: "Nothing", decl: "type Nothing struct{ X int8 `msgpack:\"-\"` }"},
	{name: "NoBytes", typ: "[0]byte"},
	{name: "NoInts", typ: "[0]int64", more: true},
	{name: "Void", typ: "Void", decl: "type Void struct{ X struct{} `msgpack:\",omitempty\"`; Y [0]int8 `msgpack:\",omitempty\"` }"},

	// These are empty when all fields are.
	{name: "Opts", typ: "Opts", decl: "type Opts struct{ Force bool `msgpack:\",omitempty\"`; Limit int64 `msgpack:\",omitempty\"` }"},
	{name: "One", typ: "One", decl: "type One struct{ A string `msgpack:\"a,omitempty\"` }", more: true},
	{name: "All", typ: "All", decl: "type All struct{ _msgpack struct{} `msgpack:\",omitempty\"`; A []int8; B map[string]bool; C *int8; D [0]int8 }"},
	{name: "Times", typ: "Times", decl: "type Times struct{ From, To time.Time `msgpack:\",omitempty\"` }"},
	{name: "Pointers", typ: "Pointers", decl: "type Pointers struct{ At *time.Time `msgpack:\",omitempty\"`; N *int8 `msgpack:\",omitempty\"` }", lossy: true},
	{name: "Deep", typ: "Deep", decl: "type Deep struct{ A DeepIn `msgpack:\",omitempty\"`; B DeepIn `msgpack:\",omitempty\"`; C float32 `msgpack:\",omitempty\"` }\ntype DeepIn struct{ A DeepInner `msgpack:\",omitempty\"`; X struct{} `msgpack:\",omitempty\"` }\ntype DeepInner struct{ A, B string `msgpack:\",omitempty\"` }"},
	{name: "Embeds", typ: "Embeds", decl: "type Embeds struct{ EmbedsIn; B int8 `msgpack:\",omitempty\"` }\ntype EmbedsIn struct{ A, C time.Time `msgpack:\",omitempty\"` }"},
	{name: "Partly", typ: "Partly", decl: "type Partly struct{ X struct{} `msgpack:\",omitempty\"`; N int8 `msgpack:\",omitempty\"`; Y [0]int8 `msgpack:\",omitempty\"` }"},

	// These are never empty.
	{name: "Plain", typ: "Plain", decl: "type Plain struct{ A int8; B string }", more: true},
	{name: "Half", typ: "Half", decl: "type Half struct{ A int8 `msgpack:\",omitempty\"`; B int8 }"},
	{name: "Never", typ: "Never", decl: "type Never struct{ A int8 `msgpack:\",omitempty\"`; B [1]int8 `msgpack:\",omitempty\"` }"},
	{name: "Node", typ: "Node", decl: "type Node struct{ A int8; Next *Node `msgpack:\",omitempty\"`; All []Node `msgpack:\",omitempty\"`; By map[string]Node `msgpack:\",omitempty\"` }"},

	// Arrays by tag.
	{name: "Tuple", typ: "Tuple", decl: "type Tuple struct{ _msgpack struct{} `msgpack:\",as_array\"`; A int8; B string }", more: true},
	{name: "TupleOpts", typ: "TupleOpts", decl: "type TupleOpts struct{ _msgpack struct{} `msgpack:\",as_array\"`; A int8 `msgpack:\",omitempty\"`; B time.Time `msgpack:\",omitempty\"` }"},
	{name: "TupleHalf", typ: "TupleHalf", decl: "type TupleHalf struct{ _msgpack struct{} `msgpack:\",as_array\"`; A int8 `msgpack:\",omitempty\"`; B string }", more: true},
	{name: "TupleDeep", typ: "TupleDeep", decl: "type TupleDeep struct{ _msgpack struct{} `msgpack:\",as_array,omitempty\"`; A TupleIn; B MapIn; X struct{} }\ntype TupleIn struct{ _msgpack struct{} `msgpack:\",as_array,omitempty\"`; A, B string }\ntype MapIn struct{ T TupleIn `msgpack:\",omitempty\"` }"},
	{name: "TupleNone", typ: "TupleNone", decl: "type TupleNone struct{ _msgpack struct{} `msgpack:\",as_array\"` }"},

	// These define by a method when they are empty.
	{name: "ZeroInt", typ: "ZeroInt", decl: "type ZeroInt int8\nfunc (z ZeroInt) IsZero() bool { return 0 <= z && z < 60 }", lossy: true},
	{name: "ZeroString", typ: "ZeroString", decl: "type ZeroString string\nfunc (z ZeroString) IsZero() bool { return len(z) < 4 }", lossy: true, more: true},
	{name: "ZeroMap", typ: "ZeroMap", decl: "type ZeroMap map[string]int64\nfunc (z ZeroMap) IsZero() bool { return len(z) == 1 }", lossy: true, noPointer: true},
	{name: "ZeroSlice", typ: "ZeroSlice", decl: "type ZeroSlice []int8\nfunc (z ZeroSlice) IsZero() bool { return len(z) == 1 }", lossy: true, noPointer: true},
	{name: "ZeroBytes", typ: "ZeroBytes", decl: "type ZeroBytes []byte\nfunc (z ZeroBytes) IsZero() bool { return len(z) == 1 }", lossy: true, noPointer: true, more: true},
	{name: "ZeroArray", typ: "ZeroArray", decl: "type ZeroArray [2]int8\nfunc (z ZeroArray) IsZero() bool { return z[0] == 0 }", lossy: true},
	{name: "ZeroStruct", typ: "ZeroStruct", decl: "type ZeroStruct struct{ A, B int8 }\nfunc (z ZeroStruct) IsZero() bool { return z.A == 0 }", lossy: true},
	{name: "ZeroOpts", typ: "ZeroOpts", decl: "type ZeroOpts struct{ A, B int8 `msgpack:\",omitempty\"` }\nfunc (z ZeroOpts) IsZero() bool { return z.A == 0 }", lossy: true},
	{name: "ZeroEmpty", typ: "ZeroEmpty", decl: "type ZeroEmpty struct{}\nfunc (z ZeroEmpty) IsZero() bool { return false }"},
	{name: "ZeroPointer", typ: "ZeroPointer", decl: "type ZeroPointer struct{ A int8; B bool `msgpack:\",omitempty\"` }\nfunc (z *ZeroPointer) IsZero() bool { return z.A == 0 }", lossy: true},
	{name: "ZeroEmbedded", typ: "ZeroEmbedded", decl: "type ZeroEmbedded struct{ ZeroBase; C int8 `msgpack:\",omitempty\"` }\ntype ZeroBase struct{ A, B int8 }\nfunc (z ZeroBase) IsZero() bool { return z.A == 0 }", lossy: true},
	{name: "ZeroTuple", typ: "ZeroTuple", decl: "type ZeroTuple struct{ _msgpack struct{} `msgpack:\",as_array\"`; A, B int8 }\nfunc (z ZeroTuple) IsZero() bool { return z.A == 0 }", lossy: true},
	{name: "ZeroWithin", typ: "ZeroWithin", decl: "type ZeroWithin struct{ A, B ZeroWithinInt `msgpack:\",omitempty\"` }\ntype ZeroWithinInt int8\nfunc (z ZeroWithinInt) IsZero() bool { return 0 <= z && z < 60 }", lossy: true},

	// These have their own encoding.
	{name: "Owned", typ: "Owned", decl: "type Owned struct{ A string }\nfunc (o Owned) MarshalText() ([]byte, error) { return []byte(o.A), nil }\nfunc (o *Owned) UnmarshalText(b []byte) error { o.A = string(b); return nil }\nfunc (o Owned) IsZero() bool { return len(o.A) < 4 }\n//mosaik:codec name=owned\ntype ownedCodec = codec.Text[Owned, *Owned]", lossy: true},
	{name: "Sum", typ: "Sum", decl: "type Sum interface{ isSum() }\ntype SumStruct struct{ A Opts2 `msgpack:\",omitempty\"`; N Sum }\ntype Opts2 struct{ A, B int8 `msgpack:\",omitempty\"` }\ntype SumPointer struct{ A Opts2 `msgpack:\",omitempty\"` }\ntype SumInt int8\nfunc (SumStruct) isSum() {}\nfunc (*SumPointer) isSum() {}\nfunc (SumInt) isSum() {}", noPointer: true, noVariant: true, unknown: true},
	{name: "JSON", typ: "JSON", decl: "type JSON interface{ isJSON() }\ntype JSONArray []JSON\ntype JSONObject map[string]JSON\ntype JSONTable map[string][]map[string]*[2]JSON\ntype JSONText string\ntype JSONGrid [][]*map2\ntype map2 struct{ A map[string]JSON }\nfunc (JSONArray) isJSON() {}\nfunc (JSONObject) isJSON() {}\nfunc (JSONTable) isJSON() {}\nfunc (JSONText) isJSON() {}\nfunc (JSONGrid) isJSON() {}", noPointer: true, noVariant: true, unknown: true},
}

// position is a place in which the corpus uses a kind.
type position struct {
	name     string
	typ      string // with the kind's type for T and its name for K
	decl     string
	pointer  bool // it has a pointer to the kind
	variant  bool // it makes the kind a variant
	more     bool // only with -corpus=all
	unsorted bool // vmihailenco/msgpack does not know it
}

var positions = []position{
	{name: "Value", typ: "T"},
	{name: "Pointer", typ: "*T", pointer: true},
	{name: "Slice", typ: "[]T"},
	{name: "Array", typ: "[2]T"},
	{name: "Map", typ: "map[string]T"},
	{name: "Nested", typ: "NestedK", decl: "type NestedK struct{ A T; B T `msgpack:\",omitempty\"` }"},
	{name: "Optional", typ: "OptionalK", decl: "type OptionalK struct{ A, B T `msgpack:\",omitempty\"` }"},
	{name: "ByTag", typ: "ByTagK", decl: "type ByTagK struct{ _msgpack struct{} `msgpack:\",as_array,omitempty\"`; A, B T }"},
	{name: "Variant", typ: "SealedK", decl: "type SealedK interface{ sealedK() }\ntype StructK struct{ A T; B T `msgpack:\",omitempty\"` }\ntype ReferredK struct{ A, B T `msgpack:\",omitempty\"` }\ntype SliceK []T\ntype MapK map[string]T\ntype TableK map[string][]T\nfunc (StructK) sealedK() {}\nfunc (*ReferredK) sealedK() {}\nfunc (SliceK) sealedK() {}\nfunc (MapK) sealedK() {}\nfunc (TableK) sealedK() {}", unsorted: true},
	{name: "Itself", typ: "OfK", decl: "type OfK interface{ ofK() }\ntype ItselfK T\nfunc (ItselfK) ofK() {}", variant: true, unsorted: true},
	{name: "NoArray", typ: "[0]T"},
	{name: "IntMap", typ: "map[int16]T", more: true},
	{name: "Pointers", typ: "[]*T", pointer: true, more: true},
	{name: "PointerMap", typ: "map[string]*T", pointer: true, more: true},
	{name: "Slices", typ: "[][]T", more: true},
	{name: "SliceMap", typ: "map[string][]T", more: true},
	{name: "Maps", typ: "[]map[string]T", more: true},
	{name: "Unnamed", typ: "struct{ A T `msgpack:\",omitempty\"`; B []struct{ A T `msgpack:\",omitempty\"` } `msgpack:\",omitempty\"` }", more: true},
}

// in returns a text for a position with the kind's type and name filled in.
func (k kind) in(text string) string {
	var out strings.Builder
	for i := range len(text) {
		identifier := func(i int) bool {
			return i >= 0 && i < len(text) && ('a' <= text[i] && text[i] <= 'z' || 'A' <= text[i] && text[i] <= 'Z')
		}
		switch {
		case text[i] == 'T' && !identifier(i-1) && !identifier(i+1):
			out.WriteString(k.typ)
		case text[i] == 'K' && !identifier(i+1):
			out.WriteString(k.name)
		default:
			out.WriteByte(text[i])
		}
	}
	return out.String()
}

// positions returns the positions in which the kind is allowed.
func (k kind) positions(all bool) []position {
	var out []position
	for _, p := range positions {
		if (all || !p.more) && !(p.pointer && k.noPointer) && !(p.variant && k.noVariant) {
			out = append(out, p)
		}
	}
	return out
}

// corpusPackage returns a package with the kind in all positions: in commands
// with and without omitempty, in both layouts, and in the state of a machine.
func corpusPackage(k kind, all bool) string {
	var types, maps, arrays, unknown, state strings.Builder
	fmt.Fprintln(&types, k.decl)
	for _, p := range k.positions(all) {
		typ := k.in(p.typ)
		fmt.Fprintln(&types, k.in(p.decl))
		fmt.Fprintf(&types, "type Sub%s struct{ A bool `msgpack:\",omitempty\"`; B %s `msgpack:\",omitempty\"` }\n", p.name, typ)
		to, array := &maps, &arrays
		if p.unsorted || k.unknown {
			to, array = &unknown, &unknown
		}
		fmt.Fprintf(to, "%s Sub%[1]s `msgpack:\",omitempty\"`\n", p.name)
		fmt.Fprintf(to, "%sKept Sub%[1]s\n", p.name)
		fmt.Fprintf(array, "%sIn %s `msgpack:\",omitempty\"`\n", p.name, typ)
		fmt.Fprintf(&state, "in%s %s `msgpack:\",omitempty\"`\n", p.name, typ)
	}
	return fmt.Sprintf(`package p

import (
	"reflect"
	"time"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"

	"example.com/t/support"
)

var _ time.Time
var _ codec.Error

//mosaik:machine name=maps version=1 snapshot
type Maps struct {
%[5]s}

//mosaik:command
type Map struct {
%[2]s}

func (*Map) ApplyTo(*Maps, sm.ApplyContext) (int64, error) { return 0, nil }

//mosaik:command
type Tagged struct {
	_msgpack struct{} `+"`msgpack:\",as_array\"`"+`
%[3]s}

func (*Tagged) ApplyTo(*Maps, sm.ApplyContext) (int64, error) { return 0, nil }

//mosaik:command
type Unknown struct {
%[4]s}

func (*Unknown) ApplyTo(*Maps, sm.ApplyContext) (int64, error) { return 0, nil }

//mosaik:machine name=arrays version=1 layout=array
type Arrays struct{}

//mosaik:command
type Array struct {
%[2]s%[3]s}

func (*Array) ApplyTo(*Arrays, sm.ApplyContext) (int64, error) { return 0, nil }

%[1]s

type (
	plainMap    Map
	plainTagged Tagged
	plainArray  Array
)

// Cases are what is tested.
var Cases = []support.Case{
	{Command: new(Map), Plain: reflect.TypeFor[plainMap](), Lossy: %[6]t},
	{Command: new(Tagged), Plain: reflect.TypeFor[plainTagged](), Lossy: %[6]t},
	{Command: new(Array), Plain: reflect.TypeFor[plainArray](), Arrays: true, Lossy: %[6]t},
	{Command: new(Unknown), Lossy: %[6]t},
}

// Variants are what interfaces can hold.
var Variants = map[reflect.Type][]any{
%[7]s}
`, &types, &maps, &arrays, &unknown, &state, k.lossy, k.variants(all))
}

// variants returns the lines of a map from the sealed interfaces of the package to
// their variants.
func (k kind) variants(all bool) string {
	var out strings.Builder
	for _, p := range k.positions(all) {
		switch p.name {
		case "Variant":
			out.WriteString(k.in("reflect.TypeFor[SealedK](): {StructK{}, &ReferredK{}, SliceK{}, MapK{}, TableK{}},\n"))
		case "Itself":
			out.WriteString(k.in("reflect.TypeFor[OfK](): {reflect.Zero(reflect.TypeFor[ItselfK]()).Interface()},\n"))
		}
	}
	switch k.name {
	case "Sum":
		out.WriteString("reflect.TypeFor[Sum](): {SumStruct{}, &SumPointer{}, SumInt(0)},\n")
	case "JSON":
		out.WriteString("reflect.TypeFor[JSON](): {JSONArray{}, JSONObject{}, JSONTable{}, JSONText(\"\"), JSONGrid{}},\n")
	}
	return out.String()
}

// TestCorpus generates code for each kind in each position, with each tag, in each
// layout and in a state, and runs it. The results are compared with those of
// vmihailenco/msgpack, byte by byte and in both directions, for the types that it
// supports.
//
// There is one package for each kind, so that they are compiled in parallel, and
// one program. Only the values are random.
func TestCorpus(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles some dozens of packages")
	}
	if *corpus != "some" && *corpus != "all" {
		t.Fatalf("-corpus=%s; want some or all", *corpus)
	}
	all := *corpus == "all"
	files := make(map[string]string)
	var imports, groups strings.Builder
	for _, k := range kinds {
		if k.more && !all {
			continue
		}
		folder := "of" + strings.ToLower(k.name)
		files[folder+"/p.go"] = corpusPackage(k, all)
		fmt.Fprintf(&imports, "%s \"example.com/t/%[1]s\"\n", folder)
		fmt.Fprintf(&groups, "{%q, %s.Cases, new(%[2]s.Maps), %[2]s.Variants},\n", k.name, folder)
	}
	files["run/run_test.go"] = fmt.Sprintf(corpusRunner, &imports, &groups)
	addSupport(t, files)
	runModule(t, files, "-test.parallel=4")
}

// corpusRunner is the test that runs all groups.
const corpusRunner = `package run

import (
	"reflect"
	"testing"

	"example.com/t/support"
%s)

func Test(t *testing.T) {
	for _, g := range []struct {
		name     string
		cases    []support.Case
		machine  support.Snapshotter
		variants map[reflect.Type][]any
	}{
%s	} {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range g.cases {
				t.Run(reflect.TypeOf(c.Command).Elem().Name(), func(t *testing.T) {
					r := support.New(1)
					r.Variants = g.variants
					c.Test(t, r, 8)
				})
			}
			t.Run("State", func(t *testing.T) {
				r := support.New(2)
				r.Variants = g.variants
				support.Snapshot(t, g.machine, r, 30)
			})
		})
	}
}
`

// addSupport adds the packages of testdata/support to files.
func addSupport(t *testing.T, files map[string]string) {
	t.Helper()
	support, err := filepath.Glob("testdata/support/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range support {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Join("support", filepath.Base(name))] = string(source)
	}
}

// runModule generates code for a module of the given files and runs its tests. With
// -trimpath the compiled packages contain no paths, so the go command reuses them
// in later runs.
func runModule(t *testing.T, files map[string]string, args ...string) {
	t.Helper()
	dir := newModule(t, files)
	result, err := Generate(t.Context(), Config{Dir: dir, Patterns: []string{"./..."}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := result.Write(); err != nil {
		t.Fatal(err)
	}
	goCommand(t, dir, append([]string{"test", "-trimpath", "-vet=off", "-gcflags=example.com/t/...=-N -l", "-ldflags=-s -w", "./run"}, args...)...)
}
