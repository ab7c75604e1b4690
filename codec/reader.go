package codec

import (
	"fmt"
	"unicode/utf8"
)

// kind is what a MessagePack header announces.
type kind uint8

const (
	kindNil kind = iota
	kindBool
	kindUint // an integer ≥ 0, in whatever width or signedness it was written
	kindNegative
	kindFloat32
	kindFloat64
	kindString
	kindBytes
	kindArray
	kindMap
	kindExtension
)

func (k kind) String() string {
	return [...]string{
		"nil", "a bool", "an integer", "a negative integer", "a float32", "a float64",
		"a string", "bytes", "an array", "a map", "an extension",
	}[k]
}

// header is the start of a MessagePack value. What num holds depends on the
// kind: the value of a number or bool (floats as bits, negative integers in two's
// complement), the bytes of a string, bytes or extension, the elements of an
// array, the entries of a map.
type header struct {
	kind kind
	ext  int8 // the type of an extension
	num  uint64
}

// reader reads MessagePack from untrusted bytes.
type reader struct {
	src []byte
	off int
	// open is set while a machine's state is read: the elements of arrays and
	// maps may stand in later chunks, and strings hold any bytes.
	open bool
}

func (r *reader) remaining() int { return len(r.src) - r.off }

func (r *reader) fail(at int, err error, format string, args ...any) *Error {
	return &Error{Offset: at, Err: err, Detail: fmt.Sprintf(format, args...)}
}

// header reads the next header. The lengths it returns are such that the
// remaining bytes can hold what they announce: each element takes at least one
// byte, each map entry two.
func (r *reader) header() (header, *Error) {
	at := r.off
	if r.remaining() == 0 {
		return header{}, r.fail(at, ErrTruncated, "the bytes end where a value should start")
	}
	b := r.src[r.off]
	r.off++
	switch {
	case b <= 0x7f:
		return header{kind: kindUint, num: uint64(b)}, nil
	case b <= 0x8f:
		return r.bounded(at, kindMap, uint64(b&0x0f), 2)
	case b <= 0x9f:
		return r.bounded(at, kindArray, uint64(b&0x0f), 1)
	case b <= 0xbf:
		return r.bounded(at, kindString, uint64(b&0x1f), 1)
	case b >= 0xe0:
		return header{kind: kindNegative, num: uint64(int64(int8(b)))}, nil
	}
	switch b {
	case 0xc0:
		return header{kind: kindNil}, nil
	case 0xc2, 0xc3:
		return header{kind: kindBool, num: uint64(b & 1)}, nil
	case 0xc4, 0xc5, 0xc6:
		return r.lengthy(at, kindBytes, 1<<(b-0xc4), 1)
	case 0xc7, 0xc8, 0xc9:
		return r.extension(at, 1<<(b-0xc7), 0)
	case 0xca:
		return r.number(at, kindFloat32, 4)
	case 0xcb:
		return r.number(at, kindFloat64, 8)
	case 0xcc, 0xcd, 0xce, 0xcf:
		return r.number(at, kindUint, 1<<(b-0xcc))
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return r.signed(at, 1<<(b-0xd0))
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return r.extension(at, 0, 1<<(b-0xd4))
	case 0xd9, 0xda, 0xdb:
		return r.lengthy(at, kindString, 1<<(b-0xd9), 1)
	case 0xdc, 0xdd:
		return r.lengthy(at, kindArray, 2<<(b-0xdc), 1)
	case 0xde, 0xdf:
		return r.lengthy(at, kindMap, 2<<(b-0xde), 2)
	}
	return header{}, r.fail(at, ErrType, "the byte 0x%x starts no MessagePack value", b)
}

// bigEndian reads a number of width bytes.
func (r *reader) bigEndian(at, width int) (uint64, *Error) {
	if r.remaining() < width {
		return 0, r.fail(at, ErrTruncated, "%d more bytes are needed, %d remain", width, r.remaining())
	}
	var n uint64
	for _, b := range r.src[r.off : r.off+width] {
		n = n<<8 | uint64(b)
	}
	r.off += width
	return n, nil
}

func (r *reader) number(at int, k kind, width int) (header, *Error) {
	n, err := r.bigEndian(at, width)
	return header{kind: k, num: n}, err
}

func (r *reader) signed(at, width int) (header, *Error) {
	n, err := r.bigEndian(at, width)
	if err != nil {
		return header{}, err
	}
	shift := 64 - 8*width
	if v := int64(n<<shift) >> shift; v < 0 {
		return header{kind: kindNegative, num: uint64(v)}, nil
	}
	return header{kind: kindUint, num: n}, nil
}

// lengthy reads a length of width bytes; each unit of it takes least bytes or more.
func (r *reader) lengthy(at int, k kind, width, least int) (header, *Error) {
	n, err := r.bigEndian(at, width)
	if err != nil {
		return header{}, err
	}
	return r.bounded(at, k, n, least)
}

func (r *reader) bounded(at int, k kind, n uint64, least int) (header, *Error) {
	if n > uint64(r.remaining()/least) && !(r.open && (k == kindArray || k == kindMap)) {
		return header{}, r.fail(at, ErrTruncated, "%s of length %d is declared, %d bytes remain", k, n, r.remaining())
	}
	return header{kind: k, num: n}, nil
}

// extension reads the rest of an extension's header, whose length is fixed or
// else written in width bytes.
func (r *reader) extension(at, width int, fixed uint64) (header, *Error) {
	n := fixed
	if width > 0 {
		var err *Error
		if n, err = r.bigEndian(at, width); err != nil {
			return header{}, err
		}
	}
	typ, err := r.bigEndian(at, 1)
	if err != nil {
		return header{}, err
	}
	h, err := r.bounded(at, kindExtension, n, 1)
	h.ext = int8(typ)
	return h, err
}

// take returns the n bytes of a string, bytes or extension whose header was
// read; the header made sure that they are there.
func (r *reader) take(n uint64) []byte {
	b := r.src[r.off : r.off+int(n)]
	r.off += int(n)
	return b
}

// text is take for strings.
func (r *reader) text(at int, n uint64) ([]byte, *Error) {
	b := r.take(n)
	if !r.open && !utf8.Valid(b) {
		return nil, r.fail(at, ErrUTF8, "%s is not valid UTF-8", quote(b))
	}
	return b, nil
}

// maxQuoted bounds how much of an input an error message quotes, in bytes.
const maxQuoted = 32

// quote returns the start of b, quoted.
func quote(b []byte) string {
	if len(b) > maxQuoted {
		return fmt.Sprintf("%q…", b[:maxQuoted])
	}
	return fmt.Sprintf("%q", b)
}
