package gen

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bank is the source to which the matrix applies one change at a time.
const bank = `package p

import "github.com/mosaik-go/mosaik/sm"

//mosaik:machine name=bank version=1
type Bank struct{ balances map[string]int64 }

// Deposit pays in.
//
//mosaik:command
type Deposit struct {
	Account string
	Amount  int64
	Memo    string ` + "`msgpack:\"memo,omitempty\"`" + `
	hidden  int ` + "`msgpack:\"-\"`" + `
}

func (d Deposit) ApplyTo(*Bank, sm.ApplyContext) (int64, error) { return 0, nil }

//mosaik:command
type Transfer struct {
	From, To string
	Parts    []Leg
	Raw      [4]byte
	Way      Side
	Form     Shape
	Pair     Pair[int64, string]
}

func (Transfer) ApplyTo(*Bank, sm.ApplyContext) (int64, error) { return 0, nil }

type Leg struct {
	Amount int64
	Next   *Leg
}

type Side uint8

const (
	Buy Side = iota + 1
	sell
)

type Shape interface{ shape() }
type Circle struct{ R int64 }
type Square struct{ A int64 }

func (Circle) shape() {}
func (Square) shape() {}

type Pair[A, B any] struct {
	First  A
	Second B
}

//mosaik:query
type Balance struct{ Account string }

func (Balance) Query(*Bank) (int64, error) { return 0, nil }
`

// change is a replacement in the source of bank.
type change struct {
	name     string
	old, new string
	words    string // the description of the difference, "" if there is none
}

