package gen

import (
	"fmt"
	"strconv"
	"strings"
)

// parseSchema parses the canonical text of one level.
func parseSchema(text string) (s schema, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 4 || lines[0] != schemaHeader {
		return schema{}, fmt.Errorf("it does not start with %q", schemaHeader)
	}
	p := schemaParser{}
	p.line(2, lines[1], func() {
		p.want("machine ")
		s.name = p.quoted()
		p.want(" version ")
		s.version = uint32(p.number())
		s.array = p.has(" layout array")
	})
	next := 2
	if strings.HasPrefix(lines[next], "identity {") {
		p.line(next+1, lines[next], func() {
			p.want("identity {")
			s.identity = p.fields()
		})
		next++
	}
	command := next
	if next+1 < len(lines) && strings.HasPrefix(lines[next+1], "state/") {
		next++
	}
	p.types = make([]Type, len(lines)-next-1)
	p.line(command+1, lines[command], func() {
		p.want("command ")
		s.root = p.reference()
	})
	if next > command {
		p.line(next+1, lines[next], func() {
			p.want("state/")
			s.format = p.number()
			p.want(" ")
			s.state = p.reference()
		})
	}
	for i := range p.types {
		p.line(next+2+i, lines[next+1+i], func() {
			p.want("#" + strconv.Itoa(i) + " ")
			p.describe(&p.types[i])
		})
	}
	if p.err != nil {
		return schema{}, p.err
	}
	s.root.root = true
	return s, nil
}

// schemaParser parses one line at a time. It stops at the first error.
type schemaParser struct {
	types []Type // by their numbers
	at    int    // the number of the line, from 1
	rest  string // the rest of the line
	err   error  // the first one
}

// line parses one line, which parse must read to its end.
func (p *schemaParser) line(at int, text string, parse func()) {
	if p.err != nil {
		return
	}
	p.at, p.rest = at, text
	parse()
	if p.rest != "" {
		p.fail("the end of the line")
	}
}

// fail records that the rest of the line is not what is wanted.
func (p *schemaParser) fail(want string) {
	if p.err == nil {
		p.err = fmt.Errorf("line %d: found %q, want %s", p.at, p.rest, want)
	}
	p.rest = ""
}

// has reads text if it comes next, and reports whether it did.
func (p *schemaParser) has(text string) bool {
	rest, ok := strings.CutPrefix(p.rest, text)
	if ok {
		p.rest = rest
	}
	return ok
}

// want reads text, which must come next.
func (p *schemaParser) want(text string) {
	if !p.has(text) {
		p.fail(strconv.Quote(text))
	}
}

func (p *schemaParser) quoted() string {
	text, err := strconv.QuotedPrefix(p.rest)
	if err != nil {
		p.fail("a name in quotes")
		return ""
	}
	p.rest = p.rest[len(text):]
	name, err := strconv.Unquote(text)
	if err != nil {
		p.fail("a name in quotes")
	}
	return name
}

