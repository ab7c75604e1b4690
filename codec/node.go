package codec

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// form is the MessagePack form of a Go type.
type form uint8

const (
	formBool form = iota
	formInt
	formUint
	formFloat32
	formFloat64
	formString
	formBytes
	formByteArray
	formTime
	formSlice
	formArray
	formMap
	formStruct
	formPointer
	formBinary // bytes that the type encodes itself (binary or text marshaler)
	formValue  // one value of any kind that the type encodes itself (MessagePack marshaler)
)

// node describes one Go type within a command's type to the scanner. The nodes of
// recursive types form cycles.
type node struct {
	typ  reflect.Type
	form form
	bits int   // the width of an integer
	size int64 // see wideSize

	elem    *node // of a slice, array, map or pointer
	key     *node // of a map
	fields  []field
	byName  map[string]int // the index in fields
	asArray bool

	hasTime   bool // the node is a time or reaches one
	recursive bool // the node is of a recursive type or reaches one
}

// maxValueSize is the highest size of a Go value of any type in a command, in bytes:
// one byte of input may cause its allocation.
const maxValueSize = 1 << 20

var timeType = reflect.TypeFor[time.Time]()

// builder makes the nodes of one command's type.
type builder struct {
	nodes map[nodeKey]*node
	order []*node
}

// nodeKey identifies a node. Values in maps are not addressable, and some types can
// be encoded only where they are addressable.
type nodeKey struct {
	typ         reflect.Type
	addressable bool
}

// buildNode returns the node of t, or the reason why t cannot be encoded.
func buildNode(t reflect.Type) (*node, *wire.Fault) {
	b := builder{nodes: make(map[nodeKey]*node)}
	root, fault := b.node(t, true)
	if fault != nil {
		return nil, fault
	}
	cyclic := make(map[*node]bool)
	for _, n := range b.order {
		cyclic[n] = n.reachesItself()
	}
	for _, n := range b.order {
		n.hasTime = n.reaches(func(o *node) bool { return o.form == formTime })
		n.recursive = n.reaches(func(o *node) bool { return cyclic[o] })
	}
	return root, nil
}

// rootName returns the first name of the paths into t.
func rootName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name, _, _ := strings.Cut(t.Name(), "[")
	if name == "" {
		return "command"
	}
	return name
}

// refuse returns the fault of a type that cannot be encoded.
func refuse(format string, args ...any) *wire.Fault {
	return &wire.Fault{Err: ErrUnsupported, Detail: fmt.Sprintf(format, args...)}
}

// node returns the node of t, which it builds once.
func (b *builder) node(t reflect.Type, addressable bool) (*node, *wire.Fault) {
	key := nodeKey{t, addressable}
	if n, ok := b.nodes[key]; ok {
		return n, nil
	}
	n := &node{typ: t, size: wideSize(t)}
	b.nodes[key] = n
	b.order = append(b.order, n)
	if n.size > maxValueSize {
		return nil, refuse("a %s takes %d bytes of memory, at most %d are allowed; use a slice", t, n.size, maxValueSize)
	}
	if t == timeType {
		n.form = formTime
		return n, nil
	}
	if plain := plainOf(t); plain != "" {
		return nil, refuse("%s is for the state of a machine; use %s", t, plain)
	}
	own, fault := ownCodec(t, addressable)
	if fault != nil {
		return nil, fault
	}
	if own != nil {
		n.form = own.form
		return n, nil
	}
	return n, b.fill(n, addressable)
}

