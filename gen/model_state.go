package gen

import (
	"go/types"
	"reflect"
	"strings"
)

// The state of a machine with snapshots is a struct of the fields of its type.
// Its encoding is that of commands, except that nothing may get lost on the way:
//
//   - fields that are not exported are encoded, which the types of other
//     packages must therefore not have;
//   - omitempty and max= have no effect, and the tag msgpack:"-" none either:
//     mosaik:"-" alone excludes a field;
//   - slices and maps are written and read in pieces.
//
// A type to which none of this applies has the functions that commands use.

// excluded is the value of the tag mosaik of a field that is not state.
const excluded = "-"

// rebuildMethod is the method of a machine that is called once its state was
// replaced.
const rebuildMethod = "AfterRestore"

// stateFormat is the version of what the codec package writes of a state.
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
		m.problems.add(machine.pos, "machine %s is no struct, so that Restore could not tell its fields; declare it as one", machine.GoName)
		return
	}
	if !machine.pointer && len(machine.Commands) > 0 {
		m.problems.add(machine.pos, "the methods of machine %s take it by value, which Restore could not change; take *%[1]s everywhere", machine.GoName)
		return
	}
	m.reservedMethods(pkg, machine.object, "Snapshot", "Restore")
	b.rebuild()
	machine.state = &Type{Kind: Struct, typ: machine.object.Type(), name: exported(machine.GoName) + "State", differs: true, state: true, array: machine.Array}
	l := layout{builder: b, embeds: []types.Type{machine.object.Type()}}
	for i := range t.NumFields() {
		if tag, _ := parseOptions(reflect.StructTag(t.Tag(i)).Get("mosaik")); tag.identity {
			continue // it is what it is
		}
		f := t.Field(i)
		l.field(f, t.Tag(i), "", machine.GoName, at.of(f, machine.GoName))
	}
	l.settle()
	machine.state.Fields = l.fields
	machine.state.numberPointers()
	b.finish(machine.state)
}

// rebuild finds the machine's method that is called after Restore.
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
		b.problems.add(b.fset.Position(found.Pos()), "%s of machine %s is not of the form %[1]s() error, in which it is called once the state was restored", rebuildMethod, b.machine.GoName)
		return
	}
	b.machine.rebuild = true
}

// lossless takes from a field what could lose its value.
func (l *layout) lossless(f *types.Var, out *Field) {
	if out.Name == "-" {
		out.Name, l.differs = "", true
	}
	l.differs = l.differs || out.Max > 0 || !f.Exported() && !f.Embedded()
	l.omitting = l.omitting || out.OmitEmpty
	out.OmitEmpty, out.Max = false, 0
}

// inState rewords a problem that commands have, too.
func inState(text string) string {
	text = strings.ReplaceAll(text, " and convert it in ApplyTo", "")
	text = strings.ReplaceAll(text, ", or exclude the field with the tag `msgpack:\"-\"`", "")
	return text + "; or tag the field `mosaik:\"-\"` if it is derived from others, or no state"
}

// roots returns the types that a machine encodes.
func (m *Machine) roots() []*Type { return roots(m.command, m.state) }

func roots(command, state *Type) []*Type {
	if state == nil {
		return []*Type{command}
	}
	return []*Type{command, state}
}
