package gen

import (
	"fmt"
	"strings"
)

// many returns a package and its tests. The package has more fields, constants and
// variants than fit in a byte or in a word of bits.
func many() (source, tests string) {
	var fields, omitted, constants, declarations, held strings.Builder
	for i := range 140 {
		fmt.Fprintf(&fields, "F%d int64\n", i)
		fmt.Fprintf(&omitted, "O%d uint8 `msgpack:\",omitempty\"`\n", i)
	}
	for i := range 260 {
		fmt.Fprintf(&constants, "C%d Enum = %d\n", i, i*i)
		fmt.Fprintf(&declarations, "type V%d struct{ A uint16 }\nfunc (V%[1]d) one() {}\n", i)
		fmt.Fprintf(&held, "V%d{A: %[1]d}, ", i)
	}
	source = fmt.Sprintf(`package many

import "github.com/mosaik-go/mosaik/sm"

//mosaik:machine name=many version=1
type Machine struct{}

//mosaik:command
type Fields struct {
%s%s
	Enum Enum
}

func (Fields) ApplyTo(*Machine, sm.ApplyContext) (int64, error) { return 0, nil }

//mosaik:command
type Sum struct{ All []One }

func (Sum) ApplyTo(*Machine, sm.ApplyContext) (int64, error) { return 0, nil }

type Enum uint32

const (
%s)

type One interface{ one() }

%s`, &fields, &omitted, &constants, &declarations)
	tests = fmt.Sprintf(`package many

import (
	"reflect"
	"testing"

	"github.com/mosaik-go/mosaik/codec/codecimpl"

	"example.com/t/support"
)

func TestFields(t *testing.T) {
	type plain Fields
	support.Differential[Fields, plain](t, 100)
	// Each field in turn, alone and twice.
	typ := reflect.TypeFor[Fields]()
	for i := range typ.NumField() {
		var e codecimpl.Encoder
		name := e.String(nil, typ.Field(i).Name)
		one := append(name, 7)
		var f Fields
		if err := f.UnmarshalMsgpack(append([]byte{0x81}, one...)); err != nil || reflect.ValueOf(f).Field(i).IsZero() {
			t.Errorf("%%s: %%v", typ.Field(i).Name, err)
		}
		if err := f.UnmarshalMsgpack(append(append([]byte{0x82}, one...), one...)); err == nil {
			t.Errorf("%%s may come twice", typ.Field(i).Name)
		}
	}
}

func TestSum(t *testing.T) {
	v := Sum{All: []One{%s}}
	c := (&Machine{}).Spec().Codec
	b, err := c.Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Decode(b); err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%%v, %%v", got, err)
	}
}
`, &held)
	return source, tests
}
