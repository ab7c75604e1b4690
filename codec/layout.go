package codec

import (
	"reflect"
	"slices"
	"strings"
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

// layout is what vmihailenco/msgpack encodes of a struct type.
type layout struct {
	fields  []field
	asArray bool
}

// optionsField is the name of the field whose tag speaks for the whole struct.
const optionsField = "_msgpack"

// layoutOf follows vmihailenco/msgpack's rules for tags and embedding. What it
// would do in a surprising way (fields that shadow each other, say) is refused.
func layoutOf(t reflect.Type) (layout, *Error) {
	var l layout
	var omitAll, hidden bool
	taken := make(map[string]bool)
	add := func(f field) *Error {
		if taken[f.name] {
			return within(refuse("two fields are encoded as %q; rename one with a msgpack tag", f.name), "."+f.goName)
		}
		taken[f.name] = true
		l.fields = append(l.fields, f)
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, err := parseTag(f)
		if err != nil {
			return layout{}, within(err, "."+f.Name)
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
		inline, err := inlines(f, tag)
		if err != nil {
			return layout{}, within(err, "."+f.Name)
		}
		if !inline {
			err = own.checkOmit()
			if err == nil {
				err = add(own)
			}
			if err != nil {
				return layout{}, err
			}
			continue
		}
		inner, err := layoutOf(f.Type)
		if err != nil {
			return layout{}, within(err, "."+f.Name)
		}
		for _, in := range inner.fields {
			in.index = slices.Concat(f.Index, in.index)
			if err := add(in); err != nil {
				return layout{}, err
			}
		}
		// The decoder takes the embedded struct's own name for a field too.
		if taken[own.name] {
			return layout{}, within(refuse("two fields are encoded as %q; give the embedded struct a name", own.name), "."+f.Name)
		}
		taken[own.name] = true
	}
	if len(l.fields) == 0 && hidden {
		return layout{}, refuse("%s has no exported field, so that its value would be lost; export its fields or give it MarshalMsgpack and UnmarshalMsgpack", t)
	}
	return l, nil
}

// inlines reports whether the fields of an embedded struct take the place of
// the struct.
func inlines(f reflect.StructField, tag fieldTag) (bool, *Error) {
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

// checkOmit refuses omitempty where a value that is not empty would be omitted:
// a struct that encodes itself counts as empty when no field of it is exported.
func (f field) checkOmit() *Error {
	if !f.omitEmpty || f.typ.Kind() != reflect.Struct || !encodesItself(f.typ) {
		return nil
	}
	if f.typ.Implements(reflect.TypeFor[interface{ IsZero() bool }]()) {
		return nil
	}
	return within(refuse("%s has no method IsZero, so that omitempty would lose values; remove omitempty or use a pointer", f.typ), "."+f.goName)
}

// fieldTag is a parsed msgpack tag.
type fieldTag struct {
	name    string
	options []string
}

func (t fieldTag) has(option string) bool { return slices.Contains(t.options, option) }

func parseTag(f reflect.StructField) (fieldTag, *Error) {
	text := f.Tag.Get("msgpack")
	if strings.ContainsAny(text, `':\`) {
		return fieldTag{}, refuse("the tag %q holds a quote, colon or backslash; use a plain name and options", text)
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
