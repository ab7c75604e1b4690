package codec

import (
	"bytes"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
)

// The codecs of types of the standard library, which mosaik-gen uses without a
// declaration. What they make of a value, and the limits, are part of the schema
// by the name of the codec and never change. Each accepts one form of a value.

// Addr is the codec of [netip.Addr], "mosaik/ip": nothing for the zero Addr, 4
// bytes for IPv4, 16 bytes for IPv6, followed by the zone, of at most 255 bytes.
type Addr struct{}

// maxZone bounds the zone of an address, in bytes.
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

// Prefix is the codec of [netip.Prefix], "mosaik/ip-prefix": the bytes of the
// address as with [Addr], without a zone, and one with the number of bits, 255 for
// a prefix that is not valid.
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

// Integer is the codec of [big.Int], "mosaik/integer": its decimal text, of at
// most 4096 bytes. The time to decode grows with the square of the length.
type Integer struct{}

const maxInteger = 4096 // bytes

// Append implements [Codec].
func (Integer) Append(dst []byte, v big.Int) ([]byte, error) {
	// A digit takes more than 3 bits: a longer one must not be written to be refused.
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
		return v, fmt.Errorf("%w: %s is no integer in decimal", ErrCanonical, quote(src))
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return v, fmt.Errorf("%w: %s is no integer in decimal", ErrType, quote(src))
		}
	}
	v.SetString(string(src), 10)
	return v, nil
}

// URL is the codec of [url.URL], "mosaik/url": an array of its fields, which loses
// nothing. It is not
// the text of the URL, since releases of Go differ in which texts [url.Parse]
// accepts, and members must not differ about a command.
type URL struct{}

// The bits that stand for the fields of a URL that are not strings.
const (
	urlUser = 1 << iota
	urlPassword
	urlOmitHost
	urlForceQuery
)

// urlFields is how many elements the array has: the bits and the strings.
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
	var e Encoder
	b := append(e.SliceHeader(dst, urlFields), bits)
	urlStrings(&v, &name, &password, func(s *string) { b = e.Array(b, []byte(*s)) })
	return b, nil
}

// Decode implements [Codec].
func (c URL) Decode(src []byte) (v url.URL, err error) {
	r := NewReader(src)
	elements := r.Elements(urlFields)
	r.Element(&elements)
	bits := r.Uint8()
	var name, password string
	urlStrings(&v, &name, &password, func(s *string) {
		if r.Element(&elements) {
			*s = string(r.Bytes(0)) // a path holds any bytes
		}
	})
	r.Element(&elements)
	if err := r.Finish("URL"); err != nil {
		return url.URL{}, err
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
