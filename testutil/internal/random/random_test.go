package random

import (
	"math/big"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"
)

type color string

type shape interface{ isShape() }

type circle struct{ Radius uint8 }
type group struct{ Parts []shape }

func (circle) isShape() {}
func (*group) isShape() {}

type everything struct {
	Bool    bool
	Int8    int8
	Int64   int64
	Uint16  uint16
	Float32 float32
	Float64 float64
	Text    string
	Bytes   []byte
	Array   [2]int
	Map     map[string]color
	Pointer *everything
	Shape   shape
	Color   color
	Time    time.Time
	Addr    netip.Addr
	Prefix  netip.Prefix
	Big     big.Int
	URL     *url.URL
	Skipped int `msgpack:"-"`
	hidden  int // never set
}

func TestValue(t *testing.T) {
	g := New(rand.New(rand.NewPCG(1, 2)), []any{circle{}, &group{}, color("red"), color("green")})
	seen := make(map[string]map[string]bool) // the kinds of values of each field
	typ := reflect.TypeFor[everything]()
	for range 3000 {
		v := g.Value(typ)
		for i := range typ.NumField() {
			f := typ.Field(i)
			if seen[f.Name] == nil {
				seen[f.Name] = make(map[string]bool)
			}
			kind := "set"
			if v.Field(i).IsZero() {
				kind = "zero"
			} else if f.Type.Kind() == reflect.Interface {
				kind = v.Field(i).Elem().Type().String()
			}
			seen[f.Name][kind] = true
		}
		e := v.Interface().(everything)
		if e.hidden != 0 {
			t.Fatalf("a field that is not exported is %d", e.hidden)
		}
		if e.Color != "red" && e.Color != "green" {
			t.Fatalf("the color is %q, which is no sample", e.Color)
		}
		for _, c := range e.Map {
			if c != "red" && c != "green" {
				t.Fatalf("a color in a map is %q, which is no sample", c)
			}
		}
	}
	for name, kinds := range seen {
		switch name {
		case "Skipped", "hidden":
			if kinds["set"] {
				t.Errorf("field %s is set", name)
			}
		case "Shape":
			if !kinds["random.circle"] || !kinds["*random.group"] {
				t.Errorf("field %s has only the values %v", name, kinds)
			}
		case "Array", "Prefix", "Addr", "Big", "Color":
			if !kinds["set"] {
				t.Errorf("field %s is never set", name)
			}
		default:
			if !kinds["set"] || !kinds["zero"] {
				t.Errorf("field %s has only the values %v", name, kinds)
			}
		}
	}
}

// TestValueIsReproducible draws the same values from the same seed.
func TestValueIsReproducible(t *testing.T) {
	draw := func() any {
		return New(rand.New(rand.NewPCG(3, 4)), []any{circle{}}).Value(reflect.TypeFor[[]everything]()).Interface()
	}
	if a, b := draw(), draw(); !reflect.DeepEqual(a, b) {
		t.Errorf("one seed draws %v and %v", a, b)
	}
}

func TestKnows(t *testing.T) {
	iface := reflect.TypeFor[shape]()
	if g := New(nil, []any{color("")}); g.Knows(iface) {
		t.Error("a color is no shape")
	}
	if g := New(nil, []any{&group{}}); !g.Knows(iface) {
		t.Error("a group is a shape")
	}
}
