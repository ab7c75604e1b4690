package gen

import (
	"cmp"
	"go/types"
	"reflect"
	"slices"
)

// identity finds the fields of the machine's type that are tagged
// `mosaik:"identity"`.
func (b *builder) identity() {
	t, ok := b.machine.object.Type().Underlying().(*types.Struct)
	if !ok {
		return
	}
	for i := range t.NumFields() {
		text, ok := reflect.StructTag(t.Tag(i)).Lookup("mosaik")
		if !ok {
			continue
		}
		tag, ok := parseOptions(text)
		if ok && !tag.identity && tag.max == 0 && (tag.excluded || b.machine.Snapshot) {
			continue
		}
		f := t.Field(i)
		s := spot{pos: f.Pos(), what: "field " + b.machine.GoName + "." + f.Name(), hint: f.Name()}
		if !ok || !tag.identity || tag.max > 0 {
			b.refuse(s, "the tag `mosaik:%q` is not allowed on a field of a machine; use `mosaik:\"identity\"` or `mosaik:\"-\"`, or remove it", text)
			continue
		}
		undo := b.widths(b.pkg.words | tag.words)
		typ := b.build(f.Type(), s)
		undo()
		if typ == nil {
			continue
		}
		plain := *typ
		plain.Enum, plain.Elem = nil, nil // the value counts, not its possible values
		switch plain.Kind {
		case Bool, Int, Uint, Float, String, Bytes, ByteArray, Duration:
			b.machine.Identity = append(b.machine.Identity, Field{Name: f.Name(), Type: &plain, goName: f.Name(), selector: "." + f.Name()})
		default:
			b.refuse(s, "%s cannot be part of the identity; use a bool, a number, a string or bytes", b.text(f.Type()))
		}
	}
	slices.SortFunc(b.machine.Identity, func(a, b Field) int { return cmp.Compare(a.Name, b.Name) })
}