func (p *schemaParser) number() int {
	end := 0
	for end < len(p.rest) && '0' <= p.rest[end] && p.rest[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(p.rest[:end], 10, 32)
	if err != nil {
		p.fail("a number")
		return 0
	}
	p.rest = p.rest[end:]
	return int(n)
}

// scalars are the types that are one word. No word is a prefix of another one.
var scalars = []struct {
	word string
	typ  Type
}{
	{"bool", Type{Kind: Bool}}, {"str", Type{Kind: String}},
	{"time", Type{Kind: Time}}, {"duration", Type{Kind: Duration, Bits: 64}},
	{"i8", Type{Kind: Int, Bits: 8}}, {"i16", Type{Kind: Int, Bits: 16}}, {"i32", Type{Kind: Int, Bits: 32}}, {"i64", Type{Kind: Int, Bits: 64}},
	{"u8", Type{Kind: Uint, Bits: 8}}, {"u16", Type{Kind: Uint, Bits: 16}}, {"u32", Type{Kind: Uint, Bits: 32}}, {"u64", Type{Kind: Uint, Bits: 64}},
	{"f32", Type{Kind: Float, Bits: 32}}, {"f64", Type{Kind: Float, Bits: 64}},
}

// reference reads a type.
func (p *schemaParser) reference() *Type {
	switch {
	case p.has("#"):
		n := p.number()
		if n >= len(p.types) {
			p.fail("the number of a line")
			return &Type{}
		}
		return &p.types[n]
	case p.has("[]"):
		return &Type{Kind: Slice, Elem: p.reference()}
	case p.has("*"):
		return &Type{Kind: Pointer, Elem: p.reference()}
	case p.has("map["):
		t := &Type{Kind: Map, Key: p.reference()}
		p.want("]")
		t.Elem = p.reference()
		return t
	case p.has("bytes["):
		t := &Type{Kind: ByteArray, Len: p.number()}
		p.want("]")
		return p.values(t)
	case p.has("bytes"):
		return p.values(&Type{Kind: Bytes})
	case p.has("own "):
		return &Type{Kind: Own, Own: p.quoted()}
	case p.has("["):
		t := &Type{Kind: Array, Len: p.number()}
		p.want("]")
		t.Elem = p.reference()
		return t
	}
	return p.scalar()
}

// values reads the reference to the enum of the values of bytes, if there is one.
func (p *schemaParser) values(t *Type) *Type {
	if strings.HasPrefix(p.rest, "#") {
		t.Elem = p.reference()
	}
	return t
}

func (p *schemaParser) scalar() *Type {
	for _, s := range scalars {
		if p.has(s.word) {
			t := s.typ
			return &t
		}
	}
	p.fail("a type")
	return &Type{}
}

// describe reads the line of a numbered type into t.
func (p *schemaParser) describe(t *Type) {
	switch {
	case strings.HasPrefix(p.rest, "struct{"), strings.HasPrefix(p.rest, "tuple{"):
		t.Kind = Struct
		if t.Tuple = p.has("tuple{"); !t.Tuple {
			p.want("struct{")
		}
		t.Fields = p.fields()
	case p.has("sum{"):
		t.Kind = Sum
		p.list(func() {
			v := Variant{Name: p.quoted()}
			p.want(":")
			v.Type = p.reference()
			t.Variants = append(t.Variants, v)
		})
	case p.has("enum "):
		*t = *p.scalar()
		p.want("{")
		p.list(func() {
			c := Constant{Name: p.quoted()}
			p.want("=")
			c.Value = p.value()
			t.Enum = append(t.Enum, c)
		})
	default:
		p.fail("struct, tuple, sum or enum")
	}
}

// fields reads the fields of a struct up to the closing brace.
func (p *schemaParser) fields() (out []Field) {
	p.list(func() {
		f := Field{Name: p.quoted()}
		if p.has("(") {
			p.conditions(&f)
		}
		p.want(":")
		f.Type = p.reference()
		out = append(out, f)
	})
	return out
}

// conditions reads the conditions of f, up to the closing bracket.
func (p *schemaParser) conditions(f *Field) {
	more := true
	if p.has("max=") {
		f.Max = p.number()
		more = p.has(",")
	}
	if more && p.has("omitempty") {
		f.OmitEmpty = true
		f.ByMethod = p.has("=IsZero")
		more = p.has(",")
	}
	if more {
		p.want("pointer=")
		end := 0
		for end < len(p.rest) && strings.IndexByte("0123456789.", p.rest[end]) >= 0 {
			end++
		}
		if f.Pointers = p.rest[:end]; end == 0 {
			p.fail("a number")
			return
		}
		p.rest = p.rest[end:]
	}
	p.want(")")
}

// value reads the value of a constant.
func (p *schemaParser) value() string {
	if strings.HasPrefix(p.rest, `"`) {
		return strconv.Quote(p.quoted())
	}
	if p.has("-") {
		return "-" + p.digits()
	}
	return p.digits()
}

func (p *schemaParser) digits() string {
	end := strings.IndexAny(p.rest, " }")
	if end < 1 {
		p.fail("a value")
		return ""
	}
	text := p.rest[:end]
	p.rest = p.rest[end:]
	return text
}

// list reads items up to the closing brace.
func (p *schemaParser) list(item func()) {
	for p.err == nil && !p.has("}") {
		item()
		if !strings.HasPrefix(p.rest, "}") {
			p.want(" ")
		}
	}
}
