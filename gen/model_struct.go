package gen

import (
	"go/types"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// optionsField is the name of the field whose tag holds the options of its struct.
const optionsField = "_msgpack"

// structure completes a struct. It follows the rules of vmihailenco/msgpack for tags
// and embedding, and refuses what has a surprising effect there.
func (b *builder) structure(out *Type, t *types.Struct, s spot) bool {
	l := layout{builder: b, embeds: []types.Type{out.typ}}
	out.Tuple = b.machine.Array
	owner := b.text(out.typ)
	if _, named := out.typ.(*types.Named); !named {
		owner = s.hint
		for f := range t.Fields() {
			if !f.Exported() && f.Pkg() != b.pkg.types {
				b.refuse(s, "the unnamed struct has the unexported field %s of package %s, so generated code cannot name its type; give the struct a name", f.Name(), f.Pkg().Name())
				return false
			}
		}
	}
	ok := l.structure(t, "", owner, s)
	ok = l.resolve() && ok
	out.Fields = l.fields
	out.Tuple = out.Tuple || l.tuple
	out.differs = l.differs || l.omitting && !out.Tuple
	if ok && out.Tuple {
		for i := range out.Fields {
			out.Fields[i].OmitEmpty = false // as vmihailenco/msgpack does in arrays
		}
	}
	out.numberPointers()
	return ok
}

// layout collects the encoded fields of a struct.
type layout struct {
	*builder
	fields   []Field
	found    []candidate       // for fields
	inlined  map[string]spot   // the names of the embedded structs whose fields are inlined
	embeds   []types.Type      // the enclosing structs, from the outermost
	pointers []embeddedPointer // those that lead to the struct, from the outermost
	inlining int               // how many structs were inlined
	tuple    bool
	omitAll  bool

	// Of a machine's state:
	differs  bool // a command would encode other fields
	omitting bool // a command could leave out fields
}

// structure adds the fields of t, to which selector leads from the outermost struct. It
// returns false if it refused a field.
func (l *layout) structure(t *types.Struct, selector, owner string, s spot) bool {
	if l.inlining > maxInlined || !l.accessible(t, owner, s) {
		return false
	}
	ok := true
	defer func(all bool) { l.omitAll = all }(l.omitAll)
	l.omitAll = false // the options of an embedded struct are for its own fields
	for i := range t.NumFields() {
		f := t.Field(i)
		ok = l.field(f, t.Tag(i), selector, owner, s.of(f, owner)) && ok
	}
	return ok
}

// accessible refuses structs with fields whose values would be lost: fields that
// generated code cannot access, and unexported fields of commands, unless their tag
// excludes them.
func (l *layout) accessible(t *types.Struct, owner string, s spot) bool {
	ok := true
	for i := range t.NumFields() {
		f := t.Field(i)
		ours := f.Pkg() == l.pkg.types
		switch {
		case f.Exported(), f.Name() == "_", f.Name() == optionsField, l.leftOut(t.Tag(i)),
			ours && (l.state || f.Embedded()):
		case ours:
			ok = false
			l.refuse(s.of(f, owner), "it is not exported, so it would not be encoded and would be zero in ApplyTo; export it, or exclude it with the tag `msgpack:\"-\"`")
		default:
			l.refuse(s, "the field %s is not exported by package %s, so its value would be lost; register a codec for %s with %scodec name=…, or use another type", f.Name(), f.Pkg().Path(), owner, directivePrefix)
			return false
		}
	}
	return ok
}

// leftOut reports whether the tags of a field exclude it.
func (l *layout) leftOut(tags string) bool {
	if l.state {
		return reflect.StructTag(tags).Get("mosaik") == excluded
	}
	name, _, _ := strings.Cut(reflect.StructTag(tags).Get("msgpack"), ",")
	return strings.TrimSpace(name) == "-"
}

// of returns the spot of a field of the struct at s, which is called owner.
func (s spot) of(f *types.Var, owner string) spot {
	at := spot{pos: f.Pos(), what: "field " + owner + "." + f.Name(), hint: typeHint(owner) + exported(strings.TrimLeft(f.Name(), "_")+"_")}
	at.hint = strings.TrimSuffix(at.hint, "_")
	if !f.Pos().IsValid() {
		at.pos = s.pos
	}
	return at
}

// field adds a field as a candidate. It returns false if it refused the field.
func (l *layout) field(f *types.Var, text, selector, owner string, at spot) bool {
	tag, ok := l.tag(f, text, at)
	switch {
	case !ok:
		return false
	case l.state && tag.excluded:
		l.differs = true
		return true
	case tag.name == "-" && !l.state:
		return true
	case f.Name() == optionsField:
		l.tuple = l.tuple || selector == "" && (tag.has("as_array") || tag.has("asArray"))
		l.omitAll = l.omitAll || tag.has("omitempty")
		return true
	case !f.Exported() && !f.Embedded() && (!l.state || f.Name() == "_"):
		return true
	}
	out := Field{Name: tag.name, OmitEmpty: l.omitAll || tag.has("omitempty"), Max: tag.max, goName: f.Name(), selector: selector + "." + f.Name(), pos: f.Pos()}
	if l.state {
		l.lossless(f, &out)
	}
	if out.Name == "" {
		out.Name = f.Name()
	}
	out.omittable = out.OmitEmpty
	out.pointers = slices.Clone(l.pointers)
	if f.Embedded() {
		inner, inlined, ok := l.inlines(f, tag, at)
		if !ok {
			return false
		}
		if inlined {
			return l.embed(f, inner, out, at)
		}
	}
	l.found = append(l.found, candidate{Field: out, f: f, tag: tag, at: at, depth: len(l.embeds)})
	return true
}

// complete builds the type of a field.
func (l *layout) complete(c candidate) bool {
	f, at, out := c.f, c.at, c.Field
	undo := l.widths(l.pkg.words | c.tag.words)
	out.Type = l.build(f.Type(), at)
	undo()
	if out.Type == nil || !l.limit(out, at) || !l.hasWords(out, c.tag.words, at) {
		return false
	}
	if out.OmitEmpty && out.Type.Kind == Own && !out.Type.decidesEmpty() && !out.Type.hasZero() {
		l.refuse(at, "%s has no method IsZero, and cannot be compared with its zero value, so it is unknown when it is empty; remove omitempty, or use a pointer", l.text(f.Type()))
		return false
	}
	if field := promoter(out.Type.typ); out.omittable && field != nil {
		l.refuse(at, "the method IsZero of %s is promoted from its field %s, which may be nil; give it a method of its own, or remove omitempty", l.text(f.Type()), field.Name())
		return false
	}
	out.ByMethod = out.omittable && out.Type.decidesEmpty() && !out.Type.alwaysDecides()
	l.fields = append(l.fields, out)
	return true
}

// hasWords refuses a tag about int or uint on a field that holds none.
func (l *layout) hasWords(f Field, tagged words, at spot) bool {
	if tagged&^f.Type.madeOf() == 0 {
		return true
	}
	for option, w := range wordOptions {
		if tagged&w != 0 && f.Type.madeOf()&w == 0 {
			l.refuse(at, "the tag `mosaik:\"%s\"` has no effect on %s, which holds no %s outside of structs; remove it, or write %spackage %[3]s=%[1]s above the package clause, which applies to structs too", option, l.text(f.Type.typ), strings.TrimSuffix(option, "64"), directivePrefix)
		}
	}
	return false
}

// limit refuses max= on a type that has no length.
func (l *layout) limit(f Field, at spot) bool {
	switch f.Type.Kind {
	case String, Bytes, Slice, Map, Own:
		return true
	}
	if f.Max > 0 {
		l.refuse(at, "max= does not apply to %s; remove it: it limits strings, bytes, slices, maps and types with a registered codec", l.text(f.Type.typ))
	}
	return f.Max == 0
}

// inlines reports whether the fields of an embedded struct are encoded in its place.
func (l *layout) inlines(f *types.Var, tag fieldTag, at spot) (inner *types.Struct, inlined, ok bool) {
	embedded := types.Unalias(f.Type())
	p, pointer := embedded.(*types.Pointer)
	if pointer {
		embedded = types.Unalias(p.Elem())
	}
	inner, isStruct := embedded.Underlying().(*types.Struct)
	named, _ := embedded.(*types.Named)
	switch {
	case named != nil && l.pkg.commandOf(named) != nil:
		l.refuse(at, "command %s is embedded, so its generated methods would be promoted to the outer struct; give the field a name", f.Name())
		return nil, false, false
	case named != nil && l.ownCodec(named) != "" && !isNamed(named, "time", "Time"):
		l.refuse(at, "the method %s of the embedded %s would be promoted to the outer struct; give the field a name", l.ownCodec(named), f.Name())
		return nil, false, false
	case isStruct && !tag.has("noinline") && !isNamed(embedded, "time", "Time") && containerOf(embedded) == "" && l.pkg.codecs.At(embedded) == nil:
		if !f.Exported() && f.Pkg() != l.pkg.types {
			l.refuse(at, "the embedded %s is not exported by its package; export it", f.Name())
			return nil, false, false
		}
		return inner, true, true
	case isNamed(embedded, "time", "Time"):
		l.refuse(at, "the methods of the embedded time would be promoted to the outer struct; give the field a name")
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

// typeHint returns an exported identifier made from the text of a type.
func typeHint(text string) string {
	var out strings.Builder
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		out.WriteString(exported(part))
	}
	return out.String()
}

// maxFieldName is the highest number of bytes in the name of a field on the wire.
const maxFieldName = 1 << 10

// malformed returns the part of a field's tags that package reflect cannot parse, or
// that repeats a key, with what follows. It returns "" for well-formed tags.
func malformed(text string) string {
	seen := make(map[string]bool)
	for rest := strings.TrimLeft(text, " "); rest != ""; rest = strings.TrimLeft(rest, " ") {
		key, after, ok := strings.Cut(rest, ":")
		value, err := strconv.QuotedPrefix(after)
		if !ok || key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f }) ||
			err != nil || value[0] != '"' || seen[key] {
			return rest
		}
		seen[key] = true
		rest = after[len(value):]
		if rest != "" && rest[0] != ' ' {
			return rest
		}
	}
	return ""
}

