package codec_test

import (
	"encoding"
	"errors"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/sm"
)

// Types that cannot be encoded, beside those that are written in place.
type (
	shadow      struct{ ID string }
	selfPointer *selfPointer
	stamp       time.Time
	halfText    struct{}
	halfBinary  struct{}
	crossed     struct{}
	custom      struct{}
	byValue     struct{}
	mixed       struct{}
	octets      [2]Octet
	embedsTime  struct {
		time.Time
		Note string
	}
	embedsCodec struct {
		encoding.TextMarshaler
		encoding.TextUnmarshaler
	}
	loopback struct {
		Children []loopback
		Bad      map[string]*loopback
		Fault    chan int
	}
	fullFirst struct {
		Base Base
		_    chan int
		note func() //lint:ignore U1000 Check must pass over it
	}
	ID          struct{ ID uint64 }
	embedsFault struct{ ID }
)

func (halfText) MarshalText() ([]byte, error)          { return nil, nil }
func (*halfBinary) UnmarshalBinary([]byte) error       { return nil }
func (crossed) MarshalBinary() ([]byte, error)         { return nil, nil }
func (*crossed) UnmarshalText([]byte) error            { return nil }
func (custom) EncodeMsgpack(e *msgpack.Encoder) error  { return nil }
func (*custom) DecodeMsgpack(d *msgpack.Decoder) error { return nil }
func (byValue) MarshalText() ([]byte, error)           { return nil, nil }
func (byValue) UnmarshalText([]byte) error             { return nil }
func (mixed) MarshalText() ([]byte, error)             { return nil, nil }
func (*mixed) UnmarshalText([]byte) error              { return nil }
func (*mixed) MarshalBinary() ([]byte, error)          { return nil, nil }
func (*mixed) UnmarshalBinary([]byte) error            { return nil }

func check[C any](t *testing.T) error {
	t.Helper()
	c := codec.Reflect[C]()
	err := c.(codec.Checker).Check()
	if err != nil {
		var none C
		if _, err2 := c.Append(nil, none); err2 != err {
			t.Errorf("Append = %v, want what Check says: %v", err2, err)
		}
		if _, err2 := c.Decode([]byte{0x80}); err2 != err {
			t.Errorf("Decode = %v, want what Check says: %v", err2, err)
		}
	}
	return err
}

func TestReflectCheckRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		path string
		text string
	}{
		{check[any](t), "command", "interface"},
		{check[encoding.TextMarshaler](t), "TextMarshaler", "use a concrete type, or let mosaik-gen write the codec"},
		{check[struct{ V any }](t), "command.V", "the encoding does not record the type of the value in the interface interface {}"},
		{check[struct{ Err error }](t), "command.Err", "interface error"},
		{check[map[string]any](t), "command[]", "interface"},
		{check[struct{ C chan bool }](t), "command.C", "a chan cannot be encoded; remove it, or exclude the field with the tag `msgpack:\"-\"`"},
		{check[struct{ F []func() }](t), "command.F[]", "a func cannot"},
		{check[struct{ P unsafe.Pointer }](t), "command.P", "a unsafe.Pointer cannot"},
		{check[struct{ C map[string][]complex128 }](t), "command.C[][]", "a complex128 cannot"},
		{check[uintptr](t), "uintptr", "use uint64"},
		{check[loopback](t), "loopback.Fault", "a chan cannot"},
		// Pointers.
		{check[struct{ P **int64 }](t), "command.P", "a nil **int64 and a pointer to nil have the same encoding; use *int64"},
		{check[struct{ P *[]int64 }](t), "command.P", "use []int64"},
		{check[struct{ P *map[string]bool }](t), "command.P", "use map[string]bool"},
		{check[struct{ P selfPointer }](t), "command.P", "have the same encoding"},
		// Containers of a machine's state.
		{check[struct{ M sm.Map[string, int64] }](t), "command.M", "is for the state of a machine; use a plain map"},
		{check[struct{ L []sm.List[int64] }](t), "command.L[]", "use a slice"},
		{check[struct{ S sm.Set[string] }](t), "command.S", "use a plain map to bool"},
		{check[struct{ B sm.Bytes }](t), "command.B", "sm.Bytes is for the state of a machine; use []byte"},
		// Map keys.
		{check[struct{ M map[float64]bool }](t), "command.M[key]", "float64 cannot be a map key; use a string or an integer"},
		{check[struct{ M map[bool]bool }](t), "command.M[key]", "bool cannot be a map key"},
		{check[struct{ M map[[4]byte]bool }](t), "command.M[key]", "cannot be a map key"},
		{check[struct{ M map[any]bool }](t), "command.M[key]", "interface"},
		{check[struct{ M map[Text]bool }](t), "command.M[key]", "codec_test.Text cannot be a map key"},
		// Structs.
		{check[struct {
			Base
			ID string
		}](t), "command.ID", `two fields are encoded as "ID"; rename one with a msgpack tag`},
		{check[struct {
			ID string
			Base
		}](t), "command.ID", `two fields are encoded as "ID"`},
		{check[struct {
			Base
			shadow
		}](t), "command.ID", `two fields are encoded as "ID"`},
		{check[struct {
			A int8
			B int8 `msgpack:"A"`
		}](t), "command.B", `two fields are encoded as "A"`},
		{check[struct{ ID }](t), "command.ID", `two fields are encoded as "ID"; give the embedded struct a name`},
		{check[struct {
			Base
			Other int8 `msgpack:"Base"`
		}](t), "command.Other", `two fields are encoded as "Base"`},
		{check[struct {
			_msgpack struct{} `msgpack:",omitempty"`
			N        big.Int
		}](t), "command.N", "big.Int has no method IsZero"},
		{check[struct{ *Base }](t), "command.Base", "an embedded pointer cannot be encoded"},
		{check[struct {
			Text `msgpack:",inline"`
		}](t), "command", "from an embedded type would encode that type alone"},
		{check[struct{ hiddenName }](t), "command.hiddenName", "is not exported and cannot be decoded"},
		{check[struct {
			Name `msgpack:",inline"`
		}](t), "command.Name", "cannot be inlined; remove the option inline"},
		{check[struct{ embedsFault }](t), "command.embedsFault.ID", `two fields are encoded as "ID"`},
		{check[struct {
			*Hex
			N int8
		}](t), "command", "from an embedded type would encode that type alone"},
		{check[struct {
			A string `msgpack:",intern"`
		}](t), "command.A", `the tag option "intern" is not supported; remove it`},
		{check[struct {
			A string `msgpack:"a,alias:b"`
		}](t), "command.A", "contains a quote, colon or backslash"},
		{check[struct {
			A string `msgpack:"'a'"`
		}](t), "command.A", "contains a quote"},
		{check[stamp](t), "stamp", "codec_test.stamp has no exported field, so its value would be lost"},
		{check[struct{ Mu sync.Mutex }](t), "command.Mu", "has no exported field"},
		{check[struct{ Big [1<<20 + 1]byte }](t), "command", "takes 1048577 bytes of memory, at most 1048576 are allowed; use a slice"},
		{check[struct {
			N big.Int `msgpack:",omitempty"`
		}](t), "command.N", "big.Int has no method IsZero, so omitempty would lose values"},
		// Types that encode themselves.
		{check[halfText](t), "halfText", "has MarshalText but not UnmarshalText; implement both"},
		{check[[]halfBinary](t), "command[]", "has UnmarshalBinary but not MarshalBinary"},
		{check[crossed](t), "crossed", "would be encoded with MarshalBinary but decoded with UnmarshalText"},
		{check[custom](t), "custom", "implement MarshalMsgpack and UnmarshalMsgpack instead"},
		{check[struct{ R msgpack.RawMessage }](t), "command.R", "EncodeMsgpack, which may write any number"},
		{check[byValue](t), "byValue", "UnmarshalText of codec_test.byValue has a value receiver, so it would change a copy; give it a pointer receiver"},
		{check[mixed](t), "mixed", "MarshalText on the value and MarshalBinary on the pointer"},
		{check[map[string]Hex](t), "command[]", "has a pointer receiver, and values in a map have no address; use *codec_test.Hex"},
		{check[map[string]struct{ H [1]Hex }](t), "command[].H[]", "use *codec_test.Hex"},
		{check[map[string]octets](t), "command[]", "a map cannot hold codec_test.octets"},
		{check[embedsTime](t), "embedsTime", "would encode that type alone; give the embedded field a name"},
		{check[embedsCodec](t), "embedsCodec", "give the embedded field a name"},
	} {
		var at *codec.Error
		if !errors.As(tt.err, &at) || !errors.Is(tt.err, codec.ErrUnsupported) {
			t.Errorf("%s: %v, want an ErrUnsupported (%s)", tt.path, tt.err, tt.text)
			continue
		}
		if at.Path != tt.path || !strings.HasPrefix(tt.err.Error(), "codec: check "+tt.path+": ") || !strings.Contains(tt.err.Error(), tt.text) {
			t.Errorf("message %q; want path %q and %q", tt.err, tt.path, tt.text)
		}
	}
}

type hiddenName string

func TestReflectCheckAccepts(t *testing.T) {
	t.Parallel()
	type many struct {
		Skip  chan int `msgpack:"-"`
		First fullFirst
	}
	for name, err := range map[string]error{
		"broad":              check[Broad](t),
		"recursive struct":   check[*Transfer](t),
		"recursive slice":    check[Tree](t),
		"recursive map":      check[map[string]Tree](t),
		"nothing":            check[struct{}](t),
		"excluded fields":    check[many](t),
		"embedded by name":   check[struct{ At embeddedByName }](t),
		"pointer inside map": check[map[string]*Hex](t),
		"slice inside map":   check[map[string][]Hex](t),
		"net.IP":             check[struct{ IP net.IP }](t),
		"big integer":        check[*big.Int](t),
		"omitted own codec": check[struct {
			T time.Time `msgpack:",omitempty"`
		}](t), //nolint:tagalign // one line
		"only excluded field": check[struct {
			C chan int `msgpack:"-"`
		}](t), //nolint:tagalign // one line
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type embeddedByName struct {
	Base `msgpack:"base,noinline"`
	Name
}

func TestReflectIntWidth(t *testing.T) {
	t.Parallel()
	err := check[struct{ N int }](t)
	if strconv.IntSize == 64 && err != nil {
		t.Errorf("int is refused: %v", err)
	}
	if strconv.IntSize == 32 && (err == nil || !strings.Contains(err.Error(), "use int64")) {
		t.Errorf("int is 32 bits wide, yet Check = %v", err)
	}
}
