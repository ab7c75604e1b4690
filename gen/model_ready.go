package gen

import (
	"go/types"
)

// readyPrefix begins the names of the codecs of package codec on the wire.
const readyPrefix = "mosaik/"

// readyMade is a codec of package codec for a type of the standard library.
type readyMade struct {
	path, name string // of the type
	wire       string // its name on the wire
	codec      string // its type in package codec
	zero       string // the method that returns 0 for its empty values, "" if that is the zero value
}

// readyCodecs are in use unless the package has a codec for the type.
var readyCodecs = []readyMade{
	{"net/netip", "Addr", readyPrefix + "ip", "Addr", ""},
	{"net/netip", "Prefix", readyPrefix + "ip-prefix", "Prefix", ""},
	{"math/big", "Int", readyPrefix + "integer", "Integer", ".Sign()"},
	{"net/url", "URL", readyPrefix + "url", "URL", ""},
}

// registration returns the codec that t has where its machine is: that of the
// package, of package codec, or of the module, in this order; nil if t has none.
// It returns false when t was refused.
func (b *builder) registration(t types.Type, s spot) (own *registration, ok bool) {
	named, isNamedType := t.(*types.Named)
	if !isNamedType {
		return nil, true
	}
	own, found := b.pkg.codecs.At(t).(*registration)
	for i := range readyCodecs {
		if r := &readyCodecs[i]; !found && isNamed(t, r.path, r.name) {
			own, found = &registration{name: r.wire, of: t, ready: r}, true
		}
	}
	if !found && b.formless(named) {
		if own, ok = b.moduleCodec(named, s); !ok {
			return nil, false
		}
		found = own != nil
	}
	if !found {
		return nil, true
	}
	if other := b.pkg.used[own.name]; other != nil && !types.Identical(other.of, own.of) {
		b.refuse(s, "the codecs of %s and %s are both named %q; members would take the bytes of one for those of the other, rename one", b.text(other.of), b.text(own.of), own.name)
		return nil, false
	}
	b.pkg.used[own.name] = own
	return own, true
}

// formless reports whether t has no form of its own on the wire, so that a codec
// of its module is looked for: it encodes itself, or has fields that cannot be
// read here.
func (b *builder) formless(t *types.Named) bool {
	if isBuiltIn(t) || b.pkg.commandOf(t) != nil {
		return false
	}
	if b.ownCodec(t) != "" {
		return true
	}
	fields, ok := t.Underlying().(*types.Struct)
	if !ok || t.Obj().Pkg() == b.pkg.types {
		return false
	}
	for f := range fields.Fields() {
		if !f.Exported() && f.Name() != "_" && f.Name() != optionsField {
			return true
		}
	}
	return false
}

// hasZero reports whether a value of t, of a registered codec, can be compared
// with the zero value such that nothing is lost when it is left out.
func (t *Type) hasZero() bool {
	if t.codec.ready != nil && t.codec.ready.zero != "" {
		return true
	}
	return types.Comparable(t.typ) && !holdsFloat(t.typ)
}

// holdsFloat reports whether a comparable t holds a float, whose zeros differ
// although they are equal.
func holdsFloat(t types.Type) bool {
	return holds(t, make(map[types.Type]bool), func(part string) bool { return part == aFloat }) != ""
}

// identityOf returns what t holds that may be equal although its encodings
// differ, or the other way round, so that t is no key of a map; "" for nothing.
func identityOf(t types.Type) string {
	return holds(t, make(map[types.Type]bool), func(string) bool { return true })
}

const aFloat = "a float"

// holds returns the first part of t, outside of pointers and the like, of those
// that are not equal where their encodings are and that are wanted; "" for none.
func holds(t types.Type, seen map[types.Type]bool, wanted func(part string) bool) string {
	if seen[t] {
		return ""
	}
	seen[t] = true
	if named, ok := types.Unalias(t).(*types.Named); ok && isNamed(named.Origin(), "unique", "Handle") {
		return "" // it is equal where its value is
	}
	part := "what cannot be compared"
	switch u := t.Underlying().(type) {
	case *types.Basic:
		switch {
		case u.Info()&(types.IsFloat|types.IsComplex) != 0:
			part = aFloat
		case u.Kind() == types.UnsafePointer:
			part = "a pointer"
		default:
			return ""
		}
	case *types.Array:
		return holds(u.Elem(), seen, wanted)
	case *types.Struct:
		for f := range u.Fields() {
			if part := holds(f.Type(), seen, wanted); part != "" {
				return part
			}
		}
		return ""
	case *types.Pointer:
		part = "a pointer"
	case *types.Interface:
		part = "an interface"
	case *types.Chan:
		part = "a chan"
	}
	if wanted(part) {
		return part
	}
	return ""
}
