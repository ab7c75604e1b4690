package determinism

import (
	"go/ast"
	"go/types"
	"strings"
)

// entry is a function that mosaik calls on each member, or one that reads the state.
type entry struct {
	f     *function
	role  role
	state uint64 // the parameter that is the state
}

// role is what an entry point is to the group.
type role int

const (
	roleApply   role = iota // ApplyTo, Apply, Upgrade, AfterRestore
	roleBatch               // ApplyBatch
	roleRestore             // Restore
	roleQuery               // Query
	roleDecode              // Decode of a codec
	roleNamed               // it matches the flag -entry
)

const (
	receiver = 1 << 0
	first    = 1 << 1
)

// entries finds the entry points of the package by the types of its methods.
func (u *unit) entries() []entry {
	var out []entry
	uses := u.importsMosaik()
	for _, f := range u.funcs {
		if f.obj == nil {
			continue
		}
		if e, ok := u.entryOf(f); ok && uses {
			out = append(out, e)
			continue
		}
		if entryPattern.Regexp == nil || u.initial[f] || isSink(f.obj) {
			continue
		}
		if entryPattern.MatchString(f.obj.FullName()) {
			out = append(out, entry{f, roleNamed, 0})
		}
	}
	return out
}

// importsMosaik reports whether the package imports package sm.
func (u *unit) importsMosaik() bool {
	for _, p := range u.pass.Pkg.Imports() {
		if p.Path() == smPath {
			return true
		}
	}
	return false
}

// entryOf returns the entry point that a method is.
func (u *unit) entryOf(f *function) (entry, bool) {
	sig := f.obj.Signature()
	if sig.Recv() == nil || sig.Variadic() {
		return entry{}, false
	}
	params, results := sig.Params(), sig.Results()
	fails := results.Len() > 0 && isError(results.At(results.Len()-1).Type())
	param := func(i int) types.Type { return params.At(i).Type() }
	switch f.obj.Name() {
	case "ApplyTo":
		if params.Len() == 2 && isOurs(param(1), "ApplyContext") && results.Len() == 2 && fails {
			return entry{f, roleApply, first}, true
		}
	case "Apply":
		if params.Len() == 2 && isOurs(param(0), "ApplyContext") && results.Len() == 2 && fails {
			return entry{f, roleApply, receiver}, true
		}
	case "ApplyBatch":
		if s, ok := batchOf(params); ok && isOurs(s.Elem(), "Applying") && results.Len() == 0 {
			return entry{f, roleBatch, receiver}, true
		}
	case "Restore":
		if params.Len() == 1 && isNamed(param(0), "io", "Reader") && results.Len() == 1 && fails && u.hasMethod(sig, "Snapshot") {
			return entry{f, roleRestore, receiver}, true
		}
	case "AfterRestore":
		if params.Len() == 0 && results.Len() == 1 && fails {
			return entry{f, roleApply, receiver}, true
		}
	case "Upgrade":
		if u.hasMethod(sig, "Apply") || u.hasMethod(sig, "ApplyBatch") {
			return entry{f, roleApply, receiver}, true
		}
	case "Query":
		if params.Len() == 1 && results.Len() == 2 && fails && isState(param(0)) {
			return entry{f, roleQuery, first}, true
		}
	case "Decode":
		if params.Len() == 1 && results.Len() == 2 && fails && isBytes(param(0)) && u.hasMethod(sig, "Append") {
			return entry{f, roleDecode, first}, true
		}
	}
	return entry{}, false
}

func batchOf(params *types.Tuple) (*types.Slice, bool) {
	if params.Len() != 1 {
		return nil, false
	}
	s, ok := types.Unalias(params.At(0).Type()).(*types.Slice)
	return s, ok
}

// hasMethod reports whether the receiver of a method also has another one.
func (u *unit) hasMethod(sig *types.Signature, name string) bool {
	t := sig.Recv().Type()
	if n := namedOf(t); n != nil {
		t = types.NewPointer(n)
	}
	obj, _, _ := types.LookupFieldOrMethod(t, true, u.pass.Pkg, name)
	_, ok := obj.(*types.Func)
	return ok
}

func isError(t types.Type) bool { return types.Identical(t, types.Universe.Lookup("error").Type()) }

// isOurs reports whether t is a type of package sm.
func isOurs(t types.Type, name string) bool { return isNamed(t, smPath, name) }

func isNamed(t types.Type, path, name string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path && n.Obj().Name() == name
}

// isState reports whether t can be the state of a machine: a named type, or a pointer to one.
func isState(t types.Type) bool { return namedOf(t) != nil }

func isBytes(t types.Type) bool {
	s, ok := t.Underlying().(*types.Slice)
	return ok && isKind(s.Elem(), types.Uint8)
}

// check notes what an entry point reaches.
func (u *unit) check(e entry) {
	f := e.f
	switch e.role {
	case roleQuery:
		for _, r := range f.all {
			if r.Kind == kindGroup {
				u.add(f.name, r)
			}
		}
		u.checkReads(e)
		u.checkResults(e)
		return
	case roleDecode:
		u.checkResults(e)
		return
	}
	for _, r := range f.all {
		u.add(f.name, r)
	}
	for _, r := range f.returned {
		if !u.allowed(r.pos) {
			u.add(f.name, r)
		}
	}
	switch e.role {
	case roleApply:
		u.checkResults(e)
	case roleBatch:
		u.checkBatch(e)
	case roleRestore:
		u.checkReader(e)
	}
}

