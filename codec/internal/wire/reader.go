// Package wire reads MessagePack from untrusted bytes. The reflection codec of package
// codec and the generated codecs, which use package codecimpl, share it.
package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// Kind is the kind of value that a MessagePack header announces.
type Kind uint8

// The kinds of values.
const (
	KindNil Kind = iota
	KindBool
	KindUint // an integer ≥ 0, encoded with any width, signed or not
	KindNegative
	KindFloat32
	KindFloat64
	KindString
	KindBytes
	KindArray
	KindMap
	KindExtension
)

// String returns k as error messages name it, with its article.
func (k Kind) String() string {
	return [...]string{
		"nil", "a bool", "an integer", "a negative integer", "a float32", "a float64",
		"a string", "bytes", "an array", "a map", "an extension",
	}[k]
}

// Header is the start of a MessagePack value.
type Header struct {
	Kind Kind
	Ext  int8 // the type of an extension
	// Num depends on Kind. It is the value of a number or bool (the bits of a float,
	// the two's complement of a negative integer), the number of bytes in a string,
	// bytes or an extension, the number of elements in an array, or the number of
	// entries in a map.
	Num uint64
}

// Reader reads MessagePack from Src, which may be hostile.
type Reader struct {
	Src []byte
	Off int // of the next byte in Src, in [0, len(Src)]
	// Open is set while the state of a machine is read. The elements of arrays and
	// maps may then be in later chunks, and strings may hold any bytes.
	Open bool
}

// Remaining returns how many bytes have not been read.
func (r *Reader) Remaining() int { return len(r.Src) - r.Off }

// Fail returns the fault found at byte at.
func (r *Reader) Fail(at int, err error, format string, args ...any) *Fault {
	return &Fault{Offset: at, Err: err, Detail: fmt.Sprintf(format, args...)}
}

// Header reads the next header. The remaining bytes can hold the length that it
// returns, since each element takes at least one byte and each map entry two. In
// an Open reader this does not hold for arrays and maps.
func (r *Reader) Header() (Header, *Fault) {
	at := r.Off
	if r.Remaining() == 0 {
		return Header{}, r.Fail(at, ErrTruncated, "the bytes end where a value should start")
	}
	b := r.Src[r.Off]
	r.Off++
	switch {
	case b <= 0x7f:
		return Header{Kind: KindUint, Num: uint64(b)}, nil
	case b <= 0x8f:
		return r.bounded(at, KindMap, uint64(b&0x0f), 2)
	case b <= 0x9f:
		return r.bounded(at, KindArray, uint64(b&0x0f), 1)
	case b <= 0xbf:
		return r.bounded(at, KindString, uint64(b&0x1f), 1)
	case b >= 0xe0:
		return Header{Kind: KindNegative, Num: uint64(int64(int8(b)))}, nil
	}
	switch b {
	case 0xc0:
		return Header{Kind: KindNil}, nil
	case 0xc2, 0xc3:
		return Header{Kind: KindBool, Num: uint64(b & 1)}, nil
	case 0xc4, 0xc5, 0xc6:
		return r.sized(at, KindBytes, 1<<(b-0xc4), 1)
	case 0xc7, 0xc8, 0xc9:
		return r.extension(at, 1<<(b-0xc7), 0)
	case 0xca:
		return r.number(at, KindFloat32, 4)
	case 0xcb:
		return r.number(at, KindFloat64, 8)
	case 0xcc, 0xcd, 0xce, 0xcf:
		return r.number(at, KindUint, 1<<(b-0xcc))
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return r.signed(at, 1<<(b-0xd0))
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return r.extension(at, 0, 1<<(b-0xd4))
	case 0xd9, 0xda, 0xdb:
		return r.sized(at, KindString, 1<<(b-0xd9), 1)
	case 0xdc, 0xdd:
		return r.sized(at, KindArray, 2<<(b-0xdc), 1)
	case 0xde, 0xdf:
		return r.sized(at, KindMap, 2<<(b-0xde), 2)
	}
	return Header{}, r.Fail(at, ErrType, "the byte 0x%x starts no MessagePack value", b)
}