var changes = []change{
	// These keep the signature.
	{"comment", "// Deposit pays in.", "// Deposit pays money in.", ""},
	{"package rename", "package p", "package q", ""},
	{"field order", "Account string\n\tAmount  int64", "Amount int64\n\tAccount string", ""},
	{"json tag", "Amount int64\n\tNext", "Amount int64 `json:\"amount\"`\n\tNext", ""},
	{"unexported field", "hidden  int", "other chan bool", ""},
	{"no unexported field", "hidden  int `msgpack:\"-\"`", "", ""},
	{"receiver kind", "func (d Deposit)", "func (d *Deposit)", ""},
	{"machine by value", "(*Bank", "(Bank", ""},
	{"alias", "Amount int64\n\tNext", "Amount Money\n\tNext", ""},
	{"named scalar", "From, To string", "From, To Name", ""},
	{"uint8 for byte", "[4]byte", "[4]uint8", ""},
	{"struct rename", "Leg", "Piece", ""},
	{"type parameter rename", "Pair[A, B any] struct {\n\tFirst  A\n\tSecond B", "Pair[X, Y any] struct {\n\tFirst  X\n\tSecond Y", ""},
	{"instance to struct", "Pair     Pair[int64, string]", "Pair     Two", ""},
	{"sum rename", "Shape", "Figure", ""},
	{"enum type rename", "Side", "Wing", ""},
	{"machine rename", "Bank", "House", ""},
	{"result type", "(*Bank, sm.ApplyContext) (int64, error)", "(*Bank, sm.ApplyContext) (string, error)", ""},
	{"result undefined", "(*Bank, sm.ApplyContext) (int64, error)", "(*Bank, sm.ApplyContext) (Missing, error)", ""},
	{"query", "type Balance struct{ Account string }", "type Balance struct{ Account int }", ""},
	{"declaration order", "From, To string", "To, From string", ""},
	{"excluded field", "hidden  int", "Other any", ""},
	{"command rename with its name kept", "//mosaik:command\ntype Deposit struct {", "type Deposit = Pay\n\n//mosaik:command name=Deposit\ntype Pay struct {", ""},
	{"same name by tag", "Account string\n", "Name string `msgpack:\"Account\"`\n", ""},
	{"embedded for inline", "Account string\n\tAmount  int64", "Money2", ""},
	{"unrolled recursion", "Next   *Leg", "Next   *Leg2", ""},
	{"map layout said", "version=1", "version=1 layout=map", ""},

	// These change it.
	{"machine name", "name=bank", "name=bonk", `machine: "bank" → "bonk"`},
	{"version", "version=1", "version=2", "machine version: 1 → 2"},
	{"layout", "version=1", "version=1 layout=array", "machine layout: map → array; Deposit: struct → tuple; Transfer: struct → tuple"},
	{"identity field", "type Bank struct{", "type Bank struct{\nCap uint32 `mosaik:\"identity\"`\n", "identity.Cap: added, u32"},
	{"identity fields", "type Bank struct{", "type Bank struct{\nmode Name `mosaik:\"identity\"`\nCap [4]byte `mosaik:\"identity\"`\n", "identity.Cap: added, bytes[4]; identity.mode: added, str"},
	{"field rename", "Amount  int64", "Sum  int64", "Deposit.Sum: added, i64; Deposit.Amount: removed"},
	{"wire name", "Amount  int64", "Amount  int64 `msgpack:\"n\"`", "Deposit.n: added, i64; Deposit.Amount: removed"},
	{"field added", "Amount  int64", "Amount  int64\nFee int8", "Deposit.Fee: added, i8"},
	{"field removed", "Amount  int64", "", "Deposit.Amount: removed"},
	{"width", "Amount  int64", "Amount  int32", "Deposit.Amount: i64 → i32"},
	{"signedness", "Amount  int64", "Amount  uint64", "Deposit.Amount: i64 → u64"},
	{"pointer", "Amount  int64", "Amount  *int64", "Deposit.Amount: i64 → *i64"},
	{"duration", "Amount  int64", "Amount  time.Duration", "Deposit.Amount: i64 → duration"},
	{"string to bytes", "Account string\n", "Account []byte\n", "Deposit.Account: str → bytes"},
	{"omitempty added", "Amount  int64", "Amount  int64 `msgpack:\",omitempty\"`", "Deposit.Amount: no condition → omitempty"},
	{"omitempty removed", "memo,omitempty", "memo", "Deposit.memo: omitempty → no condition"},
	{"limit added", "Parts    []Leg", "Parts    []Leg `mosaik:\"max=8\"`", "Transfer.Parts: no condition → max=8"},
	{"nested width", "type Leg struct {\n\tAmount int64", "type Leg struct {\n\tAmount int16", "Transfer.Parts[].Amount: i64 → i16"},
	{"nested recursion", "Next   *Leg", "Next   []Leg", "Transfer.Parts[].Next: *struct → []struct"},
	{"unrolled otherwise", "Next   *Leg", "Next   *Leg3", "Transfer.Parts[].Next.Next.Next: removed"},
	{"array length", "[4]byte", "[5]byte", "Transfer.Raw: bytes[4] → bytes[5]"},
	{"array to slice", "[4]byte", "[]byte", "Transfer.Raw: bytes[4] → bytes"},
	{"constant added", "sell\n)", "sell\n\tHold\n)", "Transfer.Way: constant Hold = 3 added"},
	{"constant removed", "\tsell\n)", ")", "Transfer.Way: constant sell removed"},
	{"constant value", "iota + 1", "iota", "Transfer.Way: constant Buy = 1 → 0; Transfer.Way: constant sell = 2 → 1"},
	{"constants swapped", "Buy Side = iota + 1\n\tsell", "sell Side = iota + 1\n\tBuy", "Transfer.Way: constant Buy = 1 → 2; Transfer.Way: constant sell = 2 → 1"},
	{"variant added", "func (Circle) shape() {}", "func (Circle) shape() {}\ntype Dot struct{}\nfunc (*Dot) shape() {}", "Transfer.Form: variant Dot added"},
	{"variant renamed", "Square", "Quad", "Transfer.Form: variant Quad added; Transfer.Form: variant Square removed"},
	{"variant changed", "struct{ R int64 }", "struct{ R int8 }", "Transfer.Form.(Circle).R: i64 → i8"},
	{"type argument", "Pair[int64, string]", "Pair[int64, bool]", "Transfer.Pair.Second: str → bool"},
	{"command renamed", "Deposit", "Pay", "command Pay: added; command Deposit: removed"},
	{"command added", "// Deposit pays in.", "//mosaik:command\ntype Close struct{}\nfunc (Close) ApplyTo(*Bank, sm.ApplyContext) (int64, error) { return 0, nil }", "command Close: added"},
	{"command removed", "// Deposit pays in.\n//\n//mosaik:command", "", "command Deposit: removed"},
	{"as_array", "From, To string", "_msgpack struct{} `msgpack:\",as_array\"`\nFrom, To string", "Transfer: struct → tuple"},
}

