// Package dump writes Go values as text that is the same for equal values: in any process, and
// for any order of a map.
package dump

import (
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/mosaik-go/mosaik/sm"
)

// Value returns v as lines of the form "path: value", with the path starting at root. It
// follows pointers and reads unexported fields, so nobody may change the value meanwhile. Of
// functions, channels and unsafe pointers it writes whether they are nil, and of times the
// instant. A pointer that leads back to a value that contains it is written as "cycle".
func Value(root string, v any) string {
	d := dumper{entered: make(map[visit]bool)}
	d.value(root, reflect.ValueOf(v))
	return d.out.String()
}

type dumper struct {
	out     strings.Builder
	entered map[visit]bool // pointers, maps and slices that contain the current value
}

// visit identifies a value behind a pointer. A struct and its first field have one address.
type visit struct {
	typ reflect.Type
	at  unsafe.Pointer
	len int
}

func (d *dumper) line(path, value string) {
	d.out.WriteString(path)
	d.out.WriteString(": ")
	d.out.WriteString(value)
	d.out.WriteByte('\n')
}

func (d *dumper) value(path string, v reflect.Value) {
	if !v.IsValid() {
		d.line(path, "nil")
		return
	}
	if text, ok := standard(v); ok {
		d.line(path, text)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		d.line(path, strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		d.line(path, strconv.FormatInt(v.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		d.line(path, strconv.FormatUint(v.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		d.line(path, float(v.Float()))
	case reflect.Complex64, reflect.Complex128:
		c := v.Complex()
		d.line(path, float(real(c))+" "+float(imag(c))+"i")
	case reflect.String:
		d.line(path, strconv.Quote(v.String()))
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		d.line(path, opaque(v))
	case reflect.Interface:
		if v.IsNil() {
			d.line(path, "nil")
			return
		}
		d.value(fmt.Sprintf("%s.(%s)", path, v.Elem().Type()), v.Elem())
	case reflect.Pointer:
		d.within(path, v, 0, func() { d.value(path, v.Elem()) })
	case reflect.Struct:
		if isContainer(v.Type()) {
			d.container(path, v)
			return
		}
		d.fields(path, v)
	case reflect.Slice:
		d.within(path, v, v.Len(), func() { d.elements(path, v) })
	case reflect.Array:
		d.elements(path, v)
	case reflect.Map:
		d.within(path, v, v.Len(), func() { d.entries(path, v) })
	}
}

// within calls write for the value behind v, unless v is nil or is behind itself.
func (d *dumper) within(path string, v reflect.Value, length int, write func()) {
	if v.IsNil() {
		d.line(path, "nil")
		return
	}
	here := visit{typ: v.Type(), at: v.UnsafePointer(), len: length}
	if d.entered[here] && !(v.Kind() == reflect.Slice && length == 0) {
		d.line(path, "cycle")
		return
	}
	d.entered[here] = true
	write()
	delete(d.entered, here)
}

func (d *dumper) fields(path string, v reflect.Value) {
	v = addressable(v)
	if v.NumField() == 0 {
		d.line(path, "{}")
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		// The field is read through its address, since reflection hands out no
		// unexported field as a value that has methods.
		at := reflect.NewAt(f.Type, v.Field(i).Addr().UnsafePointer()).Elem()
		if f.Anonymous && f.Type.Kind() == reflect.Struct && f.Type.NumField() > 0 {
			d.value(path, at)
			continue
		}
		d.value(path+"."+f.Name, at)
	}
}

// isContainer reports whether t is one of the containers of package sm. Their fields differ with
// how equal containers came about.
func isContainer(t reflect.Type) bool {
	name, _, generic := strings.Cut(t.Name(), "[")
	return generic && t.PkgPath() == containers && (name == "Map" || name == "Set" || name == "List")
}

var containers = reflect.TypeFor[sm.Set[string]]().PkgPath()

// container writes a container like the plain map or slice in its place.
func (d *dumper) container(path string, v reflect.Value) {
	d.line(path, fmt.Sprintf("length %d", v.MethodByName("Len").Call(nil)[0].Int()))
	all := v.MethodByName("All").Call(nil)[0]
	if all.Type().In(0).NumIn() == 1 { // the elements of a Set
		for k := range all.Seq() {
			d.line(path+"["+key(k)+"]", "{}")
		}
		return
	}
	for k, value := range all.Seq2() {
		d.value(path+"["+key(k)+"]", value)
	}
}

// addressable returns v or a copy of it that has an address.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}

func (d *dumper) elements(path string, v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		d.line(path, fmt.Sprintf("%x", bytesOf(v)))
		return
	}
	d.line(path, fmt.Sprintf("length %d", v.Len()))
	for i := range v.Len() {
		d.value(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
	}
}

func bytesOf(v reflect.Value) []byte {
	out := make([]byte, v.Len())
	for i := range out {
		out[i] = byte(v.Index(i).Uint())
	}
	return out
}

// entries writes the entries of a map in the order of the text of their keys. Keys with equal
// texts, such as NaNs, are ordered by their values' text.
func (d *dumper) entries(path string, v reflect.Value) {
	d.line(path, fmt.Sprintf("length %d", v.Len()))
	all := make([]string, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		one := dumper{entered: d.entered}
		one.value(path+"["+key(it.Key())+"]", it.Value())
		all = append(all, one.out.String())
	}
	slices.Sort(all)
	for _, text := range all {
		d.out.WriteString(text)
	}
}

// key returns the text of a map's key on one line.
func key(v reflect.Value) string {
	one := dumper{entered: make(map[visit]bool)}
	one.value("", v)
	lines := strings.Split(strings.TrimSuffix(one.out.String(), "\n"), "\n")
	if len(lines) == 1 {
		return strings.TrimPrefix(lines[0], ": ")
	}
	return strings.Join(lines, ", ")
}

// float returns a text that tells apart all values but the NaNs.
func float(f float64) string {
	if f == 0 && math.Signbit(f) {
		return "-0"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func opaque(v reflect.Value) string {
	if v.IsNil() {
		return "nil " + v.Kind().String()
	}
	return v.Kind().String()
}

// standard returns the text of a value of the standard library whose fields are more than what
// it stands for.
func standard(v reflect.Value) (string, bool) {
	if !v.CanInterface() || v.Kind() == reflect.Interface {
		return "", false
	}
	switch x := v.Interface().(type) {
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano), true
	case netip.Addr:
		return x.String(), true
	case netip.Prefix:
		return x.String(), true
	case big.Int:
		return x.String(), true
	case url.URL:
		return strconv.Quote(x.String()), true
	}
	return "", false
}
