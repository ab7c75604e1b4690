package gen

import (
	"go/types"
)

// readyPrefix starts the schema names of the codecs of package codec.
const readyPrefix = "mosaik/"

// readyMade is a codec of package codec for a type of the standard library.
type readyMade struct {
	path, name string // of the type
	wire       string // the name of the codec in schemas
	codec      string // the type of the codec in package codec
	zero       string // the method that returns 0 for empty values, "" if only the zero value is
}

// readyCodecs are used unless the package declares a codec for the type.
var readyCodecs = []readyMade{
	{"net/netip", "Addr", readyPrefix + "ip", "Addr", ""},
	{"net/netip", "Prefix", readyPrefix + "ip-prefix", "Prefix", ""},
	{"math/big", "Int", readyPrefix + "integer", "Integer", ".Sign()"},
	{"net/url", "URL", readyPrefix + "url", "URL", ""},
}

// registration returns the codec for t, which is the first of those in the machine's
// package, in package codec and in the module, or nil. It returns false if it refused
// t.
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
		b.refuse(s, "the codecs for %s and %s are both named %q, so members could mistake the bytes of one for those of the other; rename one", b.text(other.of), b.text(own.of), own.name)
		return nil, false
	}
	b.pkg.used[own.name] = own
	return own, true
}

// formless reports whether t cannot be encoded without a codec, because it encodes
// itself or has fields that the package cannot access. Only then is a codec of the
// module searched for.
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

// hasZero reports whether a zero value of t, which has a registered codec, can be left
// out without a loss.
func (t *Type) hasZero() bool {
	if t.codec.ready != nil && t.codec.ready.zero != "" {
		return true
	}
	return types.Comparable(t.typ) && !holdsFloat(t.typ)
}

// holdsFloat reports whether a comparable t holds a float. Its two zeros are equal and
// encoded differently.
func holdsFloat(t types.Type) bool {
	return holds(t, make(map[types.Type]bool), func(part string) bool { return part == aFloat }) != ""
}

// identityOf returns the kind of a part of t that keeps t from being the key of a map:
// values of it may be equal and encoded differently, or the reverse. It returns "" if
// there is none.
func identityOf(t types.Type) string {
	return holds(t, make(map[types.Type]bool), func(string) bool { return true })
}

const aFloat = "a float"

// holds returns the kind of the first part of t that is wanted, among those whose
// equality is not that of their encodings. It does not follow pointers. It returns ""
// if there is none.
func holds(t types.Type, seen map[types.Type]bool, wanted func(part string) bool) string {
	if seen[t] {
		return ""
	}
	seen[t] = true
	if named, ok := types.Unalias(t).(*types.Named); ok && isNamed(named.Origin(), "unique", "Handle") {
		return "" // handles are equal if their values are
	}
	part := "a part that is not comparable"
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
