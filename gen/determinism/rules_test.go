package determinism

import (
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// TestRulesExist looks up each rule for the standard library, so that a misspelled one is
// found.
func TestRulesExist(t *testing.T) {
	t.Parallel()
	byPackage := make(map[string][]string)
	for name := range rules {
		folder := name[:strings.LastIndex(name, "/")+1]
		pkg, rest, _ := strings.Cut(strings.TrimPrefix(name, folder), ".")
		if isStandardPath(folder + pkg) {
			byPackage[folder+pkg] = append(byPackage[folder+pkg], rest)
		}
	}
	loaded, err := packages.Load(&packages.Config{
		Context: t.Context(), Mode: packages.NeedName | packages.NeedTypes | packages.NeedImports,
	}, slices.Sorted(maps.Keys(byPackage))...)
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded) != len(byPackage) {
		t.Errorf("%d packages were loaded, want %d", len(loaded), len(byPackage))
	}
	for _, p := range loaded {
		for _, name := range byPackage[p.PkgPath] {
			typ, method, isMethod := strings.Cut(name, ".")
			obj := p.Types.Scope().Lookup(typ)
			if obj != nil && isMethod {
				obj, _, _ = types.LookupFieldOrMethod(types.NewPointer(obj.Type()), true, p.Types, method)
				if obj == nil {
					obj, _, _ = types.LookupFieldOrMethod(p.Types.Scope().Lookup(typ).Type(), true, p.Types, method)
				}
			}
			if obj == nil {
				t.Errorf("%s has no %s", p.PkgPath, name)
			}
		}
	}
}

// TestRulesOfModules checks the rules for modules that this one does not require.
func TestRulesOfModules(t *testing.T) {
	t.Parallel()
	const protobuf = "google.golang.org/protobuf/"
	for _, tt := range []struct{ path, recv, name, kind string }{
		{protobuf + "internal/impl", "Export", "MessageStringOf", kindRandom},
		{protobuf + "encoding/prototext", "", "Format", kindRandom},
		{protobuf + "encoding/protojson", "MarshalOptions", "Marshal", kindRandom},
		{"golang.org/x/sys/unix", "", "Mmap", kindIO},
		{"github.com/google/btree", "", "New", ""},
	} {
		pkg := types.NewPackage(tt.path, tt.path[strings.LastIndex(tt.path, "/")+1:])
		var recv *types.Var
		if tt.recv != "" {
			named := types.NewNamed(types.NewTypeName(token.NoPos, pkg, tt.recv, nil), types.NewStruct(nil, nil), nil)
			recv = types.NewVar(token.NoPos, pkg, "", named)
		}
		f := types.NewFunc(token.NoPos, pkg, tt.name, types.NewSignatureType(recv, nil, nil, nil, nil, false))
		if r, ok := ruleOf(f); r.kind != tt.kind || ok != (tt.kind != "") {
			t.Errorf("rule of %s: %q, want %q", f.FullName(), r.kind, tt.kind)
		}
	}
	for path, want := range map[string]bool{
		"go.uber.org/zap": true, "go.uber.org/zap/zapcore": true, "go.uber.org/zapper": false,
		"log": true, "log/slog": true, "log/syslog": false,
	} {
		pkg := types.NewPackage(path, "p")
		f := types.NewFunc(token.NoPos, pkg, "F", types.NewSignatureType(nil, nil, nil, nil, nil, false))
		if got := isSink(f); got != want {
			t.Errorf("%s logs: %t, want %t", path, got, want)
		}
	}
	if isOpaque("github.com/google/btree") || !isOpaque("google.golang.org/protobuf/proto") {
		t.Error("the encoders are not recognized")
	}
}
