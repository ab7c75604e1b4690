package codec

import (
	"fmt"
	"maps"
)

// position is where in the levels of a schema an encoder is.
type position struct {
	level  uint32 // at which it encodes
	newest uint32 // that is known
	start  int    // where the command starts
	newer  newer
}

// newer is the first thing in a command that its level does not have.
type newer struct {
	level uint32 // the one it needs, 0 if there is no such thing
	at    int    // the byte at which a decoder notices
	path  string // its path segment
}

// EncoderAt returns the encoder of a command at a level of a schema that is
// known up to the newest. The command will start at byte start.
func EncoderAt(level, newest uint32, start int) *Encoder {
	// Check tells of a level that there is not.
	return &Encoder{at: &position{level: level, newest: newest, start: start}, doubt: level == 0 || level > newest}
}

// Newer notes that what follows at byte at, and is called path, needs a level.
func (e *Encoder) Newer(at int, level uint32, path string) {
	if p := e.at; p != nil && p.level < level && p.newer.level == 0 {
		p.newer = newer{level: level, at: at - p.start, path: path}
		e.doubt = true
	}
}

// explain makes what a decoder of the encoder's level did not know an ErrLevel.
func (e *Encoder) explain(err *Error) {
	if e.at == nil || err == nil {
		return
	}
	if n := e.at.newer; n.level > 0 && err.Offset == n.at {
		err.Err, err.Path = ErrLevel, err.Path+n.path
		err.Detail = fmt.Sprintf("it needs level %d of the schema and is to be encoded at level %d", n.level, e.at.level)
	}
}

// ReaderAt returns a reader of src, a command at a level of a schema that is
// known up to the newest.
func ReaderAt(level, newest uint32, src []byte) *Reader {
	r := NewReader(src)
	r.setLevel(level, newest)
	return r
}

// setLevel makes r read at a level; newest is 0 where there are none.
func (r *Reader) setLevel(level, newest uint32) {
	r.level = level
	if newest > 0 && (level == 0 || level > newest) {
		r.refuse(0, ErrLevel, "there is no level %d of the schema, levels are 1 to %d", level, newest)
	}
}

// Since returns n from a level on, and 0 below it.
func (r *Reader) Since(level uint32, n int64) int64 {
	if r.level != 0 && r.level < level {
		return 0
	}
	return n
}

// Before makes f the fields from a level on, and returns it: below the level
// there are only the first n. Calls for higher levels come first.
func (f *Fields) Before(level uint32, n int) *Fields {
	oldest := f
	for oldest.before != nil {
		oldest = oldest.before
	}
	before := &Fields{keys: f.keys[:n], names: f.names[:n], byName: maps.Clone(f.byName)}
	maps.DeleteFunc(before.byName, func(_ string, i int) bool { return i >= n })
	oldest.before, oldest.since = before, level
	return f
}

// At returns the fields that the struct has at the level of r.
func (f *Fields) At(r *Reader) *Fields {
	for f.before != nil && r.level != 0 && r.level < f.since {
		f = f.before
	}
	return f
}
