package gen

import (
	"cmp"
	"errors"
	"fmt"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// evolve compares the machine's schema with the one in its file, sets the levels of
// its fields and variants, and returns the new content of the file.
func (r *Result) evolve(m *Machine, path string, problems *Problems) string {
	file := filepath.Base(path)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if m.Level > 1 {
			problems.add(m.pos, "machine %s is at level %d, but its schema file %s, which records the earlier levels, is missing; restore it from version control", m.GoName, m.Level, file)
		}
		return m.start()
	}
	if err != nil {
		problems.add(m.pos, "machine %s: %v", m.GoName, err)
		return ""
	}
	before, err := parseLevels(string(text))
	if err != nil {
		problems.add(m.pos, "%s", m.unreadable(file, string(text), err))
		return ""
	}
	last := before[len(before)-1].schema
	if last.name != m.Name || last.version != m.Version {
		if m.Level > 1 {
			problems.add(m.pos, "machine %s has a new name or version, under which its levels start at 1 again; remove level=%d", m.GoName, m.Level)
			return ""
		}
		r.tell(m.Name, last, schemaOf(m))
		return m.start()
	}
	conflict := m.mark(before)
	now := schemaOf(m)
	if problem := m.step(before, now, conflict, file); problem != "" {
		problems.add(m.pos, "%s", problem)
		return ""
	}
	m.levels = before
	if int(m.Level) > len(before) {
		r.tell(fmt.Sprintf("%s level %d", m.Name, m.Level), last, now)
		m.levels = slices.Concat(before, []level{newLevel(before, now)})
	}
	if m.Level > 1 {
		for _, root := range m.roots() {
			root.walk(func(t *Type) { t.leveled = m })
		}
	}
	return m.levels[len(m.levels)-1].text
}

// start makes the schema one with level 1 only, and returns its text.
func (m *Machine) start() string {
	m.levels = []level{newLevel(nil, schemaOf(m))}
	return m.levels[0].text
}

// tell adds the differences between two schemas to the changes of the result.
func (r *Result) tell(what string, last, now schema) {
	changes, _ := diff(last, now)
	for _, c := range changes {
		r.Changes = append(r.Changes, what+": "+c)
	}
}

// step returns why the schema now, at the level of the machine, cannot follow the
// levels in its file. It returns "" if it can.
func (m *Machine) step(before []level, now schema, conflict, file string) string {
	was, level := uint32(len(before)), m.Level
	last := before[was-1].schema
	changes, breaking := diff(last, now)
	remove := fmt.Sprintf("remove %s if no group ever ran this version", file)
	if was > 1 {
		remove = fmt.Sprintf("remove the block %q from %s if no group ever ran it", fmt.Sprintf("level %d", was), file)
	}
	under := fmt.Sprintf("version %d", m.Version)
	if was > 1 || level > 1 {
		under += fmt.Sprintf(" and level %d", level)
	}
	told := strings.Join(changes, "; ")
	switch changed := now.text() != last.text(); {
	case level < was:
		return fmt.Sprintf("machine %s has level=%d, but %s records %d levels, and a level is never removed; write level=%[4]d, or %s", m.GoName, level, file, was, remove)
	case level > was+1:
		return fmt.Sprintf("machine %s has level=%d, but the last level in %s is %d, and a new level is one higher; write level=%d", m.GoName, level, file, was, was+1)
	case level > was && !changed:
		return fmt.Sprintf("machine %s has level=%d, but its schema has not changed since level %d; write level=%[3]d", m.GoName, level, was)
	case len(breaking) > 0 && len(breaking) < len(changes):
		return fmt.Sprintf("the schema of machine %s has changed under %s: %s; incompatible are: %s; raise version=, or %s", m.GoName, under, told, advice(breaking), remove)
	case len(breaking) > 0:
		return fmt.Sprintf("the schema of machine %s has changed under %s: %s; raise version=, or %s", m.GoName, under, advice(breaking), remove)
	case conflict != "":
		return fmt.Sprintf("the levels of machine %s are ambiguous: %s", m.GoName, conflict)
	case changed && level == was && level < maxLevel:
		return fmt.Sprintf("the schema of machine %s has changed under %s: %s; all of this is compatible: write level=%d, or %s", m.GoName, under, told, level+1, remove)
	case changed && level == was:
		return fmt.Sprintf("the schema of machine %s has changed under %s: %s; this is the highest level: raise version=", m.GoName, under, told)
	}
	return ""
}

// advice joins incompatible changes, and says how an added field could be compatible.
func advice(breaking []string) string {
	text := strings.Join(breaking, "; ")
	if slices.ContainsFunc(breaking, func(c string) bool {
		return strings.Contains(c, ": added, ") && !strings.HasPrefix(c, identityPath+".") && !strings.HasPrefix(c, statePath)
	}) {
		text += " (adding a field is compatible if it has omitempty and its struct is encoded as a map)"
	}
	return text
}

// mark sets the levels that added the fields and variants of m's commands, and sorts
// variants by their tags. It returns a conflict, or "". A Go type has the same code
// wherever it is used, so its fields must have the same levels everywhere.
func (m *Machine) mark(levels []level) (conflict string) {
	for i, l := range levels {
		number, were := uint32(i+1), make(map[*Type]*Type)
		mark := func(old, new *Type) {
			if was, ok := were[new]; ok && was != old && conflict == "" {
				conflict = fmt.Sprintf("%s is used in two places that differed at level %d; use a type for each, or raise version=", new.goText(), number)
				return
			}
			were[new] = old
			for j := range new.Fields {
				if f := &new.Fields[j]; old.field(f.Name) == nil {
					f.since = number + 1
				}
			}
			for j := range new.Variants {
				if v := &new.Variants[j]; old.tag(v.Name) < 0 {
					v.since = number + 1
				}
			}
			slices.SortStableFunc(new.Variants, func(a, b Variant) int {
				// A new variant has no tag yet and keeps its order.
				return cmp.Compare(uint(old.tag(a.Name)), uint(old.tag(b.Name)))
			})
		}
		eachPair(l.schema.root, m.command, mark)
		eachPair(l.schema.state, m.state, mark)
	}
	m.command.walk(func(t *Type) {
		for i := range t.Fields {
			f := &t.Fields[i]
			if f.since > 0 && conflict == "" && f.OmitEmpty && f.Type.emptiness() == neverEmpty {
				conflict = fmt.Sprintf("the field %s of %s is new, but a %s is never empty, so omitempty never leaves it out; use a pointer to it", f.goName, t.goText(), types.TypeString(f.Type.typ, nil))
			}
		}
	})
	return conflict
}

// goText returns the Go name of t.
func (t *Type) goText() string {
	if t.typ == nil {
		return "the sum of all commands"
	}
	return types.TypeString(t.typ, func(p *types.Package) string { return p.Name() })
}

// field returns the field with a name on the wire, or nil.
func (t *Type) field(name string) *Field {
	for i := range t.Fields {
		if t.Fields[i].Name == name {
			return &t.Fields[i]
		}
	}
	return nil
}

// tag returns the tag of the variant with a name, or -1.
func (t *Type) tag(name string) int {
	return slices.IndexFunc(t.Variants, func(v Variant) bool { return v.Name == name })
}
