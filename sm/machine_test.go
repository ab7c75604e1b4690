package sm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"
)

type note struct{ Text string }

func TestDefine(t *testing.T) {
	t.Parallel()
	spec := sm.Define[note]("notes", 3)
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	if spec.Name != "notes" || spec.Version != 3 {
		t.Errorf("spec is %q version %d, want notes version 3", spec.Name, spec.Version)
	}
	// Group ids depend on it: this vector must never change.
	const want = "4e5c6efe957dfb6eadb39ea70c2d1dbc84d914258d79167d986b2254896336e8"
	if got := spec.Signature.String(); got != want {
		t.Errorf("signature of notes version 3 = %s, want %s", got, want)
	}
	b, err := spec.Codec.Append(nil, note{"hi"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := spec.Codec.Decode(b); err != nil || got != (note{"hi"}) {
		t.Errorf("Decode = %+v, %v; want what was encoded", got, err)
	}
}

func TestDefineSignature(t *testing.T) {
	t.Parallel()
	base := sm.Define[note]("notes", 1).Signature
	if again := sm.Define[note]("notes", 1).Signature; again != base {
		t.Errorf("two calls give the signatures %s and %s", base, again)
	}
	if sm.Define[note]("notes", 2).Signature == base {
		t.Error("the version does not enter the signature")
	}
	if sm.Define[note]("note", 1).Signature == base {
		t.Error("the name does not enter the signature")
	}
}

func TestSpecValidate(t *testing.T) {
	t.Parallel()
	good := sm.Define[note]("notes", 1)
	with := func(change func(*sm.Spec[note])) sm.Spec[note] {
		s := good
		change(&s)
		return s
	}
	longest := strings.Repeat("n", 255)
	for _, tt := range []struct {
		name string
		err  error
		want string // "" for none
	}{
		{"good", good.Validate(), ""},
		{"longest name", sm.Define[note](longest, 0).Validate(), ""},
		{"no-op", sm.NoOp{}.Spec().Validate(), ""},
		{"codec without Check", with(func(s *sm.Spec[note]) { s.Codec = unchecked{} }).Validate(), ""},
		{"zero", sm.Spec[note]{}.Validate(), "sm: the machine's spec has no name; set Spec.Name"},
		{"no name", sm.Define[note]("", 1).Validate(), "sm: the machine's spec has no name; set Spec.Name"},
		{"long name", sm.Define[note](longest+"n", 1).Validate(), "sm: the machine's name is 256 bytes long, at most 255 are allowed; shorten Spec.Name"},
		{"no signature", with(func(s *sm.Spec[note]) { s.Signature = sm.Digest{} }).Validate(), `sm: machine "notes" has a zero signature; use sm.Define or generate the spec`},
		{"no codec", with(func(s *sm.Spec[note]) { s.Codec = nil }).Validate(), `sm: machine "notes" has no codec; use sm.Define or generate the spec`},
		{"bad type", sm.Define[struct{ C chan int }]("notes", 1).Validate(), "sm: machine \"notes\": codec: check command.C: a chan cannot be encoded; remove it, or exclude the field with the tag `msgpack:\"-\"`"},
	} {
		got := ""
		if tt.err != nil {
			got = tt.err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: Validate = %q, want %q", tt.name, got, tt.want)
		}
	}
	if err := sm.Define[any]("notes", 1).Validate(); !errors.Is(err, codec.ErrUnsupported) {
		t.Errorf("Validate of an interface = %v, want codec.ErrUnsupported", err)
	}
}

// unchecked is a codec that cannot say beforehand whether it works.
type unchecked struct{}

func (unchecked) Append(dst []byte, v note) ([]byte, error) { return append(dst, v.Text...), nil }
func (unchecked) Decode(src []byte) (note, error)           { return note{string(src)}, nil }

func TestNoOp(t *testing.T) {
	t.Parallel()
	var machine sm.StateMachine[struct{}] = sm.NoOp{}
	spec := machine.Spec()
	if spec.Name != "mosaik::groups::machine::noop::NoOp" || spec.Version != 1 {
		t.Errorf("spec is %q version %d", spec.Name, spec.Version)
	}
	if result, err := machine.Apply(sm.ApplyContext{}, struct{}{}); result != nil || err != nil {
		t.Errorf("Apply = %v, %v; want nothing", result, err)
	}
}

// leveled is a codec that knows levels.
type leveled struct{ codec.Codec[struct{}] }

func (leveled) AppendLevel(dst []byte, _ struct{}, _ uint32) ([]byte, error) { return dst, nil }
func (leveled) DecodeLevel([]byte, uint32) (v struct{}, err error)           { return v, nil }

func TestValidateLevels(t *testing.T) {
	t.Parallel()
	one := sm.Define[struct{}]("m", 1)
	first, second := one.Signature, sm.ID("second")
	for _, tt := range []struct {
		levels []sm.Digest
		level  uint32
		want   string
	}{
		{nil, 1, ""},
		{[]sm.Digest{first}, 1, ""},
		{[]sm.Digest{first, second}, 2, ""},
		{[]sm.Digest{second}, 1, "the digest of level 1 of machine"},
		{[]sm.Digest{first, {}}, 2, "the digest of level 2"},
		{[]sm.Digest{first, second, first}, 3, "the digest of level 3"},
		{make([]sm.Digest, sm.MaxLevel+1), sm.MaxLevel + 1, "at most 1000"},
	} {
		spec := one
		spec.Levels, spec.Codec = tt.levels, leveled{one.Codec}
		if err := spec.Validate(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Validate with %d levels: %v; want %q", len(tt.levels), err, tt.want)
		}
		if got := spec.Level(); got != tt.level {
			t.Errorf("Level = %d, want %d", got, tt.level)
		}
	}
	one.Levels = []sm.Digest{first, second}
	if err := one.Validate(); err == nil || !strings.Contains(err.Error(), "its codec supports one") {
		t.Errorf("Validate with a codec of one level: %v", err)
	}
}
