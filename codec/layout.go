package codec

import (
	"reflect"
	"slices"
	"strings"

	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// field is an encoded field of a struct.
type field struct {
	name      string // on the wire
	goName    string
	typ       reflect.Type
	index     []int // for reflect.Value.FieldByIndex
	omitEmpty bool
	node      *node
}

// layout describes what vmihailenco/msgpack encodes of a struct type.
type layout struct {
	fields  []field
	asArray bool
}

// optionsField is the name of the field whose tag holds the options of its struct.
const optionsField = "_msgpack"

// layoutOf follows the rules of vmihailenco/msgpack for tags and embedding. It refuses
// what has a surprising effect there, such as fields that shadow each other.
func layoutOf(t reflect.Type) (layout, *wire.Fault) {
	var l layout
	var omitAll, hidden bool
	taken := make(map[string]bool)
	add := func(f field) *wire.Fault {
		if taken[f.name] {
			return refuse("two fields are encoded as %q; rename one with a msgpack tag", f.name).In("." + f.goName)
		}
		taken[f.name] = true
		l.fields = append(l.fields, f)
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, fault := parseTag(f)
		if fault != nil {
			return layout{}, fault.In("." + f.Name)
		}
		if tag.name == "-" {
			continue
		}
		if f.Name == optionsField {
			l.asArray = tag.has("as_array") || tag.has("asArray")
			omitAll = omitAll || tag.has("omitempty")
			continue
		}
		if !f.IsExported() && !f.Anonymous {
			hidden = hidden || f.Name != "_"
			continue
		}
		own := field{name: tag.name, goName: f.Name, typ: f.Type, index: f.Index, omitEmpty: omitAll || tag.has("omitempty")}
		if own.name == "" {
			own.name = f.Name
		}
		inline, fault := inlines(f, tag)
		if fault != nil {
			return layout{}, fault.In("." + f.Name)
		}
		if !inline {
			fault = own.checkOmit()
			if fault == nil {
				fault = add(own)
			}
			if fault != nil {
				return layout{}, fault
			}
			continue
		}
		inner, fault := layoutOf(f.Type)
		if fault != nil {
			return layout{}, fault.In("." + f.Name)
		}
		for _, in := range inner.fields {
			in.index = slices.Concat(f.Index, in.index)
			if fault := add(in); fault != nil {
				return layout{}, fault
			}
		}
		// The decoder of msgpack treats the embedded struct's own name as a field, too.
		if taken[own.name] {
			return layout{}, refuse("two fields are encoded as %q; give the embedded struct a name", own.name).In("." + f.Name)
		}
		taken[own.name] = true
	}
	if len(l.fields) == 0 && hidden {
		return layout{}, refuse("%s has no exported field, so its value would be lost; export its fields, or add MarshalMsgpack and UnmarshalMsgpack", t)
	}
	return l, nil
}

// inlines reports whether the fields of an embedded struct are encoded in place of
// the struct.
func inlines(f reflect.StructField, tag fieldTag) (bool, *wire.Fault) {
	if !f.Anonymous {
		return false, nil
	}
	if f.Type.Kind() == reflect.Pointer {
		return false, refuse("an embedded pointer cannot be encoded; embed the struct, or give the field a name")
	}
	if f.Type.Kind() == reflect.Struct && !tag.has("noinline") && f.Type != timeType && !encodesItself(f.Type) {
		return true, nil
	}
	if tag.has("inline") {
		return false, refuse("%s cannot be inlined; remove the option inline", f.Type)
	}
	if !f.IsExported() {
		return false, refuse("the embedded %s is not exported and cannot be decoded; give the field an exported name", f.Type)
	}
	return false, nil
}

// checkOmit refuses omitempty where a non-empty value would be omitted: msgpack takes
// a struct that encodes itself for empty if none of its fields is exported.
func (f field) checkOmit() *wire.Fault {
	if !f.omitEmpty || f.typ.Kind() != reflect.Struct || !encodesItself(f.typ) {
		return nil
	}
	if f.typ.Implements(reflect.TypeFor[interface{ IsZero() bool }]()) {
		return nil
	}
	return refuse("%s has no method IsZero, so omitempty would lose values; remove omitempty, or use a pointer", f.typ).In("." + f.goName)
}

// fieldTag is a parsed msgpack tag.
type fieldTag struct {
	name    string
	options []string
}

func (t fieldTag) has(option string) bool { return slices.Contains(t.options, option) }

func parseTag(f reflect.StructField) (fieldTag, *wire.Fault) {
	text := f.Tag.Get("msgpack")
	if strings.ContainsAny(text, `':\`) {
		return fieldTag{}, refuse("the tag %q contains a quote, colon or backslash; use a plain name and options", text)
	}
	parts := strings.Split(text, ",")
	tag := fieldTag{name: strings.TrimSpace(parts[0])}
	allowed := []string{"", "omitempty", "inline", "noinline"}
	if f.Name == optionsField {
		allowed = []string{"", "omitempty", "as_array", "asArray"}
	}
	for _, p := range parts[1:] {
		p = strings.TrimSpace(p)
		if !slices.Contains(allowed, p) {
			return fieldTag{}, refuse("the tag option %q is not supported; remove it", p)
		}
		tag.options = append(tag.options, p)
	}
	return tag, nil
}
