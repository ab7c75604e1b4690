package gen

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// graph draws the types of a package from bytes. After the last byte it reads
// zeros, which end a type.
type graph struct {
	rest   []byte
	types  []int // the kinds of named types, T0 and so on: 1 is a slice, 2 a map, all else a struct
	sums   int   // sealed interfaces, S0 and so on
	budget int   // fields that may still be drawn
	flat   bool  // a named slice or map is drawn, without a struct in it so far
}

func (g *graph) below(n int) int {
	if len(g.rest) == 0 {
		return 0
	}
	b := g.rest[0]
	g.rest = g.rest[1:]
	return int(b) % n
}

// leaves are the types that contain no drawn types.
var leaves = []string{"bool", "int8", "int64", "uint16", "float32", "string", "[]byte", "[3]byte", "time.Time", "time.Duration", "struct{}", "[0]int32", "Enum", "ZeroInt", "ZeroMap", "*ZeroStruct", "Owned"}

// typ draws a type. A type within a container can refer to any named type; other
// types refer only to later ones, so that no struct holds itself.
func (g *graph) typ(after, depth int, within bool) string {
	choice := g.below(8)
	if depth > 4 {
		choice = 0
	}
	lowest := after + 1
	if within && !g.flat {
		lowest = 0
	}
	switch choice {
	case 1:
		if n := len(g.types) - lowest; n > 0 {
			return fmt.Sprintf("T%d", lowest+g.below(n))
		}
	case 2:
		return "[]" + g.typ(after, depth+1, true)
	case 3:
		return fmt.Sprintf("map[%s]%s", []string{"string", "int16", "Enum", "Word"}[g.below(4)], g.typ(after, depth+1, true))
	case 4:
		inner := g.typ(after, depth+1, true)
		for _, refused := range []string{"[]", "*", "S", "map", "ZeroMap"} {
			if strings.HasPrefix(inner, refused) {
				return inner // mosaik-gen refuses a pointer to it
			}
		}
		if named, ok := strings.CutPrefix(inner, "T"); ok {
			if i, _ := strconv.Atoi(named); g.types[i] == 1 || g.types[i] == 2 {
				return inner
			}
		}
		return "*" + inner
	case 5:
		return fmt.Sprintf("[%d]%s", g.below(4), g.typ(after, depth+1, within))
	case 6:
		if g.sums > 0 {
			return fmt.Sprintf("S%d", g.below(g.sums))
		}
	case 7:
		defer func(flat bool) { g.flat = flat }(g.flat)
		g.flat = false
		return "struct {\n" + g.fields(after, depth+1, within) + "}"
	}
	return leaves[g.below(len(leaves))]
}

// fields draws the fields of a struct.
func (g *graph) fields(after, depth int, within bool) string {
	var out strings.Builder
	switch g.below(8) {
	case 1:
		out.WriteString("_msgpack struct{} `msgpack:\",as_array\"`\n")
	case 2:
		out.WriteString("_msgpack struct{} `msgpack:\",omitempty\"`\n")
	case 3:
		out.WriteString("_msgpack struct{} `msgpack:\",as_array,omitempty\"`\n")
	}
	for i := range g.below(6) {
		if g.budget--; g.budget < 0 {
			break
		}
		tag := ""
		switch g.below(4) {
		case 1, 2:
			tag = " `msgpack:\",omitempty\"`"
		case 3:
			tag = fmt.Sprintf(" `msgpack:\"n%d,omitempty\"`", i)
		}
		fmt.Fprintf(&out, "F%d %s%s\n", i, g.typ(after, depth, within), tag)
	}
	return out.String()
}

// state draws the fields of a machine.
func (g *graph) state() string {
	fields := g.fields(-1, 0, false)
	if strings.HasPrefix(fields, "_msgpack") { // which is an option of commands
		_, fields, _ = strings.Cut(fields, "\n")
	}
	return strings.ReplaceAll(fields, "\nF", "\nf")
}