// BigEndian reads a number of width bytes, at most 8. A fault is reported at byte at.
func (r *Reader) BigEndian(at, width int) (uint64, *Fault) {
	if r.Remaining() < width {
		return 0, r.Fail(at, ErrTruncated, "%d more bytes are needed, %d remain", width, r.Remaining())
	}
	var n uint64
	for _, b := range r.Src[r.Off : r.Off+width] {
		n = n<<8 | uint64(b)
	}
	r.Off += width
	return n, nil
}

func (r *Reader) number(at int, k Kind, width int) (Header, *Fault) {
	n, fault := r.BigEndian(at, width)
	return Header{Kind: k, Num: n}, fault
}

func (r *Reader) signed(at, width int) (Header, *Fault) {
	n, fault := r.BigEndian(at, width)
	if fault != nil {
		return Header{}, fault
	}
	shift := 64 - 8*width
	if v := int64(n<<shift) >> shift; v < 0 {
		return Header{Kind: KindNegative, Num: uint64(v)}, nil
	}
	return Header{Kind: KindUint, Num: n}, nil
}

// sized reads a length of width bytes; each unit of it takes least bytes or more.
func (r *Reader) sized(at int, k Kind, width, least int) (Header, *Fault) {
	n, fault := r.BigEndian(at, width)
	if fault != nil {
		return Header{}, fault
	}
	return r.bounded(at, k, n, least)
}

// bounded refuses a length that the remaining bytes cannot hold.
func (r *Reader) bounded(at int, k Kind, n uint64, least int) (Header, *Fault) {
	if n > uint64(r.Remaining()/least) && !(r.Open && (k == KindArray || k == KindMap)) {
		return Header{}, r.Fail(at, ErrTruncated, "%s of length %d is declared, %d bytes remain", k, n, r.Remaining())
	}
	return Header{Kind: k, Num: n}, nil
}

// extension reads the rest of an extension's header, whose length is fixed or
// else written in width bytes.
func (r *Reader) extension(at, width int, fixed uint64) (Header, *Fault) {
	n := fixed
	if width > 0 {
		var fault *Fault
		if n, fault = r.BigEndian(at, width); fault != nil {
			return Header{}, fault
		}
	}
	typ, fault := r.BigEndian(at, 1)
	if fault != nil {
		return Header{}, fault
	}
	h, fault := r.bounded(at, KindExtension, n, 1)
	h.Ext = int8(typ)
	return h, fault
}

// Take returns the next n bytes: the content of a string, bytes or extension. Reading
// the header has checked that they remain. The result aliases Src.
func (r *Reader) Take(n uint64) []byte {
	b := r.Src[r.Off : r.Off+int(n)]
	r.Off += int(n)
	return b
}

// Text is [Reader.Take] for a string, which must be valid UTF-8 unless r is Open.
func (r *Reader) Text(at int, n uint64) ([]byte, *Fault) {
	b := r.Take(n)
	if !r.Open && !utf8.Valid(b) {
		return nil, r.Fail(at, ErrUTF8, "%s is not valid UTF-8", Quote(b))
	}
	return b, nil
}

// AppendBytesHeader appends the header of n bytes.
func AppendBytesHeader(b []byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(b, 0xc4, byte(n))
	case n <= math.MaxUint16:
		return append(b, 0xc5, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xc6), uint32(n))
}

// maxQuoted bounds how much of an input an error message quotes, in bytes.
const maxQuoted = 32

// Quote returns the start of b, quoted.
func Quote(b []byte) string {
	if len(b) > maxQuoted {
		return fmt.Sprintf("%q…", b[:maxQuoted])
	}
	return fmt.Sprintf("%q", b)
}
