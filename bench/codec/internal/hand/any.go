package hand

import (
	"math"
	"unicode/utf8"

	"github.com/mosaik-go/mosaik/bench/codec/internal/store"
	"github.com/mosaik-go/mosaik/codec"
)

// decodeAny decodes a command that is written in any of the allowed ways.
func decodeAny(src []byte) (store.Command, error) {
	r := reader{src: src}
	var cmd store.Command
	if r.length(kindArray) != 2 {
		r.fail(codec.ErrType)
	}
	switch tag := r.integer(); {
	case r.err != nil:
	case tag.negative || tag.n > 2:
		r.fail(codec.ErrVariant)
	case tag.n == 0:
		cmd = r.order()
	case tag.n == 1:
		cmd = r.put()
	default:
		var t store.Tiny
		r.fields([]string{"By"}, func(int) { t.By = r.int64() })
		cmd = t
	}
	if r.off < len(src) {
		r.fail(codec.ErrTrailing)
	}
	if r.err != nil {
		return nil, r.err
	}
	return cmd, nil
}

func (r *reader) put() (p store.Put) {
	r.fields([]string{"Key", "Value", "TTL"}, func(i int) {
		switch i {
		case 0:
			p.Key = r.text()
		case 1:
			if !r.null() {
				p.Value = append([]byte{}, r.take(r.length(kindBytes))...)
			}
		case 2:
			p.TTL = r.int64()
		}
	})
	return p
}

func (r *reader) order() (o store.Order) {
	r.fields([]string{"ID", "Side", "Price", "Qty", "Owner", "Tags", "Meta", "Legs"}, func(i int) {
		switch i {
		case 0:
			o.ID = r.unsigned(math.MaxUint64)
		case 1:
			o.Side = uint8(r.unsigned(math.MaxUint8))
		case 2:
			o.Price = r.int64()
		case 3:
			o.Qty = r.int64()
		case 4:
			o.Owner = r.text()
		case 5:
			if !r.null() {
				o.Tags = make([]string, r.length(kindArray))
			}
			for i := range o.Tags {
				o.Tags[i] = r.text()
			}
		case 6:
			o.Meta = r.meta()
		case 7:
			if !r.null() {
				o.Legs = make([]store.Leg, r.length(kindArray))
			}
			for i := range o.Legs {
				o.Legs[i] = r.leg()
			}
		}
	})
	return o
}

func (r *reader) meta() map[string]string {
	if r.null() {
		return nil
	}
	n := r.length(kindMap)
	meta := make(map[string]string, n)
	for i := 0; i < n && r.err == nil; i++ {
		key := r.text()
		meta[key] = r.text()
		if r.err == nil && len(meta) != i+1 {
			r.fail(codec.ErrDuplicate)
		}
	}
	return meta
}

func (r *reader) leg() (l store.Leg) {
	r.fields([]string{"Venue", "Price", "Qty"}, func(i int) {
		switch i {
		case 0:
			l.Venue = r.text()
		case 1:
			l.Price = r.int64()
		case 2:
			l.Qty = r.int64()
		}
	})
	return l
}

// reader reads MessagePack in all its forms. It returns zero after an error.
type reader struct {
	src []byte
	off int
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err, r.off = err, len(r.src)
	}
}

type kind uint8

const (
	kindOther kind = iota
	kindNil
	kindInteger
	kindString
	kindBytes
	kindArray
	kindMap
)

// header is the start of a value: an integer, or the length of something.
type header struct {
	kind     kind
	negative bool // n is in two's complement
	n        uint64
}

// least is how many bytes an element of each kind takes at least.
var least = [...]int{kindOther: 1, kindString: 1, kindBytes: 1, kindArray: 1, kindMap: 2}

