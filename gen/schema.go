package gen

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lukechampine.com/blake3"
)

// The canonical schema of a machine has one fact in each line. Its hash is the
// machine's signature. It is kept beside the code in the machine's schema file.
//
//	mosaik-schema/1 msgpack/1
//	machine "ledger" version 1
//	command #0
//	#0 sum{"Deposit":#1 "Transfer":#2}
//	#1 struct{"Account":str "Amount":i64}
//	…
//
// The second line ends with "layout array" if structs are arrays by default. A third
// line, identity {"Capacity":u32 "Mode":str}, names the fields of the machine whose
// values enter the signature when the group is joined. Machines with snapshots have
// the line "state/1 #n" after that of the command: the format of states, and the
// struct of the machine's fields. A type is one of
//
//	bool i8…i64 u8…u64 f32 f64 str bytes bytes[n] time duration
//	[]T [n]T map[K]T *T
//	#n               the type that line #n describes
//	bytes#n          bytes whose values are constants of the enum #n; bytes[8]#n
//	own "uuid"       bytes that the codec registered under this name encodes
//
// and a line describes one of
//
//	struct{"wire name"(max=n,omitempty):T …}   a map, fields by name; omitempty=IsZero
//	                                           if that method of a user's type
//	                                           decides what is empty; pointer=1.2 if
//	                                           the embedded pointers 1 and 2 lead to
//	                                           the field
//	tuple{"wire name"(max=n,omitempty):T …}    an array, fields in their order;
//	                                           omitempty if the tuple can be left out
//	sum{"variant":T …}                         an array of tag and value; the tag is
//	                                           the position, from 0
//	enum i32{"Constant"=value …}               by name
//
// Further levels of the schema follow as blocks; see level.
//
// Names are quoted as in Go, in ASCII. The schema does not mention Go types, packages
// or files. Types of equal structure share one line, however often they are declared.
// Lines are numbered in the order in which a depth-first walk first reaches them.
const schemaHeader = "mosaik-schema/1 msgpack/1"

// signatureDomain separates signatures from other hashes.
const signatureDomain = "mosaik-schema/1 signature\x00"

// schema is the schema of a machine at one level.
type schema struct {
	name     string
	version  uint32
	array    bool
	identity []Field
	root     *Type
	state    *Type // nil without snapshots
	format   int   // the version of the format of states
}

// schemaOf returns the schema that describes the model of m.
func schemaOf(m *Machine) schema {
	return schema{name: m.Name, version: m.Version, array: m.Array, identity: m.Identity, root: m.command, state: m.state, format: stateFormat}
}

// roots returns the types that the schema describes.
func (s schema) roots() []*Type { return roots(s.root, s.state) }

// signature returns the hash of the canonical text.
func (s schema) signature() [32]byte {
	return blake3.Sum256([]byte(signatureDomain + s.text()))
}

// text returns the canonical text.
func (s schema) text() string { return s.head() + s.body() }

// head returns the lines of the canonical text that are the same for all levels.
func (s schema) head() string {
	var b strings.Builder
	layout := ""
	if s.array {
		layout = " layout array"
	}
	fmt.Fprintf(&b, "%s\nmachine %s version %d%s\n", schemaHeader, quoteName(s.name), s.version, layout)
	if len(s.identity) > 0 {
		fields := Type{Kind: Struct, Fields: s.identity}
		fmt.Fprintf(&b, "identity %s\n", strings.TrimPrefix(fields.describe(nil), "struct"))
	}
	return b.String()
}

// body returns the lines of the canonical text that describe the commands and the
// state.
func (s schema) body() string {
	var b strings.Builder
	classes := minimise(s.roots())
	number := make(map[int]int) // of each class
	var order []*Type
	var reach func(t *Type)
	reach = func(t *Type) {
		if t.numbered() {
			if _, ok := number[classes[t]]; ok {
				return
			}
			number[classes[t]] = len(order)
			order = append(order, t)
		}
		t.canonicalChildren(reach)
	}
	for _, root := range s.roots() {
		reach(root)
	}
	ref := func(t *Type) string { return "#" + strconv.Itoa(number[classes[t]]) }
	fmt.Fprintf(&b, "command %s\n", s.root.reference(ref))
	if s.state != nil {
		fmt.Fprintf(&b, "state/%d %s\n", s.format, s.state.reference(ref))
	}
	for _, t := range order {
		fmt.Fprintf(&b, "%s %s\n", ref(t), t.describe(ref))
	}
	return b.String()
}

