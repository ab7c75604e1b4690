package gen

import (
	"bytes"
	"fmt"
	"go/format"
	"go/types"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/tools/go/types/typeutil"
)

// emitter writes the generated file of one package.
type emitter struct {
	pkg     *Package
	body    bytes.Buffer
	imports map[string]string // path → name
	names   map[string]bool   // in use by the package's declarations and generated ones
	foreign map[string]bool   // the names that only imports in files of the package use
	coded   []*coded          // the types with functions, in the order of the file
	byType  map[coderKey]*typeutil.Map
	byState map[coderKey]*typeutil.Map // of types that a state encodes differently
	empties typeutil.Map               // struct → name of its function, see emptyFunction
	emptied []*Type                    // the types with such a function, in the order of the file
	lit     []byte                     // fixed bytes that the next append starts with
	nesting int                        // see nestingOf
}

// coderKey is what the functions of a Go type depend on, beside the type.
type coderKey struct {
	array   bool     // structs are encoded as arrays by default
	leveled *Machine // the machine, if its schema has more than one level
}

// coded is a type with functions of its own.
type coded struct {
	typ       *Type
	name      string            // the suffix of the names of its functions
	fields    string            // the name of the variable that holds its Fields
	kept      map[string]string // the selectors of the fields that Freeze encodes → their functions
	recursive bool
}

// emit returns the source of the generated file of pkg.
func emit(pkg *Package) ([]byte, error) {
	e := &emitter{
		pkg:     pkg,
		imports: make(map[string]string),
		names:   make(map[string]bool),
		foreign: make(map[string]bool),
		byType:  make(map[coderKey]*typeutil.Map),
		byState: make(map[coderKey]*typeutil.Map),
		nesting: nestingOf(pkg),
	}
	for _, name := range pkg.types.Scope().Names() {
		e.names[name] = true
	}
	for file := range pkg.types.Scope().Children() {
		for _, name := range file.Names() {
			e.foreign[name] = !e.names[name]
		}
	}
	for name := range e.foreign {
		e.names[name] = true
	}
	e.reserveImports()
	machines := make([]*machineNames, len(pkg.Machines))
	for i, m := range pkg.Machines {
		machines[i] = e.nameMachine(m)
	}
	for _, m := range machines {
		e.machine(m)
	}
	for _, m := range machines {
		e.guards(m)
	}
	for i := 0; i < len(e.coded); i++ {
		e.functions(e.coded[i])
	}
	for i := 0; i < len(e.emptied); i++ {
		e.emptyStruct(e.emptied[i])
	}
	source, err := format.Source(e.file())
	if err != nil {
		return nil, fmt.Errorf("gen: format the code of %s: %w", pkg.Path, err)
	}
	return source, nil
}

// p writes a formatted line to the body.
func (e *emitter) p(format string, args ...any) {
	fmt.Fprintf(&e.body, format, args...)
	e.body.WriteByte('\n')
}

// file returns the whole file, unformatted.
func (e *emitter) file() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n\npackage %s\n\nimport (\n", header, e.pkg.Name)
	paths := make([]string, 0, len(e.imports))
	for p := range e.imports {
		paths = append(paths, p)
	}
	slices.SortFunc(paths, func(a, b string) int {
		// The standard library comes first, in a block of its own.
		if x, y := strings.Contains(a, "."), strings.Contains(b, "."); x != y {
			return map[bool]int{true: 1, false: -1}[x]
		}
		return strings.Compare(a, b)
	})
	separated := false
	for i, p := range paths {
		if !separated && i > 0 && strings.Contains(p, ".") && !strings.Contains(paths[i-1], ".") {
			out.WriteByte('\n')
			separated = true
		}
		name := ""
		if e.imports[p] != path.Base(p) {
			name = e.imports[p] + " "
		}
		fmt.Fprintf(&out, "%s%s\n", name, strconv.Quote(p))
	}
	required := handshake
	if slices.ContainsFunc(e.pkg.Machines, (*Machine).boxed) {
		required = containerHandshake
	}
	fmt.Fprintf(&out, ")\n\n%s\nconst _ = %s.%s\n\n", handshakeComment, e.impl(), required)
	out.Write(e.body.Bytes())
	return out.Bytes()
}

