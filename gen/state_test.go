package gen

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stateBank is a bank with snapshots.
var stateBank = strings.NewReplacer("hidden  int", "hidden  int32", "version=1\ntype Bank struct{ balances map[string]int64 }", `version=1 snapshot
type Bank struct {
	Balances map[string]int64
	all      []account
	legs     []Leg
	shape    Shape
	last     Deposit
	sum      int64  `+"`mosaik:\"-\"`"+`
	limit    uint32 `+"`mosaik:\"identity\"`"+`
}

type account struct {
	owner string `+"`msgpack:\"Owner\"`"+`
	Note  string `+"`msgpack:\",omitempty\" mosaik:\"max=9\"`"+`
	cache bool   `+"`mosaik:\"-\"`"+`
}

type inner struct {
	legs  []Leg
	shape Shape
}

type plain struct{ N int8 }`).Replace(bank)

var stateChanges = []change{
	// These keep the signature.
	{"field order", "\tlegs     []Leg\n\tshape    Shape", "\tshape Shape\n\tlegs []Leg", ""},
	{"type rename", "account", "client", ""},
	{"derived field", "sum      int64", "sums     []chan int64", ""},
	{"no derived field", "\tsum      int64  `mosaik:\"-\"`\n", "", ""},
	{"derived inside", "cache bool", "caches func()", ""},
	{"omitempty", "\",omitempty\"", "\"Note\"", ""},
	{"max", "max=9", "max=8", ""},
	{"field rename with its name kept", "all      []account", "clients []account `msgpack:\"all\"`", ""},
	{"embedded for inline", "\tlegs     []Leg\n\tshape    Shape", "\tinner", ""},
	{"query", "type Balance struct{ Account string }", "type Balance struct{ Account int }", ""},
	{"rebuild", "type plain struct", "func (*Bank) AfterRestore() error { return nil }\n\ntype plain struct", ""},

	// These change it.
	{"no snapshots", "version=1 snapshot", "version=1", "state: removed"},
	{"version", "version=1", "version=2", "machine version: 1 → 2"},
	{"value type", "map[string]int64", "map[string]uint64", "state.Balances[]: i64 → u64"},
	{"key type", "map[string]int64", "map[uint32]int64", "state.Balances[key]: str → u32"},
	{"field type", "map[string]int64", "[]int64", "state.Balances: map[str]i64 → []i64"},
	{"field rename", "Balances ", "balances ", "state.balances: added, map[str]i64; state.Balances: removed"},
	{"field added", "sum      int64", "more []plain\n\tsum int64", "state.more: added, []struct"},
	{"field removed", "\tlegs     []Leg\n", "", "state.legs: removed"},
	{"no longer derived", "sum      int64  `mosaik:\"-\"`", "sum int64", "state.sum: added, i64"},
	{"derived from now on", "shape    Shape", "shape Shape `mosaik:\"-\"`", "state.shape: removed"},
	{"no longer identity", "limit    uint32 `mosaik:\"identity\"`", "limit uint32", "identity.limit: removed; state.limit: added, u32"},
	{"unexported field inside", "\tcache bool", "\tage int8\n\tcache bool", "state.all[].age: added, i8"},
	{"name inside", "msgpack:\"Owner\"", "msgpack:\"owner\"", "state.all[].owner: added, str; state.all[].Owner: removed"},
	{"excluded by msgpack alone", "cache bool   `mosaik:\"-\"`", "cache bool `msgpack:\"-\"`", "state.all[].cache: added, bool"},
	{"unexported field of a command", "hidden  int32", "hidden  int16", "state.last.hidden: i32 → i16"},
	{"what both hold", "\tAmount int64\n\tNext", "\tAmount int16\n\tNext", "Transfer.Parts[].Amount: i64 → i16"},
	{"variant", "func (Circle) shape() {}", "func (Circle) shape() {}\ntype Dot struct{}\nfunc (*Dot) shape() {}", "Transfer.Form: variant Dot added"},
}

func TestStateIdentity(t *testing.T) {
	t.Parallel()
	testIdentity(t, stateBank, stateChanges)
}

func TestStateSchemaText(t *testing.T) {
	t.Parallel()
	pkgs, err := Load(t.Context(), Config{Dir: newModule(t, map[string]string{"p.go": stateBank})})
	if err != nil {
		t.Fatal(err)
	}
	want := `mosaik-schema/1 msgpack/1
machine "bank" version 1
identity {"limit":u32}
command #0
state/1 #9
#0 sum{"Deposit":#1 "Transfer":#2}
#1 struct{"Account":str "Amount":i64 "memo"(omitempty):str}
#2 struct{"Form":#3 "From":str "Pair":#6 "Parts":[]#7 "Raw":bytes[4] "To":str "Way":#8}
#3 sum{"Circle":#4 "Square":#5}
#4 struct{"R":i64}
#5 struct{"A":i64}
#6 struct{"First":i64 "Second":str}
#7 struct{"Amount":i64 "Next":*#7}
#8 enum u8{"Buy"=1 "sell"=2}
#9 struct{"Balances":map[str]i64 "all":[]#10 "last":#11 "legs":[]#7 "shape":#3}
#10 struct{"Note":str "Owner":str}
#11 struct{"Account":str "Amount":i64 "hidden":i32 "memo":str}
`
	s := schemaOf(pkgs[0].Machines[0])
	if d := cmp.Diff(want, s.text()); d != "" {
		t.Errorf("schema (-want +got):\n%s", d)
	}
	before, err := parseSchema(strings.Replace(want, "state/1", "state/2", 1))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"state: format 2 → 1"}, told(before, s)); d != "" {
		t.Errorf("diff of formats (-want +got):\n%s", d)
	}
	without, err := parseSchema(strings.Replace(want, "state/1 #9\n", "", 1))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"state: added"}, told(without, s)); d != "" {
		t.Errorf("diff with a schema without state (-want +got):\n%s", d)
	}
}