// extras are declarations that some changes refer to.
const extras = `
type Money = int64
type Name string
type Two struct { First int64; Second string }
type Money2 struct { Amount Money; Account Name }
type Leg2 struct { Amount int64; Next *Leg2 }
type Leg3 struct { Amount int64; Next *Leg4 }
type Leg4 struct { Amount int64 }
`

func TestIdentity(t *testing.T) {
	t.Parallel()
	testIdentity(t, bank, changes)
}

// testIdentity applies each of the changes to the source of bank.
func testIdentity(t *testing.T, bank string, changes []change) {
	t.Helper()
	files := map[string]string{"base/p.go": bank}
	for i, c := range changes {
		source := strings.ReplaceAll(bank, c.old, c.new)
		if !strings.Contains(bank, c.old) {
			t.Fatalf("%s: %q is not in the source", c.name, c.old)
		}
		source = strings.Replace(source, "import \"github", "import \"time\"\nimport \"github", 1) + extras + "\nvar _ time.Time\n"
		files[fmt.Sprintf("p%d/p.go", i)] = source
	}
	dir := newModule(t, files)
	pkgs, err := Load(t.Context(), Config{Dir: dir, Patterns: []string{"./..."}})
	if err != nil {
		t.Fatal(err)
	}
	schemas := make(map[string]schema)
	for _, pkg := range pkgs {
		schemas[pkg.Path[strings.LastIndex(pkg.Path, "/")+1:]] = schemaOf(pkg.Machines[0])
	}
	base := schemas["base"]
	for i, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := schemas[fmt.Sprintf("p%d", i)]
			if c.words == "" {
				if d := cmp.Diff(base.text(), got.text()); d != "" {
					t.Errorf("the schema changed (-base +changed):\n%s", d)
				}
				return
			}
			if base.signature() == got.signature() {
				t.Errorf("the signature stayed the same:\n%s", got.text())
			}
			before, err := parseSchema(base.text())
			if err != nil {
				t.Fatalf("parseSchema: %v", err)
			}
			changes := told(before, got)
			if words := strings.Join(changes, "; "); !strings.HasPrefix(words, c.words) {
				t.Errorf("the change is described as\n%s\nwant\n%s", words, c.words)
			}
		})
	}
	distinct := make(map[[32]byte]bool)
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		distinct[schemas[name].signature()] = true
		s := schemas[name]
		parsed, err := parseSchema(s.text())
		if err != nil || parsed.text() != s.text() || parsed.signature() != s.signature() {
			t.Errorf("%s: a schema that is parsed and written again differs: %v\n%s", name, err, cmp.Diff(s.text(), parsed.text()))
		}
	}
	different := 1
	for _, c := range changes {
		if c.words != "" {
			different++
		}
	}
	if len(distinct) != different {
		t.Errorf("%d distinct signatures, want %d", len(distinct), different)
	}
}

