package gen

import (
	"go/types"
	"strings"
)

// words says which numbers with the width of the platform's words are encoded, as
// numbers of 64 bits: int as int64, uint as uint64.
type words uint8

const (
	intWords words = 1 << iota
	uintWords
	allWords = 1 << iota // how many combinations there are
)

// wordOptions are the words that options of the tag mosaik name.
var wordOptions = map[string]words{"int64": intWords, "uint64": uintWords}

// words reads the directive of a package.
func (m *modeler) words(pkg *Package, d directive) {
	if len(d.args) == 0 && !d.failed {
		m.problems.add(d.pos, "%s%s says nothing about the package; add int=int64, uint=uint64 or both", directivePrefix, d.verb)
	}
	for key, value := range d.args {
		if value != key+"64" {
			m.problems.add(d.pos, "%s%s has %s=%s; only %[3]s=%[3]s64 is supported", directivePrefix, d.verb, key, value)
		}
		pkg.words |= wordOptions[key+"64"]
	}
}

// wordsOf returns which words t is.
func wordsOf(t *types.Basic) words {
	switch t.Kind() {
	case types.Int:
		return intWords
	case types.Uint:
		return uintWords
	}
	return 0
}

// word completes a number with the width of the platform's words.
func (b *builder) word(out *Type, t *types.Basic, s spot) bool {
	if b.wide&wordsOf(t) == 0 {
		b.refuse(s, "%s has 32 or 64 bits, depending on the platform; use %s64 or %[2]s32, or have it encoded as %[2]s64 by the tag `mosaik:\"%[2]s64\"` of the field or by %spackage %[2]s=%[2]s64 above the package clause of the machine", b.text(out.typ), t.Name(), directivePrefix)
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

// widths sets which words the type of a field may be made of, up to the structs
// and interfaces within, whose fields say it for themselves. It returns what
// undoes that.
func (b *builder) widths(w words) (undo func()) {
	before := b.wide
	b.wide = w
	return func() { b.wide = before }
}

// hasFields reports whether t says for itself of which words it is made.
func hasFields(t types.Type) bool {
	switch t.Underlying().(type) {
	case *types.Struct, *types.Interface:
		return true
	}
	return false
}

// madeOf returns the words that t is made of outside of structs and interfaces.
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

// holdsWords reports whether t holds a number with the width of the platform's
// words.
func (t *Type) holdsWords() bool {
	found := false
	t.walk(func(o *Type) { found = found || o.word })
	return found
}

// tagOptions are the parts of the tag mosaik of a field.
type tagOptions struct {
	max      int
	words    words
	excluded bool // from a machine's state
	identity bool
}

// parseOptions reads the tag mosaik. It returns false when a part is unknown or
// does not go with another.
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
