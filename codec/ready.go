package codec

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"

	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// The codecs in this file are for types of the standard library. mosaik-gen uses
// them without a declaration. The name of each codec is part of the schema, so its
// encoding and its limits never change. Each codec accepts one encoding of a value.

// Addr is the codec of [netip.Addr], named "mosaik/ip" in schemas. The zero Addr is
// no bytes, an IPv4 address is 4 bytes, and an IPv6 address is 16 bytes followed by
// its zone, of at most 255 bytes.
type Addr struct{}

// maxZone is the highest number of bytes in the zone of an address.
const maxZone = 255

// Append implements [Codec].
func (Addr) Append(dst []byte, v netip.Addr) ([]byte, error) { return appended(dst, v.AppendBinary) }

// Decode implements [Codec].
func (c Addr) Decode(src []byte) (v netip.Addr, err error) {
	if len(src) > 16+maxZone {
		return v, fmt.Errorf("%w: an address with a zone of %d bytes, at most %d are allowed", ErrTooLarge, len(src)-16, maxZone)
	}
	if err := v.UnmarshalBinary(src); err != nil {
		return netip.Addr{}, fmt.Errorf("%w: %d bytes are no IP address", ErrType, len(src))
	}
	return v, canonical(c, src, v)
}

// Prefix is the codec of [netip.Prefix], named "mosaik/ip-prefix" in schemas. A
// prefix is its address as [Addr] encodes it, without a zone, and one byte with the
// number of bits. That byte is 255 for an invalid prefix.
type Prefix struct{}

// Append implements [Codec].
func (Prefix) Append(dst []byte, v netip.Prefix) ([]byte, error) {
	return appended(dst, v.AppendBinary)
}

// Decode implements [Codec].
func (c Prefix) Decode(src []byte) (v netip.Prefix, err error) {
	if n := len(src); n != 1 && n != 5 && n != 17 {
		return v, fmt.Errorf("%w: %d bytes are no IP prefix", ErrType, n)
	}
	if err := v.UnmarshalBinary(src); err != nil {
		return netip.Prefix{}, fmt.Errorf("%w: %w", ErrType, err)
	}
	return v, canonical(c, src, v)
}

// Integer is the codec of [big.Int], named "mosaik/integer" in schemas. A number is
// its decimal text, of at most 4096 bytes. The time to decode it grows with the
// square of the length.
type Integer struct{}

// maxInteger is the highest number of bytes in the text of an integer.
const maxInteger = 4096

// Append implements [Codec].
func (Integer) Append(dst []byte, v big.Int) ([]byte, error) {
	// A digit takes more than 3 bits. Formatting a number that is far too long
	// would only waste time.
	if v.BitLen() > 4*maxInteger {
		return dst, fmt.Errorf("%w: an integer of %d bits, at most %d digits are allowed", ErrTooLarge, v.BitLen(), maxInteger)
	}
	return v.Append(dst, 10), nil
}

// Decode implements [Codec].
func (Integer) Decode(src []byte) (v big.Int, err error) {
	digits := bytes.TrimPrefix(src, []byte("-"))
	switch {
	case len(src) > maxInteger:
		return v, fmt.Errorf("%w: an integer of %d bytes, at most %d are allowed", ErrTooLarge, len(src), maxInteger)
	case len(digits) == 0 || digits[0] == '0' && len(src) > 1:
		return v, fmt.Errorf("%w: %s is no integer in decimal", ErrCanonical, wire.Quote(src))
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return v, fmt.Errorf("%w: %s is no integer in decimal", ErrType, wire.Quote(src))
		}
	}
	v.SetString(string(src), 10)
	return v, nil
}

// URL is the codec of [url.URL], named "mosaik/url" in schemas. A URL is an array of
// its fields and loses nothing. It is not encoded as text, because releases of Go
// differ in the texts that [url.Parse] accepts, and members must accept the same
// commands.
type URL struct{}

// These bits encode the fields of a URL that are not strings.
const (
	urlUser = 1 << iota
	urlPassword
	urlOmitHost
	urlForceQuery
)