// minimise returns the class of each numbered type that the roots reach. Types are in
// the same class if they have the same structure. It refines a partition of the types
// until it is stable.
func minimise(roots []*Type) map[*Type]int {
	var types []*Type
	seen := make(map[*Type]bool)
	for _, root := range roots {
		root.walk(func(t *Type) {
			if t.numbered() && !seen[t] {
				types = append(types, t)
			}
			seen[t] = true
		})
	}
	classes := make(map[*Type]int, len(types))
	ref := func(t *Type) string { return "#" + strconv.Itoa(classes[t]) }
	for count := 0; ; {
		labels := make([]string, len(types))
		for i, t := range types {
			labels[i] = ref(t) + t.describe(ref)
		}
		distinct := slices.Compact(slices.Sorted(slices.Values(labels)))
		refined := make(map[*Type]int, len(types))
		for i, t := range types {
			refined[t], _ = slices.BinarySearch(distinct, labels[i])
		}
		classes = refined
		if len(distinct) == count {
			return classes
		}
		count = len(distinct)
	}
}

// numbered reports whether t has a line of its own.
func (t *Type) numbered() bool { return t.Kind == Struct || t.Kind == Sum || len(t.Enum) > 0 }

// canonicalFields returns the fields in the order of the canonical text.
func (t *Type) canonicalFields() []Field {
	if t.Tuple {
		return t.Fields
	}
	return slices.SortedFunc(slices.Values(t.Fields), func(a, b Field) int { return cmp.Compare(a.Name, b.Name) })
}

// canonicalChildren calls f for each type that t is made of, in the order of the
// canonical text.
func (t *Type) canonicalChildren(f func(*Type)) {
	if t.Kind != Struct {
		t.children(f)
		return
	}
	for _, field := range t.canonicalFields() {
		f(field.Type)
	}
}

// reference returns how t is referred to, where ref does it for numbered types.
func (t *Type) reference(ref func(*Type) string) string {
	if t.numbered() {
		return ref(t)
	}
	switch t.Kind {
	case Bytes:
		return "bytes" + t.values(ref)
	case ByteArray:
		return fmt.Sprintf("bytes[%d]", t.Len) + t.values(ref)
	case Own:
		return "own " + quoteName(t.Own)
	case Time:
		return "time"
	case Duration:
		return "duration"
	case Slice:
		return "[]" + t.Elem.reference(ref)
	case Array:
		return fmt.Sprintf("[%d]%s", t.Len, t.Elem.reference(ref))
	case Map:
		return "map[" + t.Key.reference(ref) + "]" + t.Elem.reference(ref)
	case Pointer:
		return "*" + t.Elem.reference(ref)
	}
	return t.scalar()
}

// values returns the reference to the enum of the values of bytes, or "".
func (t *Type) values(ref func(*Type) string) string {
	if t.Elem == nil {
		return ""
	}
	return t.Elem.reference(ref)
}

// scalar returns the name of a scalar.
func (t *Type) scalar() string {
	switch t.Kind {
	case Bool:
		return "bool"
	case Int:
		return "i" + strconv.Itoa(t.Bits)
	case Uint:
		return "u" + strconv.Itoa(t.Bits)
	case Float:
		return "f" + strconv.Itoa(t.Bits)
	}
	return "str"
}

// describe returns the line of a numbered type.
func (t *Type) describe(ref func(*Type) string) string {
	var parts []string
	word := ""
	switch t.Kind {
	case Struct:
		word = "struct"
		if t.Tuple {
			word = "tuple"
		}
		for _, f := range t.canonicalFields() {
			parts = append(parts, quoteName(f.Name)+t.conditions(f)+":"+f.Type.reference(ref))
		}
	case Sum:
		word = "sum"
		for _, v := range t.Variants {
			parts = append(parts, quoteName(v.Name)+":"+v.Type.reference(ref))
		}
	default:
		word = "enum " + t.scalar()
		for _, c := range t.Enum {
			parts = append(parts, quoteName(c.Name)+"="+c.Value)
		}
	}
	return word + "{" + strings.Join(parts, " ") + "}"
}

// conditions returns the text in brackets after the name of a field of t, or "".
func (t *Type) conditions(f Field) string {
	var parts []string
	if f.Max > 0 {
		parts = append(parts, "max="+strconv.Itoa(f.Max))
	}
	switch omitted := f.OmitEmpty || t.Omitted && f.omittable; {
	case omitted && f.ByMethod:
		parts = append(parts, "omitempty=IsZero")
	case omitted:
		parts = append(parts, "omitempty")
	}
	if f.Pointers != "" {
		parts = append(parts, "pointer="+f.Pointers)
	}
	if len(parts) == 0 {
		return ""
	}
	return "(" + strings.Join(parts, ",") + ")"
}

func quoteName(name string) string { return strconv.QuoteToASCII(name) }
