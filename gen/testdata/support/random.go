// Package support tests generated codecs with random values.
package support

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"time"
)

// Random makes random values.
type Random struct {
	*rand.Rand
	// Variants are values of the types that an interface can hold.
	Variants map[reflect.Type][]any
	// UnsortedEntries bounds the entries of maps that vmihailenco/msgpack
	// writes in random order.
	UnsortedEntries int
	// State asks for the state of machines: fields that are not exported are
	// filled, too, and those that are excluded or part of the identity are not.
	State bool
	// Sparse asks for fields of structs that are zero as often as not.
	Sparse bool
}

// New returns a source that draws the same in each run.
func New(seed uint64) *Random {
	return &Random{Rand: rand.New(rand.NewPCG(seed, 1)), Variants: map[reflect.Type][]any{}, UnsortedEntries: 20}
}

// Fill makes v random. Values get smaller with depth.
func (r *Random) Fill(v reflect.Value, depth int) {
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(r.time()))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64() >> r.IntN(64)))
		if r.IntN(2) == 0 {
			v.SetInt(-v.Int())
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64() >> r.IntN(64))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(r.NormFloat64())
	case reflect.String:
		v.SetString(r.text())
	case reflect.Slice:
		if n := r.length(depth); n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				r.Fill(v.Index(i), depth+1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			r.Fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		r.fillMap(v, depth)
	case reflect.Pointer:
		if r.length(depth) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			r.Fill(v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if r.Sparse && r.IntN(2) == 0 {
				continue
			}
			if f := v.Field(i); f.CanSet() && !r.State && v.Type().Field(i).Tag.Get("msgpack") != "-" {
				r.Fill(f, depth+1)
			} else if t := v.Type().Field(i); r.State && t.Tag.Get("mosaik") != "-" && !strings.HasPrefix(t.Tag.Get("mosaik"), "identity") && t.Name != "_" {
				r.Fill(reflect.NewAt(t.Type, f.Addr().UnsafePointer()).Elem(), depth+1)
			}
		}
	case reflect.Interface:
		if all := r.Variants[v.Type()]; r.length(depth) > 0 {
			x := reflect.New(reflect.TypeOf(all[r.IntN(len(all))])).Elem()
			if x.Kind() == reflect.Pointer {
				x.Set(reflect.New(x.Type().Elem()))
				r.Fill(x.Elem(), depth+1)
			} else {
				r.Fill(x, depth+1)
			}
			v.Set(x)
		}
	}
}

func (r *Random) fillMap(v reflect.Value, depth int) {
	n := r.length(depth)
	if n < 0 {
		return
	}
	elem := v.Type().Elem()
	if v.Type() != reflect.TypeFor[map[string]string]() && v.Type() != reflect.TypeFor[map[string]bool]() {
		n = min(n, r.UnsortedEntries)
	}
	v.Set(reflect.MakeMap(v.Type()))
	for range n {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(elem).Elem()
		r.Fill(key, depth+1)
		r.Fill(value, depth+1)
		v.SetMapIndex(key, value)
	}
}

// length returns a number of elements, -1 for nil.
func (r *Random) length(depth int) int {
	if depth > 12 {
		return -1
	}
	switch r.IntN(8) {
	case 0:
		return -1
	case 1:
		return 0
	case 2:
		return r.IntN(max(1, 40>>depth))
	}
	return r.IntN(max(2, 8>>depth))
}

func (r *Random) text() string {
	letters := []rune("abcdefghijklmnopqrstuvwxyzABCDEF 0123456789_-äöü€𝄞")
	n := r.IntN(12)
	if r.IntN(10) == 0 {
		n = r.IntN(300)
	}
	text := make([]rune, n)
	for i := range text {
		text[i] = letters[r.IntN(len(letters))]
	}
	return string(text)
}

func (r *Random) time() time.Time {
	switch r.IntN(4) {
	case 0:
		return time.Time{}.UTC()
	case 1:
		return time.Unix(int64(r.Uint32()), 0).UTC()
	case 2:
		return time.Unix(r.Int64N(1<<40)-1<<39, r.Int64N(1e9)).UTC()
	}
	return time.Unix(r.Int64N(1<<34), r.Int64N(1e9)).UTC()
}
