package codec

import (
	"fmt"
	"reflect"
	"time"

	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// checkDepth refuses a value of n that nests deeper than MaxDepth. This includes cyclic
// pointers, which would exhaust the stack of an encoder.
func checkDepth(n *node, v reflect.Value, depth int) *wire.Fault {
	if !n.recursive || n.nilable() && v.IsNil() {
		return nil
	}
	if n.form == formPointer {
		return checkDepth(n.elem, v.Elem(), depth)
	}
	if depth >= MaxDepth {
		return &wire.Fault{Err: ErrDepth, Detail: fmt.Sprintf("nested deeper than %d", MaxDepth)}
	}
	switch n.form {
	case formSlice, formArray:
		for i := range v.Len() {
			if fault := checkDepth(n.elem, v.Index(i), depth+1); fault != nil {
				return fault.In(fmt.Sprintf("[%d]", i))
			}
		}
	case formMap:
		for it := v.MapRange(); it.Next(); {
			if fault := checkDepth(n.elem, it.Value(), depth+1); fault != nil {
				return fault.In(fmt.Sprintf("[%#v]", it.Key()))
			}
		}
	case formStruct:
		for i := range n.fields {
			f := &n.fields[i]
			if fault := checkDepth(f.node, v.FieldByIndex(f.index), depth+1); fault != nil {
				return fault.In("." + f.goName)
			}
		}
	}
	return nil
}

// toUTC converts the times within v, a settable value of n, to UTC. msgpack decodes
// them into the zone of the process, which differs between members.
func toUTC(n *node, v reflect.Value) {
	if !n.hasTime {
		return
	}
	switch n.form {
	case formTime:
		t := v.Addr().Interface().(*time.Time)
		*t = t.UTC()
	case formPointer:
		if !v.IsNil() {
			toUTC(n.elem, v.Elem())
		}
	case formSlice, formArray:
		for i := range v.Len() {
			toUTC(n.elem, v.Index(i))
		}
	case formMap:
		for it := v.MapRange(); it.Next(); {
			elem := reflect.New(n.elem.typ).Elem()
			elem.Set(it.Value())
			toUTC(n.elem, elem)
			v.SetMapIndex(it.Key(), elem)
		}
	case formStruct:
		for i := range n.fields {
			toUTC(n.fields[i].node, v.FieldByIndex(n.fields[i].index))
		}
	}
}
