package gen

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// compatible are the names of the changes in the identity matrix that are allowed
// in a new level.
var compatible = map[string]bool{"variant added": true, "command added": true}

// growth are further changes of bank, with the reason of their refusal, "" for
// none.
var growth = []struct {
	change
	refusal string
}{
	{change{"optional field", "Amount  int64", "Amount  int64\nFee int8 `msgpack:\",omitempty\"`", ""}, ""},
	{change{"optional pointer", "Amount  int64", "Amount  int64\nFee *Leg `msgpack:\",omitempty\"`", ""}, ""},
	{change{"optional field deep", "\tNext   *Leg", "\tNext   *Leg\nFee string `msgpack:\",omitempty\" mosaik:\"max=3\"`", ""}, ""},
	{change{"field that is never left out", "Amount  int64", "Amount  int64\nFee [2]int8 `msgpack:\",omitempty\"`", ""}, "is never empty, so omitempty never leaves it out"},
	{change{"struct that is never left out", "Amount  int64", "Amount  int64\nFee Circle `msgpack:\",omitempty\"`", ""}, "is never empty, so omitempty never leaves it out"},
}

// TestCompatible raises the level for each change of the identity matrix and for
// those of growth. Only compatible changes may pass.
func TestCompatible(t *testing.T) {
	t.Parallel()
	type row struct {
		change
		refusal string
	}
	var rows []row
	for _, c := range changes {
		switch {
		case c.words == "" || c.name == "version" || c.name == "machine name":
		case compatible[c.name]:
			rows = append(rows, row{c, ""})
		default:
			rows = append(rows, row{c, "raise version="})
		}
	}
	for _, g := range growth {
		rows = append(rows, row{g.change, g.refusal})
	}
	files := make(map[string]string)
	for i, r := range rows {
		source := strings.Replace(strings.ReplaceAll(bank, r.old, r.new), "import \"github", "import \"time\"\nimport \"github", 1)
		source = strings.Replace(source, "version=1", "version=1 level=2", 1)
		files[fmt.Sprintf("p%d/p.go", i)] = source + extras + "var _ time.Time\n"
	}
	files["base/p.go"] = bank
	dir := newModule(t, files)
	pkgs, err := Load(t.Context(), Config{Dir: dir, Patterns: []string{"./..."}})
	if err != nil {
		t.Fatal(err)
	}
	base := ""
	machines := make(map[string]*Machine)
	for _, pkg := range pkgs {
		machines[filepath.Base(pkg.Dir)] = pkg.Machines[0]
		if filepath.Base(pkg.Dir) == "base" {
			base = schemaOf(pkg.Machines[0]).text()
		}
	}
	write(t, dir, map[string]string{"bank.mosaik": base})
	for i, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			var problems Problems
			text := new(Result).evolve(machines[fmt.Sprintf("p%d", i)], filepath.Join(dir, "bank.mosaik"), &problems)
			if r.refusal != "" {
				if len(problems) != 1 || !strings.Contains(problems[0].Text, r.refusal) {
					t.Errorf("problems %v; want one with %q", problems, r.refusal)
				}
				return
			}
			if len(problems) > 0 || !strings.HasPrefix(text, base+"level 2\ncommand #0\n") {
				t.Errorf("problems %v, schema\n%s", problems, text)
			}
			levels, err := parseLevels(text)
			if err != nil || len(levels) != 2 || levels[1].text != text || levels[0].digest == levels[1].digest {
				t.Errorf("parseLevels: %v", err)
			}
		})
	}
}

// TestOneTypeTwoHistories checks that a Go type is refused if its two uses differed
// at an earlier level.
func TestOneTypeTwoHistories(t *testing.T) {
	t.Parallel()
	field := "A int8\nC int8 `msgpack:\",omitempty\"`"
	source := strings.Replace(machineSource("", "X, Y Both", "type Both struct{\n"+field+"\n}"), "version=1", "version=1 level=2", 1)
	dir := newModule(t, map[string]string{"p.go": source, "machine.mosaik": schemaHeader + `
machine "m" version 1
command #0
#0 sum{"Set":#1}
#1 struct{"X":#2 "Y":#3}
#2 struct{"A":i8}
#3 struct{"A":i8 "C"(omitempty):i8}
`})
	_, err := Generate(t.Context(), Config{Dir: dir})
	if want := "p.Both is used in two places that differed at level 1; use a type for each"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Generate: %v; want %q", err, want)
	}
}
