package gen

import "go/types"

// unaliased returns t with its aliases resolved, except for the package's own
// aliases without type arguments. Aliases of other packages may be unexported.
func (e *emitter) unaliased(t types.Type) types.Type {
	if alias, ok := t.(*types.Alias); ok && alias.Obj().Pkg() == e.pkg.types && alias.TypeArgs().Len() == 0 && !isLocal(alias.Obj().Name()) {
		return t
	}
	switch t := types.Unalias(t).(type) {
	case *types.Pointer:
		return types.NewPointer(e.unaliased(t.Elem()))
	case *types.Slice:
		return types.NewSlice(e.unaliased(t.Elem()))
	case *types.Array:
		return types.NewArray(e.unaliased(t.Elem()), t.Len())
	case *types.Map:
		return types.NewMap(e.unaliased(t.Key()), e.unaliased(t.Elem()))
	case *types.Struct:
		fields, tags := make([]*types.Var, t.NumFields()), make([]string, t.NumFields())
		for i := range fields {
			f := t.Field(i)
			typ := f.Type()
			if !f.Embedded() { // an embedded field has the name of its alias
				typ = e.unaliased(typ)
			}
			fields[i], tags[i] = types.NewField(f.Pos(), f.Pkg(), f.Name(), typ, f.Embedded()), t.Tag(i)
		}
		return types.NewStruct(fields, tags)
	case *types.Named:
		args := make([]types.Type, t.TypeArgs().Len())
		for i := range args {
			args[i] = e.unaliased(t.TypeArgs().At(i))
		}
		if len(args) > 0 {
			if plain, err := types.Instantiate(nil, t.Origin(), args, false); err == nil {
				return plain
			}
		}
		return t
	default:
		return t
	}
}