// source draws a package.
func (g *graph) source() string {
	var types, commands, list, variants strings.Builder
	for _, k := range kinds {
		if slices.Contains([]string{"Enum", "Word", "ZeroInt", "ZeroMap", "ZeroStruct", "Owned"}, k.name) {
			fmt.Fprintln(&types, k.decl)
		}
	}
	for i, kind := range g.types {
		g.flat = kind == 1 || kind == 2
		switch kind {
		case 1:
			fmt.Fprintf(&types, "type T%d []%s\n", i, g.typ(i, 1, true))
		case 2:
			fmt.Fprintf(&types, "type T%d map[string]%s\n", i, g.typ(i, 1, true))
		default:
			fmt.Fprintf(&types, "type T%d struct {\n%s}\n", i, g.fields(i, 1, false))
		}
		g.flat = false
		for s := range g.sums {
			if g.below(3) == 1 {
				fmt.Fprintf(&types, "func (T%d) s%d() {}\n", i, s)
			}
		}
	}
	for s := range g.sums {
		// Each sum has a variant without other drawn types, and may have more.
		fmt.Fprintf(&types, "type S%d interface{ s%[1]d() }\ntype V%[1]d struct{ A int8 `msgpack:\",omitempty\"` }\nfunc (*V%[1]d) s%[1]d() {}\n", s)
		fmt.Fprintf(&variants, "reflect.TypeFor[S%d](): {&V%[1]d{}", s)
		for i := range g.types {
			if strings.Contains(types.String(), fmt.Sprintf("func (T%d) s%d()", i, s)) {
				fmt.Fprintf(&variants, ", reflect.Zero(reflect.TypeFor[T%d]()).Interface()", i)
			}
		}
		variants.WriteString("},\n")
	}
	for c := range 1 + g.below(3) {
		fmt.Fprintf(&commands, "//mosaik:command\ntype C%d struct {\n%s}\n\nfunc (*C%[1]d) ApplyTo(*Maps, sm.ApplyContext) (int64, error) { return 0, nil }\n\ntype plainC%[1]d C%[1]d\n\n", c, g.fields(-1, 0, false))
		plain := fmt.Sprintf("Plain: reflect.TypeFor[plainC%d](), ", c)
		if g.sums > 0 {
			plain = ""
		}
		fmt.Fprintf(&list, "{Command: new(C%d), %sLossy: true},\n", c, plain)
	}
	return fmt.Sprintf(`package p

import (
	"time"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"
)

var _ time.Time
var _ codec.Error

//mosaik:machine name=maps version=1 snapshot
type Maps struct {
%s}

%s%s
`, g.state(), &commands, &types) + "//cases\n" + list.String() + "//variants\n" + variants.String()
}

// draw returns the source of a package, and of a second file with the cases for its
// test.
func draw(data []byte) (source, cases string) {
	g := graph{rest: data, budget: 120}
	for range g.below(9) {
		g.types = append(g.types, g.below(4))
	}
	g.sums = g.below(3)
	source, rest, _ := strings.Cut(g.source(), "//cases\n")
	list, variants, _ := strings.Cut(rest, "//variants\n")
	return source, fmt.Sprintf(`package p

import (
	"reflect"

	"example.com/t/support"
)

var Cases = []support.Case{
%s}

var Variants = map[reflect.Type][]any{
%s}
`, list, variants)
}

// graphBytes returns the bytes from which the graph with the number is drawn.
func graphBytes(number int) []byte {
	var out []byte
	for i := range 16 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d/%d", number, i))
		out = append(out, sum[:]...)
	}
	return out
}

// FuzzGenerate draws a graph of types, generates code for it, and type-checks the
// result, all in memory, at a few hundred graphs a second. TestGraphs compiles and
// runs the code for such graphs, which is too slow for a fuzz target: there an
// input must take less than ten seconds.
//
// It never draws levels and evolved types, a second package, generic types,
// embedded structs, layout=array, machines without snapshots, two machines in a
// package, names that clash or are hard to quote, limits (max=), types that are
// refused (TestRefusals covers them), or graphs with more than 120 fields.
func FuzzGenerate(f *testing.F) {
	if _, err := imported(); err != nil {
		f.Fatal(err)
	}
	for seed := range 8 {
		f.Add(graphBytes(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		source, _ := draw(data)
		pkg, code, err := inMemory(t, source)
		if err != nil {
			t.Fatalf("%v\n%s", err, source)
		}
		text := schemaOf(pkg.Machines[0]).text()
		parsed, err := parseSchema(text)
		if err != nil || parsed.text() != text {
			t.Fatalf("the schema differs after parsing: %v\n%s", err, text)
		}
		if _, again, _ := inMemory(t, source); string(again) != string(code) {
			t.Fatalf("generating again gives a different result\n%s", source)
		}
	})
}

var (
	graphs = flag.Int("graphs", 8, "how many random graphs of types TestGraphs compiles and runs")
	first  = flag.Int("graph", 0, "the `number` of the first of them; the others follow")
)

// TestGraphs generates code for random graphs of types, as FuzzGenerate draws them,
// compiles and runs it. If a graph has no interfaces, the results are compared with
// those of vmihailenco/msgpack. To search for ten minutes:
//
//	go test ./gen -run TestGraphs -graph 1000 -graphs 300 -timeout 30m
func TestGraphs(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles several packages")
	}
	files := make(map[string]string)
	var imports, groups strings.Builder
	for i := range *graphs {
		number := *first + i
		folder := fmt.Sprintf("graph%d", number)
		files[folder+"/p.go"], files[folder+"/cases.go"] = draw(graphBytes(number))
		fmt.Fprintf(&imports, "%s \"example.com/t/%[1]s\"\n", folder)
		fmt.Fprintf(&groups, "{%q, %[1]s.Cases, new(%[1]s.Maps), %[1]s.Variants},\n", folder)
	}
	files["run/run_test.go"] = fmt.Sprintf(corpusRunner, &imports, &groups)
	addSupport(t, files)
	runModule(t, files, "-test.parallel=4")
}
