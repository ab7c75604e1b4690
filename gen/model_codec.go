package gen

import (
	"go/types"
	"strings"
)

// ownSize is the memory that decoders count for a value with a registered codec, in
// bytes, and the highest that it may take. The true size of a type can differ between
// releases of Go, and must not decide what members accept.
const ownSize = 160

// registration is a codec for a type, of a directive //mosaik:codec or of package
// codec.
type registration struct {
	name   string          // on the wire
	object *types.TypeName // the codec's type, nil for one of package codec
	of     types.Type      // the type that it encodes
	ready  *readyMade      // the codec of package codec, nil for others
	module bool            // it serves all packages of its module
}

// codec registers the type below a directive as a codec.
func (m *modeler) codec(pkg *Package, d directive) {
	object, ok := pkg.types.Scope().Lookup(d.spec.Name.Name).(*types.TypeName)
	if !ok {
		m.problems.add(d.pos, "%s%s is above a type that is declared within a function; move %s to package scope", directivePrefix, d.verb, d.spec.Name.Name)
		return
	}
	r := &registration{name: d.args["name"], object: object, module: d.args["module"] != ""}
	_, isStruct := object.Type().Underlying().(*types.Struct)
	of := r.signature(pkg)
	named, isNamed := of.(*types.Named)
	switch {
	case d.failed:
	case r.name == "":
		m.problems.add(d.pos, "codec %s has no name; add name=…, and keep that name when types are renamed", object.Name())
	case strings.HasPrefix(r.name, readyPrefix):
		m.problems.add(d.pos, "codec %s is named %q, but names that start with %s are reserved for the codecs of mosaik; choose another name", object.Name(), r.name, readyPrefix)
	case d.spec.TypeParams != nil:
		m.problems.add(d.pos, "codec %s is generic; declare a codec for each type, as in type %[1]sOf = %[1]s[…]", object.Name())
	case !isStruct || isLocal(object.Name()):
		m.problems.add(d.pos, "codec %s is not a struct, or has the name of a variable in generated code; declare it as struct{} with another name", object.Name())
	case of == nil:
		m.problems.add(d.pos, "codec %s lacks Append(dst []byte, v T) ([]byte, error) or Decode(src []byte) (T, error) with a value receiver; add both methods, or use codec.Binary or codec.Text%s", object.Name(), m.complaint(d.spec.Pos()))
	case r.lacks() != "":
		m.problems.add(d.pos, "codec %s is for %s, which has no method %s; add it", object.Name(), types.TypeString(of, types.RelativeTo(pkg.types)), r.lacks())
	case !isNamed || types.IsInterface(of) || isPointer(of) || isBuiltIn(of):
		m.problems.add(d.pos, "codec %s is for %s, which cannot have one; declare a named type that is not a pointer or interface, nor time.Time or time.Duration", object.Name(), types.TypeString(of, types.RelativeTo(pkg.types)))
	case pkg.commandOf(named) != nil:
		m.problems.add(d.pos, "codec %s is for command %s, whose codec mosaik-gen generates; remove the directive", object.Name(), named.Obj().Name())
	case wideSize(of) > ownSize:
		m.problems.add(d.pos, "codec %s is for %s, which takes %d bytes of memory, at most %d are allowed; use a type that holds a pointer", object.Name(), types.TypeString(of, types.RelativeTo(pkg.types)), wideSize(of), ownSize)
	default:
		r.of = of
		m.register(pkg, r, d)
	}
}

// register adds r to the package's codecs.
func (m *modeler) register(pkg *Package, r *registration, d directive) {
	for _, o := range pkg.codecs.Keys() {
		other := pkg.codecs.At(o).(*registration)
		switch {
		case types.Identical(o, r.of):
			m.problems.add(d.pos, "%s and %s are both codecs for %s; remove one", other.object.Name(), r.object.Name(), types.TypeString(o, types.RelativeTo(pkg.types)))
			return
		case other.name == r.name:
			m.problems.add(d.pos, "codecs %s and %s are both named %q, so members could mistake the bytes of one for those of the other; rename one", other.object.Name(), r.object.Name(), r.name)
			return
		}
	}
	pkg.codecs.Set(r.of, r)
}

// signature returns the type that the codec's methods encode, or nil if it lacks them.
func (r *registration) signature(pkg *Package) types.Type {
	methods := types.NewMethodSet(types.Unalias(r.object.Type()))
	bytes := types.NewSlice(types.Typ[types.Byte])
	check := func(name string, params, results int) *types.Signature {
		found := methods.Lookup(pkg.types, name)
		if found == nil {
			return nil
		}
		sig := found.Type().(*types.Signature)
		if sig.Params().Len() != params || sig.Results().Len() != results || sig.Variadic() ||
			!types.Identical(sig.Params().At(0).Type(), bytes) || !isUniverseError(sig.Results().At(1).Type()) {
			return nil
		}
		return sig
	}
	encode, decode := check("Append", 2, 2), check("Decode", 1, 2)
	if encode == nil || decode == nil || !types.Identical(encode.Results().At(0).Type(), bytes) ||
		!types.Identical(encode.Params().At(1).Type(), decode.Results().At(0).Type()) {
		return nil
	}
	return types.Unalias(decode.Results().At(0).Type())
}

func isPointer(t types.Type) bool {
	_, ok := t.Underlying().(*types.Pointer)
	return ok
}

// isBuiltIn reports whether t is a standard type with an encoding of its own.
func isBuiltIn(t types.Type) bool {
	return isNamed(t, "time", "Time") || isNamed(t, "time", "Duration")
}

// wideSize returns the memory that a value of t takes, as [Type.size].
func wideSize(t types.Type) int64 { return make(wideSizes).of(t) }

// wideSizes caches the sizes of structs.
type wideSizes map[*types.Struct]int64

func (known wideSizes) of(t types.Type) int64 {
	switch t := t.Underlying().(type) {
	case *types.Struct:
		if sum, ok := known[t]; ok {
			return sum
		}
		var sum int64
		for f := range t.Fields() {
			sum += known.of(f.Type())
		}
		known[t] = min(sum, hugeSize)
		return known[t]
	case *types.Array:
		return min(min(t.Len(), hugeSize)*known.of(t.Elem()), hugeSize)
	case *types.Slice:
		return 24
	case *types.Interface:
		return 16
	case *types.Basic:
		switch {
		case t.Info()&types.IsString != 0, t.Kind() == types.Complex128:
			return 16
		case basicKinds[t.Kind()].Kind == Bool:
			return 1
		case basicKinds[t.Kind()].Bits > 0:
			return int64(basicKinds[t.Kind()].Bits / 8)
		}
	}
	return 8
}
