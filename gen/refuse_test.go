package gen

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// refusals are packages that must be refused, with the given reason at the line
// marked ✗.
var refusals = []struct {
	name   string
	source string
	reason string
}{
	{"int", machineSource("", "A int // ✗", ""), "field Set.A: int has 32 or 64 bits, depending on the platform; use int64 or int32"},
	{"uint", machineSource("", "A []uint // ✗", ""), "use uint64 or uint32"},
	{"named int", machineSource("", "A Count // ✗", "type Count int"), "Count has 32 or 64 bits"},
	{"uintptr", machineSource("", "A uintptr // ✗", ""), "has no meaning in another process"},
	{"any", machineSource("", "A any // ✗", ""), "the encoding would not say which type any holds"},
	{"error", machineSource("", "A error // ✗", ""), "an error is not the same value in another process"},
	{"chan", machineSource("", "A chan bool // ✗", ""), "a chan has no meaning"},
	{"func", machineSource("", "A func() // ✗", ""), "a func cannot be encoded"},
	{"complex", machineSource("", "A complex128 // ✗", ""), "no complex numbers; use two floats"},
	{"float key", machineSource("", "A map[float64]bool // ✗", ""), "float64 cannot be a map key"},
	{"interface key", machineSource("", "A map[any]bool // ✗", ""), "any cannot be a map key"},
	{"struct key", machineSource("", "A map[Key]bool // ✗", "type Key struct{ A int8 }"), "Key cannot be a map key"},
	{"int key", machineSource("", "A map[int]bool // ✗", ""), "int has 32 or 64 bits"},
	{"unsealed", machineSource("", "A Open // ✗", "type Open interface{ Method() }"), "the interface Open is not sealed"},
	{"stringer", machineSource(`"fmt"`, "A fmt.Stringer // ✗", ""), "the interface fmt.Stringer is not sealed"},
	{"no variants", machineSource("", "A Closed // ✗", "type Closed interface{ closed() }"), "no type implements Closed"},
	{"bad variant", machineSource("", "A Closed", "type Closed interface{ closed() }\ntype V struct{ B int } // ✗\nfunc (V) closed() {}"), "field V.B: int has"},
	{"anonymous interface", machineSource("", "A interface{ closed() } // ✗", ""), "the interface has no name"},
	{"duplicate names", machineSource("", "A int8 `msgpack:\"x\"`\nB int8 `msgpack:\"x\"` // ✗", ""), `two fields are encoded as "x"`},
	{"two of one depth", machineSource("", "Base\nOther", "type Base struct{ A int8 }\ntype Other struct{ A int8 } // ✗"), `two fields are encoded as "A"`},
	{"two of one depth behind pointers", machineSource("", "Base\n*Other", "type Base struct{ A int8 }\ntype Other struct{ A int8 } // ✗"), `two fields are encoded as "A"`},
	{"name of the embedded", machineSource("", "Base // ✗", "type Base struct{ A int8 `msgpack:\"Base\"` }"), `the embedded struct and the field Base.A are both named "Base"`},
	{"embeds itself", machineSource("", "A *Node", "type Node struct{\n*Node // ✗\nA int8 }"), "Node embeds itself"},
	{"embeds itself through another", machineSource("", "A *Node", "type Node struct{ *Other\nA int8 }\ntype Other struct{\n*Node // ✗\nB int8 }"), "Node embeds itself"},
	{"embedded pointer to a codec", machineSource(`"net/netip"`, "*netip.Addr // ✗", ""), "the method MarshalBinary of the embedded Addr"},
	{"embedded pointer to a time", machineSource(`"time"`, "*time.Time // ✗", ""), "the methods of the embedded time"},
	{"hidden deep is of a type that is refused where it counts", machineSource("", "Base", "type Base struct{ A chan bool // ✗\n}"), "field Base.A: a chan"},
	{"state hidden", stateSource("", "a int8\nbase", "type base struct{ a int8 } // ✗"), `it has the same name "a" as field Machine.a, which hides it, so its value would be lost`},
	{"state pointer that may be lost", stateSource("", "*base", "type base struct{ a []int8 // ✗\nb map[string]bool }"), "a snapshot could not record whether the embedded pointer base is nil"},
	{"embedded pointer to a command", machineSource("", "A int8", "//mosaik:command\ntype Add struct {\n*Set `msgpack:\",noinline\"` // ✗\n}\nfunc (Add) ApplyTo(*Machine, sm.ApplyContext) (int64, error) { return 0, nil }"), "command Set is embedded"},
	{"embedded pointer not exported", machineSource("", "*base `msgpack:\",noinline\"` // ✗", "type base struct{ A int8 }"), "not exported and cannot be decoded"},
	{"embedded interface not exported", machineSource("", "closed // ✗", "type closed interface{ closed() }\ntype V struct{}\nfunc (V) closed() {}"), "the embedded closed is not exported"},
	{"embedded scalar inlined", machineSource("", "Name `msgpack:\",inline\"` // ✗", "type Name string"), "Name cannot be inlined"},
	{"embedded codec", machineSource(`"net/netip"; "github.com/mosaik-go/mosaik/codec"`, "netip.Addr // ✗", addrCodec), "the method MarshalBinary of the embedded Addr would be promoted to the outer struct"},
	{"embedded command", machineSource("", "A int8", "//mosaik:command\ntype Add struct {\nSet // ✗\n}\nfunc (Add) ApplyTo(*Machine, sm.ApplyContext) (int64, error) { return 0, nil }"), "command Set is embedded"},
	{"embedded time", machineSource(`"time"`, "time.Time // ✗", ""), "the methods of the embedded time"},
	{"hidden", machineSource("", "A Hidden", "type Hidden struct{ a int8 } // ✗"), "field Hidden.a: it is not exported, so it would not be encoded and would be zero in ApplyTo; export it, or exclude it with the tag `msgpack:\"-\"`"},
	{"hidden beside others", machineSource("", "A, b int8 // ✗\n_, c int8 `msgpack:\" - \"`", ""), "field Set.b: it is not exported"},
	{"hidden by the tag of a state", machineSource("", "A int8\nb int8 `mosaik:\"-\"` // ✗", ""), "field Set.b: it is not exported"},
	{"hidden deep", machineSource("", "A map[string][]*Hidden", "type Hidden struct{\nB int8\nc []chan int // ✗\n}"), "field Hidden.c: it is not exported"},
	{"hidden in a variant", machineSource("", "A Closed", "type Closed interface{ closed() }\ntype V struct{\nB int8\nc int8 // ✗\n}\nfunc (V) closed() {}"), "field V.c: it is not exported"},
	{"hidden in an embedded struct", machineSource("", "A int8\nbase", "type base struct{\nB int8\nc int8 // ✗\n}"), "field base.c: it is not exported"},
	{"hidden in a struct without a name", machineSource("", "A struct{\nb int8 // ✗\n}", ""), "field SetA.b: it is not exported"},
	{"hidden in an instance", machineSource(`"sync/atomic"`, "A []atomic.Pointer[int8] // ✗", ""), "the field v is not exported by package sync/atomic, so its value would be lost; register a codec for atomic.Pointer[int8] with //mosaik:codec name=…, or use another type"},
	{"embedded lock", machineSource(`"sync"`, "A int8\nsync.Mutex // ✗", ""), "the field mu is not exported by package sync"},
	{"IsZero of an embedded pointer", machineSource("", "A Opt `msgpack:\",omitempty\"` // ✗", "type Opt struct{ *Base `msgpack:\",noinline\"` }\ntype Base struct{ A int8 }\nfunc (*Base) IsZero() bool { return false }"), "the method IsZero of Opt is promoted from its field Base, which may be nil"},
	{"IsZero of an embedded interface", machineSource("", "A Opt `msgpack:\",omitempty\"` // ✗", "type Opt struct{ Closed }\ntype Closed interface{ closed(); IsZero() bool }\ntype V struct{}\nfunc (V) closed() {}\nfunc (V) IsZero() bool { return false }"), "the method IsZero of Opt is promoted from its field Closed, which may be nil"},
	{"pointer to pointer", machineSource("", "A **int8 // ✗", ""), "have the same encoding"},
	{"pointer to slice", machineSource("", "A *[]int8 // ✗", ""), "have the same encoding; use []int8"},
	{"named pointer", machineSource("", "A Ref // ✗", "type Ref *int8"), "Ref is a named pointer type; use *int8"},
	{"long array", machineSource("", "A [1 << 40]struct{} // ✗", ""), "at most 1048576 are allowed; use a slice"},
	{"huge arrays", machineSource("", "A Huge", "type Huge struct{ A [1 << 20][1 << 20][1 << 20][1 << 20]int64 } // ✗"), "at most 1048576 are allowed"},
	{"own codec", machineSource(`"math/big"`, "A big.Float // ✗", ""), "big.Float encodes itself with MarshalText, and mosaik-gen does not know what that writes; register a codec for it with //mosaik:codec name=… (with module, one serves all packages), or use"},
	{"own codec as key of no comparable type", machineSource(`"math/big"`, "A map[big.Int]bool // ✗", ""), "big.Int cannot be a map key: it holds a part that is not comparable"},
	{"own codec as key with a pointer", machineSource(`"net/url"`, "A map[url.URL]bool // ✗", ""), "url.URL cannot be a map key: it holds a pointer"},
	{"own codec as key with a float", machineSource(`"github.com/mosaik-go/mosaik/codec"`, "A map[Money]bool // ✗", strings.ReplaceAll(moneyCodec, "[]byte // what", "[2]float64 // what")), "Money cannot be a map key: it holds a float"},
	{"own codec as key with an interface", machineSource(`"github.com/mosaik-go/mosaik/codec"`, "A map[Money]bool // ✗", strings.ReplaceAll(moneyCodec, "[]byte // what", "any // what")), "Money cannot be a map key: it holds an interface"},
	{"own codec omitted", machineSource(`"github.com/mosaik-go/mosaik/codec"`, "A Money `msgpack:\",omitempty\"` // ✗", moneyCodec), "Money has no method IsZero, and cannot be compared with its zero value"},
	{"own codec omitted with a float", machineSource(`"github.com/mosaik-go/mosaik/codec"`, "A Money `msgpack:\",omitempty\"` // ✗", strings.ReplaceAll(moneyCodec, "[]byte // what", "[2]float64 // what")), "and cannot be compared with its zero value"},
	{"codec with a name that is reserved", machineSource("", "A int8", "//mosaik:codec name=mosaik/ip\ntype C struct{} // ✗ one line up"), `codec C is named "mosaik/ip", but names that start with mosaik/ are reserved for the codecs of mosaik`},
	{"codec of text without it", machineSource(`"github.com/mosaik-go/mosaik/codec"`, "A int8", "type T struct{ A int8 }\nfunc (*T) UnmarshalText([]byte) error { return nil }\n//mosaik:codec name=t\ntype C = codec.Text[T, *T] // ✗ one line up"), "codec C is for T, which has no method AppendText or MarshalText; add it"},
	{"codec of text that cannot be read", machineSource(`"github.com/mosaik-go/mosaik/codec"`, "A int8", "type T struct{ A int8 }\nfunc (*T) MarshalText() ([]byte, error) { return nil, nil }\n//mosaik:codec name=t\ntype C = codec.Text[T, *T] // ✗ one line up"), "codec C is for T, which has no method UnmarshalText"},
	{"time zone", machineSource(`"time"`, "A *time.Location // ✗", ""), "a time.Location depends on the time zone database"},
	{"tag int64 of an int64", machineSource("", "A int64 `mosaik:\"int64\"` // ✗", ""), "the tag `mosaik:\"int64\"` has no effect on int64"},
	{"tag int64 of an uint", machineSource("", "A uint `mosaik:\"int64\"` // ✗", ""), "uint has 32 or 64 bits"},
	{"tag int64 of a struct", machineSource("", "A S `mosaik:\"int64\"`", "type S struct{ B int } // ✗"), "field S.B: int has 32 or 64 bits"},
	{"tag int64 of a struct without", machineSource("", "A S `mosaik:\"int64\"` // ✗", "type S struct{ B int8 }"), "has no effect on S, which"},
	{"tag int32", machineSource("", "A int `mosaik:\"int32\"` // ✗", ""), "use max=n with an n of at least 1, int64 or uint64"},
	{"tag twice int64", machineSource("", "A int `mosaik:\"int64,int64\"` // ✗", ""), "is not known"},
	{"tag identity of a command", machineSource("", "A int `mosaik:\"identity\"` // ✗", ""), "is not known"},
	{"int of one field alone", machineSource("", "A int `mosaik:\"int64\"`\nB []int // ✗", ""), "field Set.B: int has 32 or 64 bits"},
	{"package below", machineSource("", "A int8", "//mosaik:package int=int64 \nvar x int // ✗ one line up"), "//mosaik:package is below the package clause"},
	{"package int32", "//mosaik:package int=int32\n" + strings.Replace(machineSource("", "A int8", ""), "package p", "package p // ✗ one line up", 1), "//mosaik:package has int=int32; only int=int64 is supported"},
	{"package of nothing", "//mosaik:package\n" + strings.Replace(machineSource("", "A int8", ""), "package p", "package p // ✗ one line up", 1), "has no arguments; add int=int64"},
	{"package without machine", "//mosaik:package int=int64\npackage p // ✗ one line up", "applies to the machines of its package, which has none"},
	{"package of int for an uint", "//mosaik:package int=int64\n" + machineSource("", "A int\nB uint // ✗", ""), "field Set.B: uint has"},
	{"spaced directive", machineSource("", "A int8", "// mosaik:command\ntype Add struct{ A int8 } // ✗ one line up"), "// mosaik:command is an ordinary comment, not a directive; write //mosaik:command"},
	{"codec unnamed", machineSource("", "A int8", "//mosaik:codec\ntype C struct{} // ✗ one line up"), "codec C has no name"},
	{"codec without methods", machineSource("", "A int8", "//mosaik:codec name=c\ntype C struct{} // ✗ one line up"), "codec C lacks Append(dst []byte, v T)"},
	{"codec by pointer", machineSource("", "A int8", "//mosaik:codec name=c\ntype C struct{} // ✗ one line up\ntype T struct{ a int8 }\nfunc (*C) Append(b []byte, v T) ([]byte, error) { return b, nil }\nfunc (C) Decode([]byte) (t T, err error) { return t, err }"), "with a value receiver"},
	{"codec of two types", machineSource("", "A int8", "//mosaik:codec name=c\ntype C struct{} // ✗ one line up\ntype T struct{ a int8 }\nfunc (C) Append(b []byte, v T) ([]byte, error) { return b, nil }\nfunc (C) Decode([]byte) (t int8, err error) { return t, err }"), "codec C lacks Append"},
	{"codec of a basic type", machineSource("", "A int8", "//mosaik:codec name=c\ntype C struct{} // ✗ one line up\nfunc (C) Append(b []byte, v int8) ([]byte, error) { return b, nil }\nfunc (C) Decode([]byte) (t int8, err error) { return t, err }"), "codec C is for int8, which cannot have one; declare a named type"},
	{"codec of time", machineSource(`"time"; "github.com/mosaik-go/mosaik/codec"`, "A int8", "//mosaik:codec name=c\ntype C = codec.Binary[time.Time, *time.Time] // ✗ one line up"), "codec C is for time.Time"},
	{"codec of a command", machineSource("", "A int8", "//mosaik:codec name=c\ntype C struct{} // ✗ one line up\nfunc (C) Append(b []byte, v Set) ([]byte, error) { return b, nil }\nfunc (C) Decode([]byte) (t Set, err error) { return t, err }"), "codec C is for command Set"},
	{"codec of a large type", machineSource("", "A int8", "//mosaik:codec name=c\ntype C struct{} // ✗ one line up\ntype T struct{ a [161]byte }\nfunc (C) Append(b []byte, v T) ([]byte, error) { return b, nil }\nfunc (C) Decode([]byte) (t T, err error) { return t, err }"), "takes 161 bytes of memory, at most 160"},
	{"codec no struct", machineSource("", "A int8", "//mosaik:codec name=c\ntype C int8 // ✗ one line up"), "codec C is not a struct"},
	{"codec generic", machineSource("", "A int8", "//mosaik:codec name=c\ntype C[T any] struct{} // ✗ one line up\nfunc (C[T]) Append(b []byte, v T) ([]byte, error) { return b, nil }\nfunc (C[T]) Decode([]byte) (t T, err error) { return t, err }"), "codec C is generic"},
	{"codecs of one type", machineSource(`"github.com/mosaik-go/mosaik/codec"`, "A Hex", hexCodec+"\n//mosaik:codec name=other\ntype C2 = codec.Text[Hex, *Hex] // ✗ one line up"), "hexCodec and C2 are both codecs for Hex"},
	{"codecs of one name", machineSource(`"github.com/mosaik-go/mosaik/codec"`, "A Hex", hexCodec+"\n//mosaik:codec name=hex\ntype C2 = codec.Text[Hex2, *Hex2] // ✗ one line up\ntype Hex2 struct{ Hex }"), `codecs hexCodec and C2 are both named "hex"`},
	{"variant without name", machineSource("", "A int8", "type Closed interface{ closed() }\n//mosaik:variant\ntype V struct{} // ✗ one line up\nfunc (V) closed() {}"), "variant V has no name"},
	{"variant of nothing", machineSource("", "A int8", "//mosaik:variant name=v\ntype V struct{} // ✗ one line up\nfunc (V) closed() {}"), "V implements no sealed interface of its package"},
	{"variants of one name", machineSource("", "A Closed", "type Closed interface{ closed() }\n//mosaik:variant name=W\ntype V struct{}\nfunc (V) closed() {}\ntype W struct{} // ✗\nfunc (W) closed() {}"), `variant V is also named "W"`},
	{"predeclared", machineSource("", "A int8", "func append() {} // ✗"), "the package declares append, and generated code uses the predeclared append"},
	{"sealed name imported", strings.Replace(machineSource(`. "os/exec"`, "A int8", "var _ = LookPath"), "Machine struct{}", "Machine struct{} // ✗ one line up", 1), "Command is the name of the generated interface"},
	{"sealed name of an import", machineSource(`Command "os/exec" // ✗`, "A int8", "var _ = Command.LookPath"), "Command is the name of the generated interface"},
	{"machines that differ in case", machineSource("", "A int8", "//mosaik:machine name=n version=1\ntype machine struct{} // ✗ one line up"), "the names of machines Machine and machine differ only in case"},
	{"alias of a generic machine", "package p\n\ntype Store[T any] struct{}\n\n//mosaik:machine name=m version=1\ntype Machine = Store[int8] // ✗ one line up", "Machine is an alias; put //mosaik:machine above the type itself, or, if that is an instance of a generic type, declare type Machine struct{ … } around it"},
	{"command within a function", machineSource("", "A int8", "func f() {\n//mosaik:command\ntype X struct{} // ✗ one line up\n}"), "is not above a type"},
	{"tag malformed", machineSource("", "A int8 `msgpack: \"a\"` // ✗", ""), "is malformed"},
	{"tag unquoted", machineSource("", "A int8 `msgpack:a` // ✗", ""), "is malformed"},
	{"tag unclosed", machineSource("", "A int8 `msgpack:\"a` // ✗", ""), "is malformed"},
	{"tag twice", machineSource("", "A int8 `msgpack:\"a\" msgpack:\"b\"` // ✗", ""), "is malformed"},
	{"tags without space", machineSource("", "A int8 `json:\"a\"msgpack:\"b\"` // ✗", ""), "is malformed"},
	{"tag not UTF-8", machineSource("", "A int8 `msgpack:\"\\xff\"` // ✗", ""), "is not valid UTF-8"},
	{"tag too long", machineSource("", "A int8 `msgpack:\""+strings.Repeat("n", 1025)+"\"` // ✗", ""), "longer than 1024 bytes"},
	{"weekday", machineSource(`"time"`, "A time.Weekday // ✗", ""), "time.Weekday has 32 or 64 bits"},
	{"command held by pointer", machineSource("", "A *Command // ✗", ""), "have the same encoding; use Command"},
	{"query without error", machineSource("", "A int8", "//mosaik:query\ntype Get struct{}\nfunc (Get) Query(*Machine) (int64, bool) { return 0, false } // ✗"), "does not have the form Query(*M) (R, error)"},
	{"query of another machine", machineSource("", "A int8", "type Other struct{}\n//mosaik:query\ntype Get struct{}\nfunc (Get) Query(*Other) (int64, error) { return 0, nil } // ✗"), "takes *Other, which is not a machine"},
	{"query generic", machineSource("", "A int8", "//mosaik:query\ntype Get[T any] struct{} // ✗ one line up\nfunc (Get[T]) Query(*Machine) (t T, err error) { return t, err }"), "Get is generic"},
	{"generic command", machineSource("", "A int8", "type Put[T any] struct{ A T }\nfunc (Put[T]) ApplyTo(*Store[T], sm.ApplyContext) (t T, err error) { return t, err } // ✗\ntype Store[T any] struct{}\n//mosaik:command\ntype Add struct{ Put[int8] }"), "takes *Store[int8], which is not a machine of this package"},
	{"own codec by hand", machineSource("", "A Hex // ✗", "type Hex struct{ A int8 }\nfunc (*Hex) UnmarshalText([]byte) error { return nil }"), "Hex encodes itself with UnmarshalText"},
	{"invalid", machineSource("", "A Missing // ✗", ""), "the type is invalid: undefined: Missing; correct it first"},
	{"invalid deep", machineSource("", "A map[string][]Deep", "type Deep struct {\nB Missing // ✗\n}"), "field Deep.B: the type is invalid"},
	{"recursive slice", machineSource("", "A Tree", "type Tree []Tree // ✗"), "contains itself without a struct in between"},
	{"tag option", machineSource("", "A int8 `msgpack:\",string\"` // ✗", ""), `the tag option "string" is not supported`},
	{"tag max", machineSource("", "A string `mosaik:\"max=0\"` // ✗", ""), "use max=n with an n of at least 1"},
	{"tag unknown", machineSource("", "A string `mosaik:\"min=1\"` // ✗", ""), "is not known"},
	{"max of int", machineSource("", "A int8 `mosaik:\"max=3\"` // ✗", ""), "max= does not apply to int8; remove it"},
	{"huge", machineSource("", "A Huge", "type Huge struct{ A [1 << 17]int64 \n B int8 } // ✗ two lines up"), "at most 1048576 are allowed"},
	{"short name", machineSource("", "A e // ✗", "type e struct{ A int8 }"), "e has the name of a variable in generated code"},
	{"long name", machineSource("", "A room2 // ✗", "type room2 struct{ A int8 }"), "room2 has the name of a variable in generated code"},
	{"two aliases", machineSource("", "A Alias // ✗", "type Alias = int"), "int has 32 or 64 bits"},
	{"generic inside", machineSource("", "A Pair[int8, int]", "type Pair[A, B any] struct{\n X A\n Y B // ✗\n}"), "int has 32 or 64 bits"},

	{"state int", stateSource("", "n int // ✗", ""), "field Machine.n: int has 32 or 64 bits, depending on the platform; use int64 or int32, or encode it as int64 with the field tag `mosaik:\"int64\"` or with //mosaik:package int=int64 above the package clause of the machine; or exclude the field with the tag `mosaik:\"-\"`"},
	{"state any", stateSource("", "x any // ✗", ""), "the encoding would not say which type any holds"},
	{"state chan", stateSource("", "c chan bool // ✗", ""), "a chan has no meaning in another process; remove it; or exclude the field with the tag `mosaik:\"-\"`"},
	{"state func", stateSource("", "f func() // ✗", ""), "a func cannot be encoded; remove it; or exclude the field with the tag"},
	{"state lock", stateSource(`"sync"`, "mu sync.Mutex // ✗", ""), "field Machine.mu: the field mu is not exported by package sync, so its value would be lost"},
	{"state embedded lock", stateSource(`"sync"`, "sync.RWMutex // ✗", ""), "field Machine.RWMutex: the field w is not exported by package sync"},
	{"state atomic", stateSource(`"sync/atomic"`, "n []atomic.Int64 // ✗", ""), "the field v is not exported by package sync/atomic"},
	{"state own codec", stateSource(`"math/big"`, "n *big.Float // ✗", ""), "big.Float encodes itself with MarshalText, and mosaik-gen does not know what that writes; register a codec for it with //mosaik:codec name=… (with module, one serves all packages), or use a plain type such as string or [16]byte; or exclude the field"},
	{"state deep", stateSource("", "m map[string]inner", "type inner struct{ n []uint // ✗\n}"), "field inner.n: uint has"},
	{"state excluded by msgpack", stateSource("", "c chan bool `msgpack:\"-\"` // ✗", ""), "field Machine.c: a chan has no meaning"},
	{"state duplicate names", stateSource("", "a int8\nb int8 `msgpack:\"a\"` // ✗", ""), `two fields are encoded as "a"`},
	{"state huge array", stateSource("", "// ✗ one line up\nm map[string][1 << 17][]int64", ""), "takes 3145728 bytes of memory"},
	{"state recursive", stateSource("", "t Tree", "type Tree map[string]Tree // ✗"), "contains itself without a struct in between"},
	{"state of no struct", strings.Replace(machineSource("", "A int8", ""), "version=1\ntype Machine struct{}", "version=1 snapshot\ntype Machine map[string]int64 // ✗ one line up", 1), "machine Machine is not a struct"},
	{"state by value", strings.ReplaceAll(strings.Replace(stateSource("", "n int8", ""), "snapshot\n", "snapshot\n// ✗ one line up\n", 1), "*Machine", "Machine"), "take it by value, so Restore could not change it; take *Machine"},
	{"state method taken", stateSource(`"io"`, "n int8", "func (*Machine) Restore(io.Reader) error { return nil } // ✗"), "Machine already has Restore"},
	{"state rebuild", stateSource("", "n int8", "func (*Machine) AfterRestore() {} // ✗"), "does not have the form AfterRestore() error"},
	{"snapshot value", "package p\n\n//mosaik:machine name=m version=1 snapshot=yes\ntype Machine struct{} // ✗ one line up", "argument snapshot of //mosaik:machine takes no value"},
	{"snapshot twice", "package p\n\n//mosaik:machine name=m snapshot version=1 snapshot\ntype Machine struct{} // ✗ one line up", "argument snapshot of //mosaik:machine occurs twice"},
	{"snapshot of a command", machineSource("", "A int8", "//mosaik:command snapshot\ntype Add struct{} // ✗ one line up\nfunc (Add) ApplyTo(*Machine, sm.ApplyContext) (int64, error) { return 0, nil }"), `//mosaik:command has no argument "snapshot"`},

	{"container in a command", machineSource("", "A sm.Map[string, int64] // ✗", ""), "field Set.A: sm.Map[string, int64] is for the state of a machine with snapshots; use map[string]int64, which has the same encoding"},
	{"list in a command", machineSource("", "A Deep", "type Deep struct{\nB []sm.List[int8] // ✗\n}"), "field Deep.B: sm.List[int8] is for the state of a machine with snapshots; use []int8"},
	{"set in a command", machineSource("", "A sm.Set[string] // ✗", ""), "use map[string]struct{}, which"},
	{"bytes in a command", machineSource("", "A sm.Bytes // ✗", ""), "use []byte, which"},
	{"container in the identity", strings.Replace(machineSource("", "A int8", ""), "Machine struct{}", "Machine struct{\nm sm.List[int64] `mosaik:\"identity\"` // ✗\n}", 1), "sm.List[int64] is for the state of a machine with snapshots; use []int64"},
	{"state pointer in a container", stateSource("", "m sm.Map[string, *inner] // ✗", "type inner struct{ n int8 }"), "field Machine.m: Machine.m[] is a *inner, which a frozen state would share with later commands; use inner and change it with the method Update of its container; or exclude the field with the tag"},
	{"state slice in a container", stateSource("", "m sm.Map[string, inner]", "type inner struct{ n []int64 // ✗\n}"), "field Machine.m: Machine.m[].n is a []int64, which a frozen state would share with later commands; use sm.List[int64]"},
	{"state map in a container", stateSource("", "m sm.List[sm.Map[int8, inner]]", "type inner struct{ n map[string]bool // ✗\n}"), "field Machine.m: Machine.m[][].n is a map[string]bool, which a frozen state would share with later commands; use sm.Map[string, bool]"},
	{"state set in a container", stateSource("", "m sm.List[map[string]struct{}] // ✗", ""), "Machine.m[] is a map[string]struct{}, which a frozen state would share with later commands; use sm.Set[string]"},
	{"state bytes in a container", stateSource("", "m sm.List[[]byte] // ✗", ""), "Machine.m[] is a []byte, which a frozen state would share with later commands; use sm.Bytes"},
	{"state codec in a container", stateSource(`"math/big"`, "m sm.List[big.Int] // ✗", ""), "Machine.m[] is a big.Int, which a frozen state would share with later commands; use a type without pointers"},
	{"state variant in a container", stateSource("", "m sm.List[any1] // ✗", "type any1 interface{ closed() }\ntype one struct{ n int8 }\nfunc (*one) closed() {}"), "Machine.m[] is an interface that holds a *one, which a frozen state would share with later commands; let the variant implement the interface with value receivers"},
	{"state embedded pointer in a container", stateSource("", "m sm.List[inner]", "type inner struct{\n*Base\n}\ntype Base struct{ N int8 // ✗\n}"), "Machine.m[].Base.N is in a struct that is embedded by pointer, which a frozen state would share with later commands; embed the struct itself"},
	{"state container behind an embedded pointer", stateSource("", "*Base", "type Base struct{ M sm.List[int8] // ✗\nN int8 }"), "Machine.Base.M is in a struct that is embedded by pointer"},
	{"state container in a plain map", stateSource("", "m map[string]sm.List[int64] // ✗", ""), "Machine.m is a map[string]sm.List[int64], which a frozen state would share with later commands; use sm.Map[string, sm.List[int64]]"},
	{"state container beside a slice", stateSource("", "m inner", "type inner struct{ l sm.List[int8]\nn []int64 // ✗\n}"), "Machine.m.n is a []int64"},
	{"state container behind a pointer", stateSource("", "m *inner // ✗", "type inner struct{ l sm.List[int8] }"), "Machine.m is a *inner"},
	{"state list of bytes", stateSource("", "m sm.List[byte] // ✗", ""), "sm.List[byte] takes far more memory than its bytes; use sm.Bytes"},
	{"state keys with a codec", stateSource(`"github.com/mosaik-go/mosaik/codec"`, "m sm.Map[Hex, int8] // ✗", hexCodec), "the keys of sm.Map[Hex, int8] have a registered codec"},
	{"state keys of bytes", stateSource("", "m sm.Set[sm.Bytes] // ✗", ""), "sm.Bytes cannot be a map key; use a string"},
	{"state keys of int", stateSource("", "m sm.Map[int, int8] // ✗", ""), "int has 32 or 64 bits"},
	{"state int in a container", stateSource("", "m sm.List[inner] `mosaik:\"int64\"`", "type inner struct{ n int // ✗\n}"), "int has 32 or 64 bits"},
	{"state freeze taken", stateSource("", "m sm.List[int8]", "func (*Machine) Freeze() {} // ✗"), "Machine already has Freeze"},

	{"unknown directive", machineSource("", "A int8", "//mosaik:comand // ✗\ntype X struct{}"), "unknown directive //mosaik:comand; the directives are"},
	{"empty directive", machineSource("", "A int8", "//mosaik: ✗\ntype X struct{}"), "//mosaik: names no directive; the directives are //mosaik:machine,"},
	{"stray directive", machineSource("", "A int8", "//mosaik:query ✗\ntype X struct{}\nfunc (X) Query(*Machine) (int64, error) { return 0, nil }"), `//mosaik:query has no argument "✗"; it takes none`},
	{"loose directive", machineSource("", "A int8", "var _ int // ✗ one line down\n//mosaik:query\n\ntype X struct{}"), "is not above a type"},
	{"identity of a map", strings.Replace(machineSource("", "A int8", ""), "Machine struct{}", "Machine struct{\nm map[string]int64 `mosaik:\"identity\"` // ✗\n}", 1), "map[string]int64 cannot be part of the identity"},
	{"machine tag", strings.Replace(machineSource("", "A int8", ""), "Machine struct{}", "Machine struct{\nm string `mosaik:\"max=3\"` // ✗\n}", 1), "is not allowed on a field of a machine"},
	{"machine without name", "package p\n\n//mosaik:machine version=1\ntype Machine struct{} // ✗ one line up", "has no name"},
	{"machine without version", "package p\n\n//mosaik:machine name=m\ntype Machine struct{} // ✗ one line up", "needs version=…"},
	{"machine version 0", "package p\n\n//mosaik:machine name=m version=0\ntype Machine struct{} // ✗ one line up", "needs version=…"},
	{"machine layout", "package p\n\n//mosaik:machine name=m version=1 layout=list\ntype Machine struct{} // ✗ one line up", "use layout=map"},
	{"machine argument", "package p\n\n//mosaik:machine name=m version=1 nme=x\ntype Machine struct{} // ✗ one line up", `no argument "nme"; it takes name=, version=, level=, layout=, snapshot`},
	{"machine argument twice", "package p\n\n//mosaik:machine name=m name=n version=1\ntype Machine struct{} // ✗ one line up", "occurs twice"},
	{"machine without commands", "package p\n\n//mosaik:machine name=m version=1\ntype Machine struct{} // ✗ one line up", "machine Machine has no commands"},
	{"machine twice", machineSource("", "A int8", "//mosaik:machine name=m version=1\ntype Second struct{} // ✗ one line up"), `both named "m"`},
	{"generic machine", "package p\n\n//mosaik:machine name=m version=1\ntype Machine[T any] struct{} // ✗ one line up", "Machine is generic"},
	{"generic command", machineSource("", "A int8", "//mosaik:command\ntype Add[T any] struct{ A T } // ✗ one line up"), "Add is generic"},
	{"command alias", machineSource("", "A int8", "//mosaik:command\ntype Add = Set // ✗ one line up"), "Add is an alias"},
	{"command no struct", machineSource("", "A int8", "//mosaik:command\ntype Add int64 // ✗ one line up"), "command Add is not a struct"},
	{"command without method", machineSource("", "A int8", "//mosaik:command\ntype Add struct{} // ✗ one line up"), "command Add has no method ApplyTo"},
	{"command bad method", machineSource("", "A int8", "//mosaik:command\ntype Add struct{}\nfunc (Add) ApplyTo(*Machine) error { return nil } // ✗"), "does not have the form ApplyTo(*M, sm.ApplyContext) (R, error)"},
	{"command of another machine", machineSource("", "A int8", "type Other struct{}\n//mosaik:command\ntype Add struct{}\nfunc (Add) ApplyTo(*Other, sm.ApplyContext) (int64, error) { return 0, nil } // ✗"), "takes *Other, which is not a machine of this package"},
	{"command by value", machineSource("", "A int8", "//mosaik:command\ntype Add struct{}\nfunc (Add) ApplyTo(Machine, sm.ApplyContext) (int64, error) { return 0, nil } // ✗"), "does not take the machine as Set does; take *Machine"},
	{"command twice", machineSource("", "A int8", "//mosaik:command name=Set\ntype Add struct{} // ✗ one line up\nfunc (Add) ApplyTo(*Machine, sm.ApplyContext) (int64, error) { return 0, nil }"), `both named "Set"`},
	{"query", machineSource("", "A int8", "//mosaik:query\ntype Get struct{}\nfunc (Get) Query(*Machine) int64 { return 0 } // ✗"), "does not have the form Query(*M) (R, error)"},
	{"name taken", machineSource("", "A int8", "type Command struct{} // ✗"), "Command is the name of the generated interface for the commands of machine Machine"},
	{"method taken", machineSource("", "A int8", "func (*Machine) Apply() {} // ✗"), "Machine already has Apply"},
}

