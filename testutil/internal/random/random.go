// Package random draws random values of Go types.
package random

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// maxDepth is how deeply values nest. Below it, pointers and interfaces are nil, and slices and
// maps are empty.
const maxDepth = 8

// Generator draws values. Small numbers and short strings are likely, so that the values of
// several draws have parts in common.
type Generator struct {
	rand    *rand.Rand
	samples []reflect.Value
}

// New returns a generator that draws from r. The samples are zero values of the types that an
// interface can hold, and the only values that types with constants can have.
func New(r *rand.Rand, samples []any) *Generator {
	g := &Generator{rand: r}
	for _, s := range samples {
		g.samples = append(g.samples, reflect.ValueOf(s))
	}
	return g
}

// Value draws a value of a type. Parts for which it knows no values are zero.
func (g *Generator) Value(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	g.fill(v, 0)
	return v
}

// Knows reports whether a sample implements the interface.
func (g *Generator) Knows(iface reflect.Type) bool { return len(g.variants(iface)) > 0 }

// variants returns the types of samples that implement the interface.
func (g *Generator) variants(iface reflect.Type) []reflect.Type {
	var all []reflect.Type
	for _, s := range g.samples {
		if s.Type().Implements(iface) {
			all = append(all, s.Type())
		}
	}
	return all
}

func (g *Generator) fill(v reflect.Value, depth int) {
	if g.standard(v) || v.Kind() != reflect.Interface && g.constant(v) {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(g.rand.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(g.int(v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		v.SetUint(g.uint(v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(g.float(v.Type().Bits()))
	case reflect.String:
		v.SetString(g.string())
	case reflect.Interface:
		g.variant(v, depth)
	case reflect.Pointer:
		if depth < maxDepth && g.rand.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			g.fill(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.IsExported() && !strings.HasPrefix(f.Tag.Get("msgpack"), "-") {
				g.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			g.fill(v.Index(i), depth+1)
		}
	case reflect.Slice:
		n := g.length(depth)
		if n == 0 && g.rand.IntN(2) == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			g.fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		g.entries(v, depth)
	}
}

// constant sets v to a sample of its type that is not a zero value alone: a constant.
func (g *Generator) constant(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
	default:
		return false
	}
	var all []reflect.Value
	constants := false
	for _, s := range g.samples {
		if s.Type() == v.Type() {
			all = append(all, s)
			constants = constants || !s.IsZero()
		}
	}
	if constants {
		v.Set(all[g.rand.IntN(len(all))])
	}
	return constants
}

// variant sets v, an interface, to a value of one of the types that implement it.
func (g *Generator) variant(v reflect.Value, depth int) {
	all := g.variants(v.Type())
	if len(all) == 0 || depth >= maxDepth {
		return
	}
	t := all[g.rand.IntN(len(all))]
	if t.Kind() == reflect.Pointer {
		p := reflect.New(t.Elem())
		g.fill(p.Elem(), depth+1)
		v.Set(p)
		return
	}
	value := reflect.New(t).Elem()
	g.fill(value, depth+1)
	v.Set(value)
}

func (g *Generator) entries(v reflect.Value, depth int) {
	n := g.length(depth)
	if n == 0 && g.rand.IntN(2) == 0 {
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), n))
	for range n {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		g.fill(key, depth+1)
		g.fill(value, depth+1)
		if key.Comparable() {
			v.SetMapIndex(key, value)
		}
	}
}

func (g *Generator) length(depth int) int {
	if depth >= maxDepth {
		return 0
	}
	return g.rand.IntN(max(2, 6-depth))
}

func (g *Generator) int(bits int) int64 {
	switch g.rand.IntN(8) {
	case 0:
		return int64(g.rand.Uint64()) >> (64 - bits)
	case 1:
		return math.MinInt64 >> (64 - bits)
	case 2:
		return math.MaxInt64 >> (64 - bits)
	case 3:
		return -int64(g.rand.IntN(10))
	case 4:
		return int64(g.rand.IntN(100))
	default:
		return int64(g.rand.IntN(5))
	}
}

func (g *Generator) uint(bits int) uint64 {
	switch g.rand.IntN(8) {
	case 0:
		return g.rand.Uint64() >> (64 - bits)
	case 1:
		return math.MaxUint64 >> (64 - bits)
	case 2:
		return uint64(g.rand.IntN(100))
	default:
		return uint64(g.rand.IntN(5))
	}
}

func (g *Generator) float(bits int) float64 {
	var f float64
	switch g.rand.IntN(8) {
	case 0:
		f = math.Float64frombits(g.rand.Uint64())
	case 1:
		f = []float64{math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, math.Copysign(0, -1)}[g.rand.IntN(5)]
	case 2:
		f = g.rand.NormFloat64()
	default:
		f = float64(g.rand.IntN(100)) / 10
	}
	if bits == 32 {
		f = float64(float32(f))
	}
	return f
}

// words are likely strings.
var words = []string{"", "a", "b", "c", "d", "alice", "bob", "carol", "key", "x y", "ä", "日本", "\x00", "A"}

func (g *Generator) string() string {
	if g.rand.IntN(8) > 0 {
		return words[g.rand.IntN(len(words))]
	}
	out := make([]rune, g.rand.IntN(40))
	for i := range out {
		out[i] = rune(' ' + g.rand.IntN(0x300))
	}
	return string(out)
}

// standard sets v if it is of a type of the standard library that has no exported fields.
func (g *Generator) standard(v reflect.Value) bool {
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		if g.rand.IntN(8) > 0 {
			*p = time.Unix(1_700_000_000+g.rand.Int64N(1000), g.rand.Int64N(1e9)).UTC()
		}
	case *netip.Addr:
		*p = g.addr()
	case *netip.Prefix:
		a := g.addr()
		*p = netip.PrefixFrom(a, g.rand.IntN(a.BitLen()+1))
	case *big.Int:
		p.SetInt64(g.int(64))
		if g.rand.IntN(4) == 0 {
			p.Lsh(p, uint(g.rand.IntN(100)))
		}
	case *url.URL:
		*p = url.URL{Scheme: "https", Host: "example.com", Path: "/" + words[1+g.rand.IntN(4)]}
	default:
		return false
	}
	return true
}

func (g *Generator) addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[8:], g.uint(64))
	if g.rand.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte{127, 0, 0, b[15]})
	}
	return netip.AddrFrom16(b)
}
