package gen

import (
	"go/types"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// optionsField is the name of the field whose tag speaks for the whole struct.
const optionsField = "_msgpack"

// structure completes a struct. It follows vmihailenco/msgpack's rules for tags
// and embedding; what that would do in a surprising way is refused.
func (b *builder) structure(out *Type, t *types.Struct, s spot) bool {
	l := layout{builder: b, taken: make(map[string]bool)}
	out.Tuple = b.machine.Array
	owner := b.text(out.typ)
	if _, named := out.typ.(*types.Named); !named {
		owner = s.hint
	}
	ok := l.structure(t, "", owner, s)
	out.Fields = l.fields
	out.Tuple = out.Tuple || l.tuple
	out.own = l.own || l.omitting && !out.Tuple
	if ok && len(l.fields) == 0 && l.hidden {
		b.refuse(s, "%s has no exported field, so that its value would be lost; export its fields, or use a plain type", b.text(out.typ))
		return false
	}
	if ok && out.Tuple {
		for i := range out.Fields {
			out.Fields[i].OmitEmpty = false // what vmihailenco/msgpack does with arrays
		}
	}
	return ok
}

// layout collects the encoded fields of a struct.
type layout struct {
	*builder
	fields  []Field
	taken   map[string]bool
	tuple   bool
	hidden  bool // some field is not exported
	omitAll bool

	// Of a machine's state:
	own      bool // the fields are other ones in a command
	omitting bool // some may be left out in a command
}

// structure adds the fields of t, which is reached by the selector from the
// outermost struct. It returns false when something was refused.
func (l *layout) structure(t *types.Struct, selector, owner string, s spot) bool {
	if l.state && !l.accessible(t, s) {
		return false
	}
	ok := true
	for i := range t.NumFields() {
		f := t.Field(i)
		ok = l.field(f, t.Tag(i), selector, owner, s.of(f, owner)) && ok
	}
	return ok
}

// of returns the spot of a field of the struct at s, whose owner is named.
func (s spot) of(f *types.Var, owner string) spot {
	at := spot{pos: f.Pos(), what: "field " + owner + "." + f.Name(), hint: typeHint(owner) + exported(strings.TrimLeft(f.Name(), "_")+"_")}
	at.hint = strings.TrimSuffix(at.hint, "_")
	if !f.Pos().IsValid() {
		at.pos = s.pos
	}
	return at
}

func (l *layout) field(f *types.Var, text, selector, owner string, at spot) bool {
	tag, ok := l.tag(f, text, at)
	switch {
	case !ok:
		return false
	case l.state && tag.excluded:
		l.own = true
		return true
	case tag.name == "-" && !l.state:
		return true
	case f.Name() == optionsField:
		l.tuple = l.tuple || tag.has("as_array") || tag.has("asArray")
		l.omitAll = l.omitAll || tag.has("omitempty")
		return true
	case !f.Exported() && !f.Embedded() && (!l.state || f.Name() == "_"):
		l.hidden = l.hidden || f.Name() != "_"
		return true
	}
	out := Field{Name: tag.name, OmitEmpty: l.omitAll || tag.has("omitempty"), Max: tag.max, goName: f.Name(), selector: selector + "." + f.Name(), pos: f.Pos()}
	if l.state {
		l.lossless(f, &out)
	}
	if out.Name == "" {
		out.Name = f.Name()
	}
	if f.Embedded() {
		inner, inlined, ok := l.inlines(f, tag, at)
		if !ok {
			return false
		}
		if inlined {
			if !l.structure(inner, out.selector, l.text(f.Type()), at) {
				return false
			}
			// Decoders take the embedded struct's own name for a field too.
			return l.take(out.Name, at)
		}
	}
	if !l.take(out.Name, at) {
		return false
	}
	if out.Type = l.build(f.Type(), at); out.Type == nil || !l.limit(out, at) {
		return false
	}
	l.fields = append(l.fields, out)
	return true
}

// take refuses a name that another field has.
func (l *layout) take(name string, at spot) bool {
	if l.taken[name] {
		l.refuse(at, "two fields are encoded as %q; rename one with a msgpack tag", name)
		return false
	}
	l.taken[name] = true
	return true
}

// limit refuses a limit where there is nothing to limit.
func (l *layout) limit(f Field, at spot) bool {
	switch f.Type.Kind {
	case String, Bytes, Slice, Map:
		return true
	}
	if f.Max > 0 {
		l.refuse(at, "max= has no meaning for %s; it limits strings, bytes, slices and maps", l.text(f.Type.typ))
	}
	return f.Max == 0
}

// inlines reports whether the fields of an embedded struct take its place.
func (l *layout) inlines(f *types.Var, tag fieldTag, at spot) (inner *types.Struct, inlined, ok bool) {
	if _, pointer := f.Type().Underlying().(*types.Pointer); pointer {
		l.refuse(at, "an embedded pointer cannot be encoded; embed the struct, or give the field a name")
		return nil, false, false
	}
	inner, isStruct := f.Type().Underlying().(*types.Struct)
	named, _ := types.Unalias(f.Type()).(*types.Named)
	switch {
	case named != nil && l.isCommand(named):
		l.refuse(at, "command %s is embedded, so that its generated methods would become those of the outer struct; give the field a name", f.Name())
		return nil, false, false
	case named != nil && ownCodec(named) != "" && !isNamed(named, "time", "Time"):
		l.refuse(at, "the method %s of the embedded %s would become the outer struct's; give the field a name", ownCodec(named), f.Name())
		return nil, false, false
	case isStruct && !tag.has("noinline") && !isNamed(f.Type(), "time", "Time"):
		if !f.Exported() && f.Pkg() != l.pkg.types {
			l.refuse(at, "the embedded %s is not exported by its package; export it", f.Name())
			return nil, false, false
		}
		return inner, true, true
	case isNamed(f.Type(), "time", "Time"):
		l.refuse(at, "the methods of the embedded time would become those of the outer struct; give the field a name")
		return nil, false, false
	case tag.has("inline"):
		l.refuse(at, "%s cannot be inlined; remove the option inline", l.text(f.Type()))
		return nil, false, false
	case !f.Exported() && !l.state:
		l.refuse(at, "the embedded %s is not exported and cannot be decoded; give the field an exported name", f.Name())
		return nil, false, false
	}
	return nil, false, true
}

// typeHint makes the start of an identifier of a type's text.
func typeHint(text string) string {
	var out strings.Builder
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		out.WriteString(exported(part))
	}
	return out.String()
}

