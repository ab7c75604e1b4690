package codecimpl

import (
	"fmt"
	"maps"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// levels is the level of the schema at which an encoder works.
type levels struct {
	level  uint32 // at which it encodes
	newest uint32 // of the schema
	start  int    // the index at which the command starts
	needs  need
}

// need is the first part of a command that its level does not have.
type need struct {
	level uint32 // the one that the part needs, 0 if there is no such part
	at    int    // the byte at which a decoder of the older level finds it
	path  string // its path segment
}

// EncoderAt returns the encoder of a command at a level of a schema with levels 1 to
// newest. start is the index in the buffer at which the command begins.
func EncoderAt(level, newest uint32, start int) *Encoder {
	// If the schema does not have the level, CheckCommand returns an error.
	return &Encoder{levels: &levels{level: level, newest: newest, start: start}, unchecked: level == 0 || level > newest}
}

// NeedsLevel records that the part of the command that starts at index at, and is
// called path, needs a level.
func (e *Encoder) NeedsLevel(at int, level uint32, path string) {
	if l := e.levels; l != nil && l.level < level && l.needs.level == 0 {
		l.needs = need{level: level, at: at - l.start, path: path}
		e.unchecked = true
	}
}

// explain turns a fault into a [codec.ErrLevel] if it was found at a part of the
// command that needs a higher level.
func (e *Encoder) explain(fault *wire.Fault) {
	if e.levels == nil || fault == nil {
		return
	}
	if n := e.levels.needs; n.level > 0 && fault.Offset == n.at {
		fault.Err, fault.Path = codec.ErrLevel, fault.Path+n.path
		fault.Detail = fmt.Sprintf("it needs level %d of the schema, but the encoding is at level %d", n.level, e.levels.level)
	}
}

// ReaderAt returns a reader of src, a command at a level of a schema with levels 1
// to newest.
func ReaderAt(level, newest uint32, src []byte) *Reader {
	r := NewReader(src)
	r.setLevel(level, newest)
	return r
}

// setLevel makes r read at a level. A newest of 0 is for a schema without levels.
func (r *Reader) setLevel(level, newest uint32) {
	r.level = level
	if newest > 0 && (level == 0 || level > newest) {
		r.refuse(0, codec.ErrLevel, "there is no level %d of the schema, levels are 1 to %d", level, newest)
	}
}

// Since returns n if r reads at the level or a higher one, and otherwise 0.
func (r *Reader) Since(level uint32, n int64) int64 {
	if r.level != 0 && r.level < level {
		return 0
	}
	return n
}

// Before limits f to its first n fields below a level, and returns f. Calls for
// higher levels must come first. It is for the initialization of a package.
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
