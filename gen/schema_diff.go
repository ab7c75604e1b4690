package gen

import (
	"fmt"
	"strconv"
)

// diff describes the differences between two schemas, as in
// "Deposit.Amount: i64 → i32". breaking holds those that are incompatible, so that new
// cannot be a level after old. Equal schemas have no differences.
func diff(old, new schema) (changes, breaking []string) {
	var d differ
	if old.name != new.name {
		d.say("machine", "%q → %q", old.name, new.name)
	}
	if old.version != new.version {
		d.say("machine version", "%d → %d", old.version, new.version)
	}
	if old.array != new.array {
		d.say("machine layout", "%s → %s", layoutName(old.array), layoutName(new.array))
	}
	d.seen = make(map[[2]*Type]bool)
	d.fields(identityPath, &Type{Kind: Struct, Fields: old.identity}, &Type{Kind: Struct, Fields: new.identity})
	d.types("", old.root, new.root)
	d.state(old, new)
	return d.changes, d.breaking
}

// state compares the states of machines.
func (d *differ) state(old, new schema) {
	switch {
	case old.state == nil && new.state == nil:
	case old.state == nil:
		d.say("state", "added")
	case new.state == nil:
		d.say("state", "removed")
	case old.format != new.format:
		d.say("state", "format %d → %d", old.format, new.format)
	default:
		d.types(statePath, old.state, new.state)
	}
}

func layoutName(array bool) string {
	if array {
		return "array"
	}
	return "map"
}

// The paths of the fields in the identity and in the state of a machine.
const (
	identityPath = "identity"
	statePath    = "state"
)

// differ collects the differences between two schemas.
type differ struct {
	changes  []string
	breaking []string // those that are incompatible
	seen     map[[2]*Type]bool
}

// say adds an incompatible difference.
func (d *differ) say(path, format string, args ...any) {
	if path == "" {
		path = "command"
	}
	text := path + ": " + fmt.Sprintf(format, args...)
	d.changes, d.breaking = append(d.changes, text), append(d.breaking, text)
}

// extend adds a compatible difference.
func (d *differ) extend(path, format string, args ...any) {
	d.changes = append(d.changes, path+": "+fmt.Sprintf(format, args...))
}

// types compares the types at the same path.
func (d *differ) types(path string, old, new *Type) {
	if d.seen[[2]*Type{old, new}] {
		return
	}
	d.seen[[2]*Type{old, new}] = true
	if old.Kind != new.Kind || old.Bits != new.Bits || old.Len != new.Len || old.Tuple != new.Tuple ||
		old.Own != new.Own || (old.Elem == nil) != (new.Elem == nil) {
		d.say(path, "%s → %s", old.brief(), new.brief())
		return
	}
	d.constants(path, old, new)
	switch old.Kind {
	case Struct:
		d.fields(path, old, new)
	case Sum:
		d.variants(path, old, new)
	case Map:
		d.types(path+"[key]", old.Key, new.Key)
		d.types(path+"[]", old.Elem, new.Elem)
	case Bytes, ByteArray:
		if old.Elem != nil {
			d.types(path+"[]", old.Elem, new.Elem)
		}
	case Slice, Array:
		d.types(path+"[]", old.Elem, new.Elem)
	case Pointer:
		d.types(path, old.Elem, new.Elem)
	}
}

// fields compares the fields of structs.
func (d *differ) fields(path string, old, new *Type) {
	was := make(map[string]Field)
	for _, f := range old.Fields {
		was[f.Name] = f
	}
	moved := false
	for i, f := range new.canonicalFields() {
		o, ok := was[f.Name]
		if !ok {
			say := d.say
			if f.OmitEmpty && !new.Tuple && path != identityPath {
				say = d.extend
			}
			say(path+"."+f.Name, "added, %s", f.Type.brief()+new.conditions(f))
			continue
		}
		delete(was, f.Name)
		if before, after := old.conditions(o), new.conditions(f); before != after {
			d.say(path+"."+f.Name, "%s → %s", orNone(before), orNone(after))
		}
		moved = moved || i < len(old.Fields) && old.Fields[i].Name != f.Name
		d.types(path+"."+f.Name, o.Type, f.Type)
	}
	for _, f := range old.Fields {
		if _, gone := was[f.Name]; gone {
			d.say(path+"."+f.Name, "removed")
		}
	}
	if moved && old.Tuple && len(old.Fields) == len(new.Fields) {
		d.say(path, "the order of its fields")
	}
}

// sayer is one of the differ's methods say and extend.
type sayer func(path, format string, args ...any)

// variants compares the variants of sums.
func (d *differ) variants(path string, old, new *Type) {
	report := func(say sayer, name, what string) { say(path, "variant %s %s", name, what) }
	inside := func(name string) string { return path + ".(" + name + ")" }
	if new.root {
		report = func(say sayer, name, what string) { say("command "+name, "%s", what) }
		inside = func(name string) string { return name }
	}
	was := make(map[string]Variant)
	for _, v := range old.Variants {
		was[v.Name] = v
	}
	for _, v := range new.Variants {
		o, ok := was[v.Name]
		if !ok {
			report(d.extend, v.Name, "added")
			continue
		}
		delete(was, v.Name)
		d.types(inside(v.Name), o.Type, v.Type)
	}
	for _, v := range old.Variants {
		if _, gone := was[v.Name]; gone {
			report(d.say, v.Name, "removed")
		}
	}
}

// constants compares the constants of enums.
func (d *differ) constants(path string, old, new *Type) {
	was := make(map[string]string)
	for _, c := range old.Enum {
		was[c.Name] = c.Value
	}
	for _, c := range new.Enum {
		value, ok := was[c.Name]
		delete(was, c.Name)
		switch {
		case !ok:
			d.say(path, "constant %s = %s added", c.Name, c.Value)
		case value != c.Value:
			d.say(path, "constant %s = %s → %s", c.Name, value, c.Value)
		}
	}
	for _, c := range old.Enum {
		if _, gone := was[c.Name]; gone {
			d.say(path, "constant %s removed", c.Name)
		}
	}
}

func orNone(conditions string) string {
	if conditions == "" {
		return "no condition"
	}
	return conditions[1 : len(conditions)-1]
}

// brief describes t in one or two words.
func (t *Type) brief() string {
	switch {
	case t.Kind == Struct && t.Tuple:
		return "tuple"
	case t.Kind == Struct:
		return "struct"
	case t.Kind == Sum:
		return "sum"
	case t.Kind == Slice:
		return "[]" + t.Elem.brief()
	case t.Kind == Array:
		return "[" + strconv.Itoa(t.Len) + "]" + t.Elem.brief()
	case t.Kind == Map:
		return "map[" + t.Key.brief() + "]" + t.Elem.brief()
	case t.Kind == Pointer:
		return "*" + t.Elem.brief()
	case len(t.Enum) > 0:
		return t.scalar()
	}
	return t.reference(func(t *Type) string { return " of " + t.scalar() })
}