func TestSchemaText(t *testing.T) {
	t.Parallel()
	pkgs, err := Load(t.Context(), Config{Dir: newModule(t, map[string]string{"p.go": bank})})
	if err != nil {
		t.Fatal(err)
	}
	want := `mosaik-schema/1 msgpack/1
machine "bank" version 1
command #0
#0 sum{"Deposit":#1 "Transfer":#2}
#1 struct{"Account":str "Amount":i64 "memo"(omitempty):str}
#2 struct{"Form":#3 "From":str "Pair":#6 "Parts":[]#7 "Raw":bytes[4] "To":str "Way":#8}
#3 sum{"Circle":#4 "Square":#5}
#4 struct{"R":i64}
#5 struct{"A":i64}
#6 struct{"First":i64 "Second":str}
#7 struct{"Amount":i64 "Next":*#7}
#8 enum u8{"Buy"=1 "sell"=2}
`
	s := schemaOf(pkgs[0].Machines[0])
	if d := cmp.Diff(want, s.text()); d != "" {
		t.Errorf("schema (-want +got):\n%s", d)
	}
	// The signature of this text must never change.
	if got := fmt.Sprintf("%x", s.signature()); got != "547c8329ef929deaaa3cbdbde6ce7741ed9de734677ba7ef89a6cca8eb1ace3b" {
		t.Errorf("signature %s", got)
	}
}

func TestParseSchemaRefuses(t *testing.T) {
	t.Parallel()
	const head = schemaHeader + "\nmachine \"m\" version 1\ncommand #0\n"
	for _, tt := range []struct{ text, want string }{
		{"", "does not start with"},
		{"mosaik-schema/2 msgpack/1\n\n\n\n", "does not start with"},
		{schemaHeader + "\nmachine m version 1\ncommand #0\n#0 sum{}\n", "line 2"},
		{schemaHeader + "\nmachine \"m\" version x\ncommand #0\n#0 sum{}\n", "line 2"},
		{schemaHeader + "\nmachine \"m\" version 1 \ncommand #0\n#0 sum{}\n", "line 2"},
		{schemaHeader + "\nmachine \"m\" version 1\ncommand #1\n#0 sum{}\n", "line 3"},
		{head + "#1 sum{}\n", "line 4"},
		{head + "#0 sum{\n", "line 4"},
		{head + "#0 sum{\"A\"}\n", "line 4"},
		{head + "#0 sum{\"A\":u9}\n", "line 4"},
		{head + "#0 struct{\"A\"(max=):str}\n", "line 4"},
		{head + "#0 struct{\"A\":map[str}\n", "line 4"},
		{head + "#0 struct{\"A\":str\"B\":str}\n", "line 4"},
		{head + "#0 enum u8{\"A\"=}\n", "line 4"},
		{head + "#0 sum{\"A\":#1}\n#1 struct{} \n", "line 5"},
		{head + "<<<<<<< HEAD\n", "line 4"},
		{head + "state/1 #1\n#0 sum{}\n", "line 4"},
		{head + "state/ #0\n#0 sum{}\n", "line 4"},
		{head + "state/1 #0\nstate/1 #0\n#0 sum{}\n", "line 5"},
	} {
		if _, err := parseSchema(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("parseSchema(%q): error %v, want one with %q", tt.text, err, tt.want)
		}
	}
}

func FuzzParseSchema(f *testing.F) {
	f.Add(schemaHeader + "\nmachine \"m\" version 1 layout array\ncommand #0\n#0 sum{\"A\":#1}\n#1 tuple{\"A\"(max=3,omitempty):map[str][]*[3]i64}\n")
	f.Add(schemaHeader + "\nmachine \"m\" version 1\ncommand #0\nstate/1 #1\n#0 sum{}\n#1 struct{\"a\":map[str]i64}\n")
	f.Add(schemaHeader + "\nmachine \"m\" version 1\ncommand #0\n#0 sum{\"A\":#1}\n#1 struct{\"A\":own \"ip\" \"B\":bytes#2 \"C\":bytes[2]#2}\n#2 enum u8{\"A\"=1}\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSchema(text)
		if err != nil {
			return
		}
		again, err := parseSchema(s.text())
		if err != nil || again.text() != s.text() {
			t.Errorf("%q is written as %q, which is read as a different schema: %v", text, s.text(), err)
		}
	})
}

// told returns the changes that diff describes.
func told(old, new schema) []string {
	changes, _ := diff(old, new)
	return changes
}