// handshake is the constant of package codecimpl that generated files require. It
// changes when they call what older versions of that package lack.
const handshake = "IsAtLeastVersion2"

// containerHandshake is the handshake of files with machines whose state holds types of package sm.
const containerHandshake = "IsAtLeastVersion3"

const handshakeComment = "// If the next line does not compile, this file is from another version of mosaik-gen\n" +
	"// than the module " + modulePath + " has: run go generate."

// reserveImports names the packages that every file imports.
func (e *emitter) reserveImports() {
	e.importAs(codecPath, "codec")
	e.importAs(implPath, "codecimpl")
	e.importAs(smPath, "sm")
}

// importAs imports a package and returns the name that it has in the file.
func (e *emitter) importAs(path, name string) string {
	if known, ok := e.imports[path]; ok {
		return known
	}
	if isLocal(name) || name == "init" || slices.Contains(predeclared, name) {
		name += "pkg"
	}
	base := name
	for i := 2; e.names[name] && !e.foreign[name]; i++ {
		name = base + strconv.Itoa(i)
	}
	e.names[name], e.foreign[name] = true, false
	e.imports[path] = name
	return name
}

// locals are the names of variables in generated functions. A number may follow them.
var locals = []string{"b", "v", "e", "r", "f", "s", "m", "k", "x", "i", "n", "c", "room", "cmd", "at", "src", "dst", "err"}

// isLocal reports whether a variable in generated functions may have the name.
func isLocal(name string) bool { return slices.Contains(locals, strings.TrimRight(name, "0123456789")) }

func (e *emitter) codec() string { return e.imports[codecPath] }
func (e *emitter) impl() string  { return e.imports[implPath] }
func (e *emitter) sm() string    { return e.imports[smPath] }

// unique reserves and returns a name that is not in use: name itself if possible.
func (e *emitter) unique(name string) string {
	for i, base := 2, name; e.names[name]; i++ {
		name = base + strconv.Itoa(i)
	}
	e.names[name] = true
	return name
}

// text returns t as source of the file.
func (e *emitter) text(t types.Type) string {
	return types.TypeString(e.unaliased(t), func(p *types.Package) string {
		if p == e.pkg.types {
			return ""
		}
		return e.importAs(p.Path(), p.Name())
	})
}

// coder returns the functions of a struct or sum.
func (e *emitter) coder(t *Type) *coded {
	if t.root || t.state {
		for _, c := range e.coded {
			if c.typ == t {
				return c
			}
		}
		return nil
	}
	key := coderKey{t.array, t.leveled}
	all, name := e.byType, t.name
	if t.special {
		all, name = e.byState, name+"State"
	}
	if all[key] == nil {
		all[key] = new(typeutil.Map)
	}
	known := all[key]
	if c, ok := known.At(t.typ).(*coded); ok {
		return c
	}
	if t.array && e.byType[coderKey{false, t.leveled}].At(t.typ) != nil {
		name += "Tuple"
	}
	c := &coded{typ: t, name: e.uniqueSuffix(name)}
	c.recursive = t.recursive
	if t.Kind == Struct {
		c.fields = e.unique(lower(c.name) + "Fields")
	}
	known.Set(t.typ, c)
	e.coded = append(e.coded, c)
	return c
}

// uniqueSuffix reserves and returns a suffix for the names of functions.
func (e *emitter) uniqueSuffix(name string) string {
	for i, base := 2, name; e.names["append"+name] || e.names["decode"+name]; i++ {
		name = base + strconv.Itoa(i)
	}
	e.names["append"+name], e.names["decode"+name] = true, true
	return name
}

// lower returns name with its first word in lower case: httpServer of HTTPServer.
func lower(name string) string {
	runes := []rune(name)
	for i := range runes {
		if !unicode.IsUpper(runes[i]) || i > 0 && i+1 < len(runes) && unicode.IsLower(runes[i+1]) {
			break
		}
		runes[i] = unicode.ToLower(runes[i])
	}
	return string(runes)
}

// literal returns b as a Go string literal in printable ASCII.
func literal(b []byte) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&out, `\x%02x`, c)
		default:
			out.WriteByte(c)
		}
	}
	out.WriteByte('"')
	return out.String()
}
