package determinism

import "go/types"

// isContainer reports whether t is one of the containers of package sm. They are values: copies
// share nothing that can change.
func isContainer(t types.Type) bool {
	return isOurs(t, "Map") || isOurs(t, "Set") || isOurs(t, "List")
}

// containerWrite returns the behavior of a method that changes a container of package sm, or nil.
// That package has no facts, because it is not analyzed.
func containerWrite(f *types.Func) *behavior {
	recv := f.Signature().Recv()
	if recv == nil || f.Pkg().Path() != smPath {
		return nil
	}
	p, ok := recv.Type().(*types.Pointer)
	if !ok || !isContainer(p.Elem()) {
		return nil
	}
	ordered := true
	switch f.Name() {
	case "Clear":
		ordered = false
	case "Add", "Delete":
		ordered = isOurs(p.Elem(), "List") // maps and sets have the same elements in any order
	}
	return &behavior{Writes: 1, Ordered: ordered}
}
