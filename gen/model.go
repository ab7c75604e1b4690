package gen

import (
	"go/token"
	"go/types"
)

// Machine is a state machine: the type under a //mosaik:machine directive, and
// its commands.
type Machine struct {
	Name     string // in the schema
	Version  uint32 // from 1
	Level    uint32 // of its schema, from 1
	Array    bool   // structs are encoded as arrays by default
	GoName   string // of its type
	Commands []*Command
	Queries  []string // the Go names of their types
	Identity []Field  // the fields whose values enter the signature, by name
	Snapshot bool     // Snapshot and Restore are generated

	pos     token.Position
	object  *types.TypeName
	pointer bool    // its methods have a pointer receiver
	command *Type   // the sum of its commands
	state   *Type   // the struct of its state, nil without snapshots
	rebuild bool    // it has a method AfterRestore
	levels  []level // up to Level; set when the schema file is read
	failed  bool    // the model is incomplete, for which there is a problem
}

// Command is a command of a machine.
type Command struct {
	Name   string // in the schema
	GoName string // of its type

	pos     token.Position
	object  *types.TypeName
	pointer bool // ApplyTo has a pointer receiver
	typ     *Type
}

// Kind is the kind of encoding of a type.
type Kind uint8

// The kinds of types.
const (
	Bool Kind = iota + 1
	Int
	Uint
	Float
	String
	Bytes
	ByteArray
	Time
	Duration
	Slice
	Array
	Map
	Pointer
	Struct
	Sum
	Own // bytes that a registered codec encodes
)

// Type is a type within a machine's commands. The types of recursive commands
// form cycles.
type Type struct {
	Kind     Kind
	Bits     int        // of an Int, Uint or Float
	Len      int        // of a ByteArray or Array
	Enum     []Constant // of an Int, Uint or String: its constants
	Key      *Type      // of a Map
	Elem     *Type      // of a Slice, Array, Map or Pointer; of Bytes and ByteArray if an enum
	Fields   []Field    // of a Struct, in the order of their declaration
	Tuple    bool       // the Struct is encoded as an array
	Omitted  bool       // a field leaves out the Tuple if all of its fields are empty
	Variants []Variant  // of a Sum, by tag: by level, then by name
	Own      string     // of an Own: the name of its codec

	typ   types.Type    // in Go; nil for types of a parsed schema
	name  string        // the suffix of the names of its functions
	root  bool          // it is the sum of a machine's commands
	array bool          // its machine encodes structs as arrays
	codec *registration // of an Own
	word  bool          // the Int or Uint is an int or uint in Go

	// Of a machine's state; see model_state.go.
	stream    bool   // the Slice or Map may span chunks
	differs   bool   // the Struct has other fields than in a command
	state     bool   // the Struct is the state of a machine
	container string // the container of package sm that the Slice, Map or Bytes is, see containerOf

	connected          // see connect
	measured  measured // see measure.go
	leveled   *Machine // the machine, if its schema has more than one level
}

// Constant is a constant of an enumeration.
type Constant struct{ Name, Value string }

// Field is an encoded field of a struct.
type Field struct {
	Name      string // on the wire
	OmitEmpty bool   // it is left out if it is empty
	ByMethod  bool   // with OmitEmpty: the method IsZero of its type decides what is empty
	Max       int    // the highest number of bytes or elements, 0 for no limit
	Pointers  string // the numbers of the embedded pointers that lead to it, as "1.2"
	Type      *Type

	pointers  []embeddedPointer // those that lead to it, from the outermost
	goName    string
	selector  string // from a value of the struct, as ".Base.ID"
	omittable bool   // the tag has omitempty: if all fields are empty, so is the struct
	since     uint32 // the level that added it to an existing struct, 0 for none
	pos       token.Pos
}

// Variant is a type that a sealed interface can hold.
type Variant struct {
	Name string // in the schema
	Type *Type

	goName  string
	pointer bool   // the interface holds a pointer to it
	since   uint32 // the level that added it to an existing sum, 0 for none
}

// children calls f for each type that t directly consists of.
func (t *Type) children(f func(*Type)) {
	if t.Key != nil {
		f(t.Key)
	}
	if t.Elem != nil {
		f(t.Elem)
	}
	for i := range t.Fields {
		f(t.Fields[i].Type)
	}
	for i := range t.Variants {
		f(t.Variants[i].Type)
	}
}

// walk calls f for t and for each type that it reaches, once.
func (t *Type) walk(f func(*Type)) {
	seen := make(map[*Type]bool)
	var visit func(*Type)
	visit = func(t *Type) {
		if seen[t] {
			return
		}
		seen[t] = true
		f(t)
		t.children(visit)
	}
	visit(t)
}

// inline reports whether t has no functions of its own in generated code.
func (t *Type) inline() bool { return t.Kind != Struct && t.Kind != Sum }