// fill completes a node by its kind.
func (b *builder) fill(n *node, addressable bool) (fault *wire.Fault) {
	t := n.typ
	switch t.Kind() {
	case reflect.Bool:
		n.form = formBool
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n.form, n.bits = formInt, t.Bits()
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n.form, n.bits = formUint, t.Bits()
	case reflect.Int, reflect.Uint:
		if strconv.IntSize != 64 {
			return refuse("%s has %d bits here and 64 on other members; use %s64", t, strconv.IntSize, t.Kind())
		}
		n.form, n.bits = formInt, t.Bits()
		if t.Kind() == reflect.Uint {
			n.form = formUint
		}
	case reflect.Float32:
		n.form = formFloat32
	case reflect.Float64:
		n.form = formFloat64
	case reflect.String:
		n.form = formString
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			n.form = formBytes
			return nil
		}
		n.form = formSlice
		n.elem, fault = b.node(t.Elem(), true)
		return fault.In("[]")
	case reflect.Array:
		return b.array(n, addressable)
	case reflect.Map:
		return b.mapping(n)
	case reflect.Struct:
		return b.structure(n, addressable)
	case reflect.Pointer:
		switch t.Elem().Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			return refuse("a nil %s and a pointer to nil have the same encoding; use %s", t, t.Elem())
		}
		n.form = formPointer
		n.elem, fault = b.node(t.Elem(), true)
		return fault
	case reflect.Interface:
		return refuse("the encoding does not record the type of the value in the interface %s; use a concrete type, or let mosaik-gen write the codec", t)
	case reflect.Uintptr:
		return refuse("a uintptr has no meaning in another process; use uint64")
	default:
		return refuse("a %s cannot be encoded; remove it, or exclude the field with the tag `msgpack:\"-\"`", t.Kind())
	}
	return nil
}

func (b *builder) array(n *node, addressable bool) (fault *wire.Fault) {
	elem := n.typ.Elem()
	if elem.Kind() != reflect.Uint8 {
		n.form = formArray
		n.elem, fault = b.node(elem, addressable)
		return fault.In("[]")
	}
	n.form = formByteArray
	if !addressable && elem != reflect.TypeFor[byte]() {
		return refuse("a map cannot hold %s; use an array of byte, or *%[1]s", n.typ)
	}
	return nil
}

func (b *builder) mapping(n *node) (fault *wire.Fault) {
	n.form = formMap
	if n.key, fault = b.node(n.typ.Key(), true); fault != nil {
		return fault.In("[key]")
	}
	switch n.key.form {
	case formString, formInt, formUint:
	default:
		return refuse("%s cannot be a map key; use a string or an integer", n.typ.Key()).In("[key]")
	}
	n.elem, fault = b.node(n.typ.Elem(), false)
	return fault.In("[]")
}

func (b *builder) structure(n *node, addressable bool) *wire.Fault {
	n.form = formStruct
	layout, fault := layoutOf(n.typ)
	if fault != nil {
		return fault
	}
	n.asArray, n.fields = layout.asArray, layout.fields
	n.byName = make(map[string]int, len(n.fields))
	for i := range n.fields {
		f := &n.fields[i]
		n.byName[f.name] = i
		if f.node, fault = b.node(f.typ, addressable); fault != nil {
			return fault.In("." + f.goName)
		}
	}
	return nil
}

// wideSize returns the memory that a value of t takes, in bytes, without padding and
// with words of 64 bits, so that it is the same in all members.
func wideSize(t reflect.Type) int64 {
	switch t.Kind() {
	case reflect.Struct:
		var sum int64
		for i := range t.NumField() {
			sum += wideSize(t.Field(i).Type)
		}
		return sum
	case reflect.Array:
		return int64(t.Len()) * wideSize(t.Elem())
	case reflect.Slice:
		return 24
	case reflect.String, reflect.Interface:
		return 16
	case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Float32, reflect.Complex128:
		return int64(t.Size())
	}
	return 8
}

// children returns the nodes of which n consists.
func (n *node) children() []*node {
	var c []*node
	if n.elem != nil {
		c = append(c, n.elem)
	}
	for _, f := range n.fields {
		c = append(c, f.node)
	}
	return c
}

// reaches reports whether is is true for n or a node below it.
func (n *node) reaches(is func(*node) bool) bool {
	seen := make(map[*node]bool)
	var visit func(*node) bool
	visit = func(n *node) bool {
		if seen[n] {
			return false
		}
		seen[n] = true
		if is(n) {
			return true
		}
		for _, c := range n.children() {
			if visit(c) {
				return true
			}
		}
		return false
	}
	return visit(n)
}

// reachesItself reports whether n is of a recursive type.
func (n *node) reachesItself() bool {
	return slices.ContainsFunc(n.children(), func(c *node) bool {
		return c.reaches(func(o *node) bool { return o == n })
	})
}