// fieldTag holds the parsed tags of a field.
type fieldTag struct {
	name    string
	options []string
	tagOptions
}

func (t fieldTag) has(option string) bool { return slices.Contains(t.options, option) }

// tag parses the tags msgpack and mosaik of a field.
func (l *layout) tag(f *types.Var, text string, at spot) (tag fieldTag, ok bool) {
	if bad := malformed(text); bad != "" {
		l.refuse(at, "the tag `%s` is malformed at %q, so Go would ignore the rest; write key:\"value\" pairs, separated by one space, with each key once", text, bad)
		return tag, false
	}
	own := reflect.StructTag(text).Get("msgpack")
	if strings.ContainsAny(own, `':\"`) {
		l.refuse(at, "the tag %q contains a quote, colon or backslash; use a plain name and options", own)
		return tag, false
	}
	parts := strings.Split(own, ",")
	tag.name = strings.TrimSpace(parts[0])
	if len(tag.name) > maxFieldName || !utf8.ValidString(tag.name) {
		l.refuse(at, "the name %.40q is not valid UTF-8, or is longer than %d bytes; choose another name", tag.name, maxFieldName)
		return tag, false
	}
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
	options, found := reflect.StructTag(text).Lookup("mosaik")
	if !found {
		return tag, true
	}
	if tag.tagOptions, ok = parseOptions(options); !ok || tag.identity {
		l.refuse(at, "the tag `mosaik:%q` is not known; use max=n with an n of at least 1, int64 or uint64, separated by commas", options)
		return tag, false
	}
	return tag, true
}

// positive returns the number in text, or 0 if it is not in [1, 2147483647].
func positive(text string) int {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return 0
	}
	return int(n)
}
