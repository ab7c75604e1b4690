package gen

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// specLevels returns the field of the Spec that holds the digests of the levels. The
// first of them is the signature.
func (e *emitter) specLevels(m *machineNames, signature *string) string {
	if len(m.Identity) > 0 {
		e.p("signature := %s", *signature)
		*signature = "signature"
	}
	names := []string{*signature}
	for i := 1; i < len(m.levels); i++ {
		names = append(names, m.levelName(i))
	}
	return fmt.Sprintf(", Levels: []%s.Digest{%s}", e.sm(), strings.Join(names, ", "))
}

// levelName returns the name of the variable that holds the digest of m.levels[i].
func (m *machineNames) levelName(i int) string {
	return fmt.Sprintf("%sLevel%d", strings.TrimSuffix(m.signature, "Signature"), i+1)
}

// leveledCodec writes the digests of the levels, and the methods of codec.Leveled.
func (e *emitter) leveledCodec(m *machineNames) {
	for i := 1; i < len(m.levels); i++ {
		e.p("// %s is the hash of the levels up to %d of %s.", m.levelName(i), i+1, strings.ToLower(m.GoName)+schemaSuffix)
		e.digest(m.levelName(i), m.levels[i].digest)
	}
	newest := len(m.levels)
	e.p("// AppendLevel implements [%s.Leveled].", e.codec())
	e.p("func (%s) AppendLevel(dst []byte, cmd %s, level uint32) ([]byte, error) {", m.codec, m.sealed)
	e.p("e := %s.EncoderAt(level, %d, len(dst))", e.impl(), newest)
	if m.command.sparse() {
		e.p("e.MustCheck() // a value may take much more memory than its bytes")
	}
	e.p("b := dst")
	e.variants(m.root, "cmd")
	e.p("if e.Valid(len(b) - len(dst)) {\nreturn b, nil\n}")
	e.p("if err := %s.CheckCommand(e, b[len(dst):], decode%s); err != nil {\nreturn dst, err\n}\nreturn b, nil\n}\n", e.impl(), m.root.name)
	e.p("// DecodeLevel implements [%s.Leveled].", e.codec())
	e.p("func (%s) DecodeLevel(src []byte, level uint32) (%s, error) {", m.codec, m.sealed)
	e.p("r := %s.ReaderAt(level, %d, src)\ncmd, name := decode%s(r)", e.impl(), newest, m.root.name)
	e.p("if err := r.Finish(name); err != nil {\nreturn nil, err\n}\nreturn cmd, nil\n}\n")
}

// byLevel returns the fields of a struct in the order of their levels.
func (t *Type) byLevel() []Field {
	return slices.SortedStableFunc(slices.Values(t.Fields), func(a, b Field) int { return cmp.Compare(a.since, b.since) })
}

// before returns the calls of Fields.Before that say how many fields, in the order of
// byLevel, there were before each level. It returns "" if no level added one.
func (t *Type) before() string {
	calls := ""
	fields := t.byLevel()
	for i, f := range fields {
		if f.since > 0 && (i == 0 || fields[i-1].since < f.since) {
			calls = fmt.Sprintf(".Before(%d, %d)", f.since, i) + calls
		}
	}
	return calls
}

// count returns the expression for the number of variants of a sum.
func (t *Type) count() string {
	base, more := 0, make(map[uint32]int64)
	for _, v := range t.Variants {
		if v.since == 0 {
			base++
		} else {
			more[v.since]++
		}
	}
	text := leveled(int64(base), more)
	if len(more) > 0 {
		return "int(" + text + ")"
	}
	return text
}

// memory returns the expression for the memory that a value of t takes, in bytes. It
// depends on the level, because an old entry must be refused for its memory exactly
// where old code refused it.
func (t *Type) memory() string { return memory(t) }

// memory returns the expression for the memory that one value of each type takes.
func memory(of ...*Type) string {
	sum := make(map[uint32]int64)
	for _, t := range of {
		for since, size := range t.growth() {
			sum[since] += size
		}
	}
	return leveled(sum[0], sum)
}

// growth returns the memory that a value of t takes, as size, by the level that added
// it. Level 0 holds what was there from the start.
func (t *Type) growth() map[uint32]int64 {
	if t.measured.grown == nil {
		t.measured.grown = t.findGrowth()
	}
	return t.measured.grown
}

func (t *Type) findGrowth() map[uint32]int64 {
	sum := make(map[uint32]int64)
	switch t.Kind {
	case Array:
		for since, size := range t.Elem.growth() {
			sum[since] = int64(t.Len) * size
		}
	case Struct:
		for i := range t.Fields {
			f := &t.Fields[i]
			for since, size := range f.Type.growth() {
				sum[max(since, f.since)] += size
			}
		}
	default:
		sum[0] = t.size()
	}
	return sum
}

// leveled returns the expression for a number that grows by more at each level.
func leveled(base int64, more map[uint32]int64) string {
	text := fmt.Sprint(base)
	for _, level := range slices.Sorted(maps.Keys(more)) {
		if level == 0 || more[level] == 0 {
			continue
		}
		text += fmt.Sprintf("+r.Since(%d, %d)", level, more[level])
	}
	return text
}
