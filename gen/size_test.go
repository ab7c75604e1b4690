package gen

import (
	"errors"
	"fmt"
	"go/types"
	"strings"
	"testing"
)

// chain returns the declarations of types T0 to Tn. Each holds the next one in the
// given fields, and Tn is of the given type.
func chain(n int, fields, last string) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "type T%d struct{ %s }\n", i, strings.ReplaceAll(fields, "T", fmt.Sprintf("T%d", i+1)))
	}
	fmt.Fprintf(&out, "type T%d %s\n", n, last)
	return out.String()
}

// TestManyPaths generates code for types with so many paths to them that a
// traversal of each path never ends.
func TestManyPaths(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"slices":    machineSource("", "A T0", chain(30, "A, B []T", "int8")),
		"maps":      machineSource("", "A T0", chain(30, "A, B map[string]T", "struct{}")),
		"pointers":  machineSource("", "A T0", chain(60, "A, B *T `msgpack:\",omitempty\"`", "string")),
		"nonzero":   machineSource("", "A T0 `msgpack:\",omitempty\"`", chain(15, "A, B T `msgpack:\",omitempty\"`", "string")),
		"recursive": machineSource("", "A T0", chain(60, "A, B []T", "struct{ A *T0; B []T0 }")),
		"complete":  machineSource("", "A T0", complete(40)),
		"state":     stateSource("", "a T0", chain(30, "a, b []T; c small", "int8")+"type small struct{ a int8 }"),
		"sums":      machineSource("", "A I0", sums(20)),
		"levels":    strings.Replace(machineSource("", "A T0", chain(30, "A, B []T", "int8")), "version=1", "version=1 level=1", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, code, err := inMemory(t, source)
			if err != nil {
				t.Fatal(err)
			}
			if len(code) > 1<<20 {
				t.Errorf("the code is %d bytes long", len(code))
			}
		})
	}
}

// TestManyPathsByValue computes the properties of structs that hold structs by
// value along as many paths. It builds the model directly, because Go's type
// checker and compiler follow each path in such source.
func TestManyPathsByValue(t *testing.T) {
	t.Parallel()
	for _, leaf := range []Type{{Kind: Int, Bits: 64}, {Kind: ByteArray}, {Kind: String}, {Kind: Slice, Elem: &Type{Kind: Bool}}} {
		for _, omitted := range []bool{false, true} {
			leaf.typ = types.Typ[types.Int64]
			all := []*Type{&leaf}
			for range 60 {
				field := Field{Name: "A", Type: all[len(all)-1], OmitEmpty: omitted, omittable: omitted, selector: ".A"}
				all = append(all, &Type{Kind: Struct, Fields: []Field{field, field}, typ: types.NewStruct(nil, nil)})
			}
			root := all[60]
			connect(root)
			if root.recursive || root.special || root.depth != all[0].depth+60 || root.nesting(make(map[*Type]int)) != root.depth {
				t.Errorf("leaf %d: depth %d, nesting %d, recursive %t", leaf.Kind, root.depth, root.nesting(make(map[*Type]int)), root.recursive)
			}
			if got, want := root.size(), min(leaf.size()<<30, hugeSize); got != want {
				t.Errorf("leaf %d: size %d, want %d", leaf.Kind, got, want)
			}
			if root.least() > hugeSize || root.hintInside() > hintMost || root.certain() && omitted || root.sparse() {
				t.Errorf("leaf %d: least %d, room %d", leaf.Kind, root.least(), root.hintInside())
			}
			if n := len(new(emitter).sizeHint(root, "v")); n > 100000 {
				t.Errorf("leaf %d: the expression for the room is %d bytes long", leaf.Kind, n)
			}
			want := neverEmpty
			if omitted {
				want = leaf.emptiness()
			}
			if root.emptiness() != want {
				t.Errorf("leaf %d: emptiness %d, want %d", leaf.Kind, root.emptiness(), want)
			}
			_ = root.memory()
		}
	}
}

// complete returns n types each of which holds all of them.
func complete(n int) string {
	var out, fields strings.Builder
	for i := range n {
		fmt.Fprintf(&fields, "F%d []T%[1]d\n", i)
	}
	for i := range n {
		fmt.Fprintf(&out, "type T%d struct {\n%s}\n", i, &fields)
	}
	return out.String()
}

// sums returns a chain of n sealed interfaces with two variants each, which hold
// the next interface.
func sums(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "type I%d interface{ i%[1]d() }\ntype A%[1]d struct{ X, Y I%[2]d }\ntype B%[1]d []I%[2]d\nfunc (A%[1]d) i%[1]d() {}\nfunc (B%[1]d) i%[1]d() {}\n", i, i+1)
	}
	fmt.Fprintf(&out, "type I%d interface{ i%[1]d() }\ntype A%[1]d int8\nfunc (A%[1]d) i%[1]d() {}\n", n)
	return out.String()
}

// endless are infinite types, or sets with too many types.
var endless = []struct{ name, source, reason string }{
	{"instances in instances", machineSource("", "A G[int8]", "type G[T any] struct{ X *G[[]T]; V T }"), "the generic type G holds instances of itself with ever larger type arguments; let it hold only the instance that it is, as *G[T] in G[T]"},
	{"instances of two types", machineSource("", "A G[int8]", "type G[T any] struct{ X []H[T] }\ntype H[T any] struct{ Y map[string]G[struct{ A T }] }"), "holds instances of itself with ever larger type arguments"},
	{"instances that double", machineSource("", "A G[int8]", "type G[T any] struct{ X, Y *G[Pair[T, T]] }\ntype Pair[A, B any] struct{ A A; B B }"), "the generic type G holds"},
	{"instances that branch", machineSource("", "A G[int8]", "type G[T any] struct{ X *G[[]T]; Y *G[map[string]T]; Z *G[*T] }"), "the generic type G holds"},
	{"instances in a state", stateSource("", "a G[int8]", "type G[T any] struct{ x *G[[]T]; v T }"), "the generic type G holds"},
	{"permutations", machineSource("", "A G[int8, int16, int32, int64, uint8, uint16, uint32, uint64, string, bool]", "type G[A, B, C, D, E, F, H, I, J, K any] struct{ X *G[B, A, C, D, E, F, H, I, J, K]; Y *G[B, C, D, E, F, H, I, J, K, A] }"), "exceeds the 5000 types"},
	{"a struct in itself", machineSource("", "A T", "type T struct{ A [2]T }"), "invalid"},
}

// TestEndless checks that infinite types are refused and not followed.
func TestEndless(t *testing.T) {
	t.Parallel()
	for _, e := range endless {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := inMemory(t, e.source)
			var problems Problems
			if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(problems[0].Text, e.reason) {
				t.Errorf("%.300v; want one problem, with %q", err, e.reason)
			}
		})
	}
}