func (r *reader) header() header {
	if r.off == len(r.src) {
		r.fail(codec.ErrTruncated)
		return header{}
	}
	b := r.src[r.off]
	r.off++
	switch {
	case b <= 0x7f:
		return header{kind: kindInteger, n: uint64(b)}
	case b <= 0x8f:
		return r.holding(kindMap, uint64(b&0x0f))
	case b <= 0x9f:
		return r.holding(kindArray, uint64(b&0x0f))
	case b <= 0xbf:
		return r.holding(kindString, uint64(b&0x1f))
	case b >= 0xe0:
		return header{kindInteger, true, uint64(int64(int8(b)))}
	}
	switch b {
	case 0xc0:
		return header{kind: kindNil}
	case 0xc2, 0xc3:
		return header{}
	case 0xc4, 0xc5, 0xc6:
		return r.holding(kindBytes, r.number(1<<(b-0xc4)))
	case 0xc7, 0xc8, 0xc9:
		n := r.number(1 << (b - 0xc7))
		r.number(1)
		return r.holding(kindOther, n)
	case 0xca, 0xcb:
		r.number(4 << (b - 0xca))
		return header{}
	case 0xcc, 0xcd, 0xce, 0xcf:
		return header{kind: kindInteger, n: r.number(1 << (b - 0xcc))}
	case 0xd0, 0xd1, 0xd2, 0xd3:
		width := 1 << (b - 0xd0)
		n := r.number(width) << (64 - 8*width)
		signed := int64(n) >> (64 - 8*width)
		return header{kindInteger, signed < 0, uint64(signed)}
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		r.number(1)
		return r.holding(kindOther, 1<<(b-0xd4))
	case 0xd9, 0xda, 0xdb:
		return r.holding(kindString, r.number(1<<(b-0xd9)))
	case 0xdc, 0xdd:
		return r.holding(kindArray, r.number(2<<(b-0xdc)))
	case 0xde, 0xdf:
		return r.holding(kindMap, r.number(2<<(b-0xde)))
	}
	r.fail(codec.ErrType)
	return header{}
}

func (r *reader) number(width int) (n uint64) {
	for _, b := range r.take(width) {
		n = n<<8 | uint64(b)
	}
	return n
}

// holding refuses a length that the rest cannot hold.
func (r *reader) holding(k kind, n uint64) header {
	if n > uint64((len(r.src)-r.off)/least[k]) {
		r.fail(codec.ErrTruncated)
		return header{}
	}
	return header{kind: k, n: n}
}

func (r *reader) take(n int) []byte {
	if n > len(r.src)-r.off {
		r.fail(codec.ErrTruncated)
		return nil
	}
	r.off += n
	return r.src[r.off-n : r.off]
}

func (r *reader) null() bool {
	if r.off < len(r.src) && r.src[r.off] == 0xc0 {
		r.off++
		return true
	}
	return false
}

func (r *reader) length(k kind) int {
	h := r.header()
	r.want(h, k)
	if r.err != nil {
		return 0
	}
	return int(h.n)
}

func (r *reader) integer() header {
	h := r.header()
	r.want(h, kindInteger)
	return h
}

func (r *reader) want(h header, k kind) {
	switch h.kind {
	case k:
	case kindNil:
		r.fail(codec.ErrNil)
	default:
		r.fail(codec.ErrType)
	}
}

func (r *reader) int64() int64 {
	h := r.integer()
	if !h.negative && h.n > math.MaxInt64 {
		r.fail(codec.ErrOverflow)
		return 0
	}
	return int64(h.n)
}

func (r *reader) unsigned(highest uint64) uint64 {
	h := r.integer()
	if h.negative || h.n > highest {
		r.fail(codec.ErrOverflow)
		return 0
	}
	return h.n
}

func (r *reader) text() string {
	b := r.take(r.length(kindString))
	if !utf8.Valid(b) {
		r.fail(codec.ErrUTF8)
		return ""
	}
	return string(b)
}

// fields calls read for the value of each field.
func (r *reader) fields(names []string, read func(i int)) {
	var seen uint64
	for n := r.length(kindMap); n > 0 && r.err == nil; n-- {
		h := r.header()
		if h.kind != kindString {
			r.fail(codec.ErrType)
			return
		}
		name := r.take(int(h.n))
		if !utf8.Valid(name) {
			r.fail(codec.ErrUTF8)
			return
		}
		i := 0
		for ; i < len(names) && names[i] != string(name); i++ {
		}
		switch {
		case i == len(names):
			r.fail(codec.ErrUnknownField)
		case seen&(1<<i) != 0:
			r.fail(codec.ErrDuplicate)
		default:
			seen |= 1 << i
			read(i)
		}
	}
}