// urlFields is the number of elements in the array: the bits and the strings.
const urlFields = 11

// urlStrings calls f for each string of a URL, in the order of the array.
func urlStrings(v *url.URL, name, password *string, f func(*string)) {
	for _, s := range []*string{
		&v.Scheme, &v.Opaque, name, password, &v.Host, &v.Path, &v.RawPath, &v.RawQuery, &v.Fragment, &v.RawFragment,
	} {
		f(s)
	}
}

// Append implements [Codec].
func (URL) Append(dst []byte, v url.URL) ([]byte, error) {
	var bits byte
	var name, password string
	if v.User != nil {
		bits |= urlUser
		name = v.User.Username()
		var has bool
		if password, has = v.User.Password(); has {
			bits |= urlPassword
		}
	}
	if v.OmitHost {
		bits |= urlOmitHost
	}
	if v.ForceQuery {
		bits |= urlForceQuery
	}
	b := append(dst, 0x90|urlFields, bits)
	urlStrings(&v, &name, &password, func(s *string) {
		b = append(wire.AppendBytesHeader(b, len(*s)), *s...)
	})
	return b, nil
}

// Decode implements [Codec].
func (c URL) Decode(src []byte) (v url.URL, err error) {
	var name, password string
	bits, fault := readURL(src, &v, &name, &password)
	if fault != nil {
		return url.URL{}, failed(opDecode, "URL", fault)
	}
	switch {
	case bits&urlPassword != 0:
		v.User = url.UserPassword(name, password)
	case bits&urlUser != 0:
		v.User = url.User(name)
	}
	v.OmitHost, v.ForceQuery = bits&urlOmitHost != 0, bits&urlForceQuery != 0
	return v, canonical(c, src, v)
}

// readURL decodes src. It sets the fields of v that are strings and returns the bits
// of the others. The strings are encoded as bytes, because a path may hold any.
func readURL(src []byte, v *url.URL, name, password *string) (bits byte, fault *wire.Fault) {
	r := wire.Reader{Src: src}
	if len(src) > MaxSize {
		return 0, r.Fail(MaxSize, ErrTooLarge, "%d bytes, at most %d are allowed", len(src), MaxSize)
	}
	n, fault := expect(&r, wire.KindArray)
	switch {
	case fault != nil:
		return 0, fault
	case n != urlFields:
		return 0, r.Fail(0, ErrType, "%d elements, where the array has %d", n, urlFields)
	}
	at := r.Off
	n, fault = expect(&r, wire.KindUint)
	if fault == nil && n > math.MaxUint8 {
		fault = r.Fail(at, ErrOverflow, "%d overflows uint8", n)
	}
	if fault != nil {
		return 0, fault.In("[0]")
	}
	bits = byte(n)
	element := 0
	urlStrings(v, name, password, func(s *string) {
		if fault != nil {
			return
		}
		element++
		if r.Remaining() > 0 && r.Src[r.Off] == 0xc0 {
			r.Off++ // nil, which canonical refuses
			return
		}
		if n, fault = expect(&r, wire.KindBytes); fault == nil {
			*s = string(r.Take(n))
		}
	})
	if fault != nil {
		return 0, fault.In(fmt.Sprintf("[%d]", element))
	}
	if left := r.Remaining(); left > 0 {
		return 0, r.Fail(r.Off, ErrTrailing, "%d bytes follow the URL", left)
	}
	return bits, nil
}

// expect reads a header of the given kind and returns its number.
func expect(r *wire.Reader, want wire.Kind) (uint64, *wire.Fault) {
	at := r.Off
	h, fault := r.Header()
	switch {
	case fault != nil:
		return 0, fault
	case h.Kind == wire.KindNil:
		return 0, r.Fail(at, ErrNil, "nil, where %s is wanted", want)
	case h.Kind != want:
		return 0, r.Fail(at, ErrType, "%s, where %s is wanted", h.Kind, want)
	}
	return h.Num, nil
}
