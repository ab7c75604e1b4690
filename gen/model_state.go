package gen

import (
	"go/types"
	"reflect"
	"strings"
)

// The state of a machine with snapshots is a struct of the machine's fields. It is
// encoded like a command, except that no value may be lost:
//
//   - Unexported fields are encoded, so the types of other packages must not have any.
//   - omitempty, max= and the tag msgpack:"-" have no effect. Only mosaik:"-" excludes
//     a field.
//   - Slices and maps may span chunks.
//
// A type for which none of this matters shares its functions with commands.

// excluded is the value of the tag mosaik that excludes a field from the state.
const excluded = "-"

// rebuildMethod is the method of a machine that Restore calls after it has replaced the
// state.
const rebuildMethod = "AfterRestore"

// stateFormat is the version of the format in which package codecimpl writes states.
const stateFormat = 1

// state builds the model of the machine's state.
func (m *modeler) state(pkg *Package, machine *Machine) {
	if !machine.Snapshot {
		return
	}
	b := newBuilder(m, pkg, machine)
	b.state = true
	at := spot{pos: machine.object.Pos(), what: "machine " + machine.GoName, hint: machine.GoName}
	t, ok := machine.object.Type().Underlying().(*types.Struct)
	if !ok {
		m.problems.add(machine.pos, "machine %s is not a struct, so it has no fields to restore; declare it as one, or remove snapshot", machine.GoName)
		return
	}
	if !machine.pointer && len(machine.Commands) > 0 {
		m.problems.add(machine.pos, "the methods of machine %s take it by value, so Restore could not change it; take *%[1]s everywhere", machine.GoName)
		return
	}
	m.reservedMethods(pkg, machine.object, "Snapshot", "Restore")
	b.rebuild()
	machine.state = &Type{Kind: Struct, typ: machine.object.Type(), name: exported(machine.GoName) + "State", differs: true, state: true, array: machine.Array}
	l := layout{builder: b, embeds: []types.Type{machine.object.Type()}}
	for i := range t.NumFields() {
		if tag, _ := parseOptions(reflect.StructTag(t.Tag(i)).Get("mosaik")); tag.identity {
			continue // constant, and part of the signature
		}
		f := t.Field(i)
		l.field(f, t.Tag(i), "", machine.GoName, at.of(f, machine.GoName))
	}
	l.resolve()
	machine.state.Fields = l.fields
	machine.state.numberPointers()
	if !b.failed {
		b.freezable(machine.state)
	}
	if !b.failed && machine.freezes() {
		m.reservedMethods(pkg, machine.object, "Freeze")
	}
	b.finish(machine.state)
}

// rebuild finds the rebuildMethod of the machine.
func (b *builder) rebuild() {
	found, _, _ := types.LookupFieldOrMethod(types.NewPointer(b.machine.object.Type()), true, b.pkg.types, rebuildMethod)
	if found == nil {
		return
	}
	f, ok := found.(*types.Func)
	if ok {
		sig := f.Signature()
		ok = sig.Params().Len() == 0 && sig.Results().Len() == 1 && isUniverseError(sig.Results().At(0).Type())
	}
	if !ok {
		b.problems.add(b.fset.Position(found.Pos()), "%s of machine %s does not have the form %[1]s() error, in which Restore calls it; change its signature", rebuildMethod, b.machine.GoName)
		return
	}
	b.machine.rebuild = true
}

// lossless removes the options of a field that could lose its value.
func (l *layout) lossless(f *types.Var, out *Field) {
	if out.Name == "-" {
		out.Name, l.differs = "", true
	}
	l.differs = l.differs || out.Max > 0 || !f.Exported() && !f.Embedded()
	l.omitting = l.omitting || out.OmitEmpty
	out.OmitEmpty, out.Max = false, 0
}

// inState adapts the text of a problem with commands to a state.
func inState(text string) string {
	text = strings.ReplaceAll(text, " and convert it in ApplyTo", "")
	text = strings.ReplaceAll(text, ", or exclude the field with the tag `msgpack:\"-\"`", "")
	return text + "; or exclude the field with the tag `mosaik:\"-\"` if it is derived from other fields or not part of the state"
}

// roots returns the types that a machine encodes: commands and, if any, its state.
func (m *Machine) roots() []*Type { return roots(m.command, m.state) }

func roots(command, state *Type) []*Type {
	if state == nil {
		return []*Type{command}
	}
	return []*Type{command, state}
}