// checkReads notes the places at which a query changes the state.
func (u *unit) checkReads(e entry) {
	for _, w := range u.writesOf(e.f) {
		if w.mask&e.state == 0 || u.allowed(w.n.Pos()) {
			continue
		}
		text := "the query writes to the state: " + w.what
		if c, ok := w.n.(*ast.CallExpr); ok {
			text = "the query changes " + w.what + " of the state with " + short(c.Fun)
		}
		u.add(e.f.name, reason{
			Kind: kindQueryWrites, Text: text, Instead: "write in a command, or copy it first",
			pos: w.n.Pos(), end: w.n.End(),
		})
	}
}

// checkResults notes results that share memory with the state, or with the bytes that a
// codec decodes.
func (u *unit) checkResults(e entry) {
	if u.isGeneratedPos(e.f.body) {
		return
	}
	s := u.sharingOf(e.f)
	for _, r := range u.resultsOf(e.f) {
		shared := r.shares(s)&e.state != 0 && !u.isTaken(e.f, r)
		if !shared && !u.isStored(s, e, r) || u.allowed(r.at.Pos()) {
			continue
		}
		name := ""
		if r.e != nil {
			name = short(r.e)
		} else {
			name = r.v.Name()
		}
		why := reason{
			Kind: kindAlias, Text: "the result " + name + " shares memory with the state, which later commands change",
			Instead: "return a copy", pos: r.at.Pos(), end: r.at.End(),
		}
		if e.role == roleDecode {
			why.Text = "the result " + name + " shares memory with the encoded bytes, which belong to the caller"
			why.Instead = "copy it, for example with bytes.Clone"
		} else if r.e != nil {
			why.fixes = u.cloneFix(r.e)
		}
		u.add(e.f.name, why)
	}
}

func (u *unit) isGeneratedPos(n ast.Node) bool {
	for _, file := range u.pass.Files {
		if file.FileStart <= n.Pos() && n.Pos() < file.FileEnd {
			return ast.IsGenerated(file)
		}
	}
	return false
}

// checkBatch notes a batch that ApplyBatch keeps, and results that share memory with the
// state.
func (u *unit) checkBatch(e entry) {
	s := u.sharingOf(e.f)
	ast.Inspect(e.f.body, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok || len(a.Lhs) != len(a.Rhs) {
			return true
		}
		for i, lhs := range a.Lhs {
			rhs := a.Rhs[i]
			keeps := s.writeMask(lhs)&e.state != 0 && s.of(rhs)&first != 0 && isBatch(u.info.TypeOf(rhs))
			if keeps && !u.allowed(a.Pos()) {
				u.add(e.f.name, reason{
					Kind: kindAlias, Text: "the state keeps " + short(rhs) + ", which belongs to the group once ApplyBatch returns",
					Instead: "keep the commands, not the batch", pos: a.Pos(), end: a.End(),
				})
			}
			sel, ok := ast.Unparen(lhs).(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Result" || namedOf(u.info.TypeOf(sel.X)) == nil || !isOurs(namedOf(u.info.TypeOf(sel.X)), "Applying") {
				continue
			}
			if s.of(rhs)&e.state != 0 && !u.allowed(rhs.Pos()) {
				u.add(e.f.name, reason{
					Kind: kindAlias, Text: "the result " + short(rhs) + " shares memory with the state, which later commands change",
					Instead: "return a copy", pos: rhs.Pos(), end: rhs.End(), fixes: u.cloneFix(rhs),
				})
			}
		}
		return true
	})
}

// isBatch reports whether t is a batch, or a pointer to one of its elements, or a slice of
// these.
func isBatch(t types.Type) bool {
	for {
		switch x := types.Unalias(t).(type) {
		case *types.Slice:
			t = x.Elem()
		case *types.Pointer:
			t = x.Elem()
		case *types.Named:
			return isOurs(x, "Applying")
		default:
			return false
		}
	}
}

// checkReader notes a reader that Restore keeps.
func (u *unit) checkReader(e entry) {
	reader := e.f.params[1]
	s := u.sharingOf(e.f)
	ast.Inspect(e.f.body, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok || len(a.Lhs) != len(a.Rhs) || reader == nil {
			return true
		}
		for i, lhs := range a.Lhs {
			if s.writeMask(lhs)&e.state != 0 && u.holdsReader(a.Rhs[i], reader) && !u.allowed(a.Pos()) {
				u.add(e.f.name, reason{
					Kind: kindAlias, Text: "the state keeps the reader of the snapshot, which ends when Restore returns",
					Instead: "read the whole state in Restore", pos: a.Pos(), end: a.End(),
				})
			}
		}
		return true
	})
}

// holdsReader reports whether e is the reader, or one of the standard library around it.
func (u *unit) holdsReader(e ast.Expr, reader *types.Var) bool {
	if u.objectOf(e) == types.Object(reader) {
		return true
	}
	c, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok || len(c.Args) == 0 || u.objectOf(c.Args[0]) != types.Object(reader) {
		return false
	}
	callee := u.calleeOf(c)
	return callee != nil && callee.Pkg() != nil && isStandardPath(callee.Pkg().Path()) && strings.Contains(callee.Name(), "New")
}