// Codecs that are registered.
const (
	moneyCodec = "type Money struct{\nA []byte // what it holds\n}\nfunc (h Money) MarshalText() ([]byte, error) { return nil, nil }\nfunc (h *Money) UnmarshalText(b []byte) error { return nil }\n//mosaik:codec name=money\ntype moneyCodec = codec.Text[Money, *Money]"
	addrCodec  = "//mosaik:codec name=addr\ntype addrCodec = codec.Binary[netip.Addr, *netip.Addr]"
	hexCodec   = "type Hex string\nfunc (h Hex) MarshalText() ([]byte, error) { return []byte(h), nil }\nfunc (h *Hex) UnmarshalText(b []byte) error { *h = Hex(b); return nil }\n//mosaik:codec name=hex\ntype hexCodec = codec.Text[Hex, *Hex]"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	files := make(map[string]string)
	for i, r := range refusals {
		files[fmt.Sprintf("p%d/p.go", i)] = r.source
	}
	dir := newModule(t, files)
	_, err := Load(t.Context(), Config{Dir: dir, Patterns: []string{"./..."}})
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("Load: %v; want Problems", err)
	}
	found := make(map[string][]Problem)
	for _, p := range problems {
		where := filepath.Base(filepath.Dir(p.Pos.Filename))
		found[where] = append(found[where], p)
	}
	for i, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			line := 0
			for n, text := range strings.Split(r.source, "\n") {
				if strings.Contains(text, "✗") {
					line = n + 1
				}
			}
			switch {
			case strings.Contains(r.source, "one line up"):
				line--
			case strings.Contains(r.source, "two lines up"):
				line--
			case strings.Contains(r.source, "one line down"):
				line++
			}
			got := found[fmt.Sprintf("p%d", i)]
			if len(got) != 1 || got[0].Pos.Line != line || !strings.Contains(got[0].Text, r.reason) {
				t.Errorf("problems %v; want one, in line %d, with %q", got, line, r.reason)
			}
		})
	}
}