// fieldTag is what the tags of a field say.
type fieldTag struct {
	name     string
	options  []string
	max      int
	excluded bool // from a machine's state
}

func (t fieldTag) has(option string) bool { return slices.Contains(t.options, option) }

// tag reads the tags msgpack and mosaik of a field.
func (l *layout) tag(f *types.Var, text string, at spot) (tag fieldTag, ok bool) {
	own := reflect.StructTag(text).Get("msgpack")
	if strings.ContainsAny(own, `':\"`) {
		l.refuse(at, "the tag %q holds a quote, colon or backslash; use a plain name and options", own)
		return tag, false
	}
	parts := strings.Split(own, ",")
	tag.name = strings.TrimSpace(parts[0])
	allowed := []string{"", "omitempty", "inline", "noinline"}
	if f.Name() == optionsField {
		allowed = []string{"", "omitempty", "as_array", "asArray"}
	}
	for _, p := range parts[1:] {
		p = strings.TrimSpace(p)
		if !slices.Contains(allowed, p) {
			l.refuse(at, "the tag option %q is not supported; remove it", p)
			return tag, false
		}
		tag.options = append(tag.options, p)
	}
	limits, found := reflect.StructTag(text).Lookup("mosaik")
	if !found {
		return tag, true
	}
	if limits == excluded {
		tag.excluded = true
		return tag, true
	}
	number, isMax := strings.CutPrefix(limits, "max=")
	n, err := strconv.ParseInt(number, 10, 32)
	if !isMax || err != nil || n < 1 {
		l.refuse(at, "the tag `mosaik:%q` says nothing; use `mosaik:\"max=n\"` with an n of at least 1", limits)
		return tag, false
	}
	tag.max = int(n)
	return tag, true
}
