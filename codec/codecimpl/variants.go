package codecimpl

import (
	"fmt"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// Tag reads the start of a command in the form that encoders write, and returns the
// tag of the command's type. There are n types, at most 128. For any other form it
// reads nothing and returns -1; the caller then uses [Reader.Variant].
func (r *Reader) Tag(n int) int {
	if r.input.Off == 0 && len(r.input.Src) >= 2 && r.input.Src[0] == 0x92 && int(r.input.Src[1]) < n {
		r.input.Off, r.depth = 2, 1
		return int(r.input.Src[1])
	}
	return -1
}

// Variant reads the start of a sum's value and returns the variant's tag, in
// [0, n), or -1 on error. The value of the variant follows.
func (r *Reader) Variant(n int) int {
	if at := r.input.Off; at+2 <= len(r.input.Src) && r.input.Src[at] == 0x92 && r.depth < codec.MaxDepth {
		if tag := int(r.input.Src[at+1]); tag < n && tag < 0x80 {
			r.input.Off += 2
			r.depth++
			return tag
		}
	}
	return r.anyVariant(n)
}

// anyVariant is Variant without a fast path.
func (r *Reader) anyVariant(n int) int {
	at := r.input.Off
	if length, ok := r.expectArray(); !ok || !r.enter(at) {
		return -1
	} else if length != 2 {
		r.refuse(at, codec.ErrType, "%d elements, where a variant has a tag and a value", length)
		return -1
	}
	at = r.input.Off
	h, ok := r.integer("a variant's tag")
	if !ok {
		return -1
	}
	if h.Kind == wire.KindNegative || h.Num >= uint64(n) {
		r.refuse(at, codec.ErrVariant, "the tag %d is none of the %d variants", int64(h.Num), n)
		return -1
	}
	return int(h.Num)
}

// EndVariant ends the variant that [Reader.Variant] began; name is for errors.
func (r *Reader) EndVariant(name string) {
	r.depth--
	if r.fault != nil {
		r.inVariant(name)
	}
}

// inVariant is a function of its own so that EndVariant is inlined.
//
//go:noinline
func (r *Reader) inVariant(name string) { r.locate(fmt.Sprintf(".(%s)", name)) }
