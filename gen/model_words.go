package gen

import (
	"go/types"
	"strings"
)

// words is a set of the types int and uint, whose width depends on the platform. They
// are encoded as int64 and uint64.
type words uint8

const (
	intWords words = 1 << iota
	uintWords
	allWords = 1 << iota // the number of sets
)

// wordOptions maps the options of the tag mosaik to words.
var wordOptions = map[string]words{"int64": intWords, "uint64": uintWords}

// words applies the directive of a package.
func (m *modeler) words(pkg *Package, d directive) {
	if len(d.args) == 0 && !d.failed {
		m.problems.add(d.pos, "%s%s has no arguments; add int=int64, uint=uint64 or both", directivePrefix, d.verb)
	}
	for key, value := range d.args {
		if value != key+"64" {
			m.problems.add(d.pos, "%s%s has %s=%s; only %[3]s=%[3]s64 is supported", directivePrefix, d.verb, key, value)
		}
		pkg.words |= wordOptions[key+"64"]
	}
}

// wordsOf returns the set that holds t, which is empty if t is neither int nor uint.
func wordsOf(t *types.Basic) words {
	switch t.Kind() {
	case types.Int:
		return intWords
	case types.Uint:
		return uintWords
	}
	return 0
}

// word completes an int or uint.
func (b *builder) word(out *Type, t *types.Basic, s spot) bool {
	if b.wide&wordsOf(t) == 0 {
		b.refuse(s, "%s has 32 or 64 bits, depending on the platform; use %s64 or %[2]s32, or encode it as %[2]s64 with the field tag `mosaik:\"%[2]s64\"` or with %spackage %[2]s=%[2]s64 above the package clause of the machine", b.text(out.typ), t.Name(), directivePrefix)
		return false
	}
	out.Kind, out.Bits, out.word = Int, 64, true
	if wordsOf(t) == uintWords {
		out.Kind = Uint
	}
	if named, ok := out.typ.(*types.Named); ok {
		out.Enum = b.constants(named)
	}
	return true
}

// widths sets which words the type of a field may hold, outside of structs and
// interfaces, whose fields have tags of their own. The caller must call undo.
func (b *builder) widths(w words) (undo func()) {
	before := b.wide
	b.wide = w
	return func() { b.wide = before }
}

// hasFields reports whether the words in t depend on the tags of its own fields.
func hasFields(t types.Type) bool {
	if containerOf(t) != "" {
		return false
	}
	switch t.Underlying().(type) {
	case *types.Struct, *types.Interface:
		return true
	}
	return false
}

// madeOf returns the words that t holds outside of structs and interfaces.
func (t *Type) madeOf() (found words) {
	seen := make(map[*Type]bool)
	var visit func(*Type)
	visit = func(t *Type) {
		if seen[t] || t.Kind == Struct || t.Kind == Sum {
			return
		}
		seen[t] = true
		if t.word {
			found |= wordsOf(t.typ.Underlying().(*types.Basic))
		}
		t.children(visit)
	}
	visit(t)
	return found
}

// holdsWords reports whether t holds an int or uint anywhere.
func (t *Type) holdsWords() bool {
	found := false
	t.walk(func(o *Type) { found = found || o.word })
	return found
}

// tagOptions holds the options of the tag mosaik of a field.
type tagOptions struct {
	max      int
	words    words
	excluded bool // from a machine's state
	identity bool
}

// parseOptions parses the tag mosaik. It returns false if an option is unknown, occurs
// twice or cannot be combined.
func parseOptions(text string) (o tagOptions, ok bool) {
	parts := strings.Split(text, ",")
	for _, part := range parts {
		number, isMax := strings.CutPrefix(part, "max=")
		switch {
		case isMax && o.max == 0:
			o.max = positive(number)
			if o.max == 0 {
				return o, false
			}
		case part == excluded && len(parts) == 1:
			o.excluded = true
		case part == "identity" && !o.identity:
			o.identity = true
		case wordOptions[part] != 0 && o.words&wordOptions[part] == 0:
			o.words |= wordOptions[part]
		default:
			return o, false
		}
	}
	return o, true
}
