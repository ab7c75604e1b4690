package discovery

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// Entry v1. Integers are big-endian. An entry has exactly one encoding; bytes
// that are left over, out of order or doubled are refused.
//
//	size  content
//	   1  version of the format, 1
//	  32  peer id
//	  32  network id
//	   8  version of the entry
//	   1  number of addresses, at most 16; for each
//	        1  length, 3 to 255
//	        n  host:port, printable ASCII without spaces; none twice
//	   2  number of groups, at most 4096; for each
//	       32  group id; ascending, none twice
//	   1  number of tags, at most 64; for each
//	        1  length, 1 to 64
//	        n  UTF-8 of printable characters; ascending, none twice
//	   2  number of extensions, at most 64; for each
//	        2  type; ascending, a type may stand there several times
//	        4  length; at most 65536 over all extensions
//	        n  data
//	  64  ed25519 signature of the peer over "mosaik peer entry v1\0" followed
//	      by everything above
const (
	formatVersion   = 1
	signatureDomain = "mosaik peer entry v1\x00"
)

// signed returns the message that the signature of an entry with this body covers.
func signed(body []byte) []byte { return append([]byte(signatureDomain), body...) }

// appendBody appends everything but the signature. The entry must have passed check, whose
// limits keep each length within its field.
func appendBody(b []byte, e *Entry) []byte {
	b = append(b, formatVersion)
	b = append(b, e.Peer[:]...)
	b = append(b, e.Network[:]...)
	b = binary.BigEndian.AppendUint64(b, e.Version)
	b = append(b, byte(len(e.Addrs)))
	for _, addr := range e.Addrs {
		b = append(append(b, byte(len(addr))), addr...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Groups)))
	for _, g := range e.Groups {
		b = append(b, g[:]...)
	}
	b = append(b, byte(len(e.Tags)))
	for _, tag := range e.Tags {
		b = append(append(b, byte(len(tag))), tag...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Extensions)))
	for _, x := range e.Extensions {
		b = binary.BigEndian.AppendUint16(b, x.Type)
		b = binary.BigEndian.AppendUint32(b, uint32(len(x.Data)))
		b = append(b, x.Data...)
	}
	return b
}

// versionEnd is the offset behind the version of an entry.
const versionEnd = 1 + 32 + 32 + 8

// Peek returns the peer and the version that the bytes claim, without verifying anything. It
// returns zeros for bytes of another format version and for bytes that are too short.
func Peek(b []byte) (peer sm.PeerID, version uint64) {
	if len(b) < versionEnd || b[0] != formatVersion {
		return peer, 0
	}
	return sm.PeerID(b[1:33]), binary.BigEndian.Uint64(b[versionEnd-8:])
}

// Parse decodes what [Signed.Bytes] returned and verifies the signature. It copies b. Any b
// is safe to parse: each fault is [ErrEntry]. An entry that another version of this program
// may accept is [ErrIncompatible] as well.
func Parse(b []byte) (Signed, error) {
	if len(b) > MaxSize {
		return Signed{}, fmt.Errorf("%w: parse: %d bytes, at most %d are allowed", ErrEntry, len(b), MaxSize)
	}
	if len(b) > 0 && b[0] != formatVersion {
		return Signed{}, fmt.Errorf("%w: parse: format version %d is not known; this program reads version %d", ErrIncompatible, b[0], formatVersion)
	}
	raw := append([]byte(nil), b...)
	r := reader{rest: raw}
	e := r.entry()
	body := raw[:len(raw)-len(r.rest)]
	signature := r.bytes(ed25519.SignatureSize)
	switch {
	case r.err != nil:
		return Signed{}, r.err
	case len(r.rest) > 0:
		return Signed{}, fmt.Errorf("%w: parse: %d bytes are left over", ErrEntry, len(r.rest))
	case !link.Verify(e.Peer, signed(body), signature):
		return Signed{}, fmt.Errorf("%w: parse: the signature is not that of peer %s", ErrEntry, e.Peer.Short())
	}
	if err := e.check(); err != nil {
		return Signed{}, fmt.Errorf("%w: parse: signed by its owner, but: %w", ErrIncompatible, err)
	}
	return Signed{Entry: e, raw: raw}, nil
}

// reader reads the fields of an encoding. After its first error it returns zeros.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) entry() Entry {
	var e Entry
	r.uint8() // the format version, which Parse has checked
	copy(e.Peer[:], r.bytes(len(e.Peer)))
	copy(e.Network[:], r.bytes(len(e.Network)))
	e.Version = r.uint64()
	for range r.count(int(r.uint8()), MaxAddrs, "addresses") {
		e.Addrs = append(e.Addrs, string(r.bytes(int(r.uint8()))))
	}
	for range r.count(int(r.uint16()), MaxGroups, "groups") {
		var g sm.Digest
		copy(g[:], r.bytes(len(g)))
		e.Groups = append(e.Groups, g)
	}
	for range r.count(int(r.uint8()), MaxTags, "tags") {
		e.Tags = append(e.Tags, string(r.bytes(int(r.uint8()))))
	}
	for range r.count(int(r.uint16()), MaxExtensions, "extensions") {
		kind := r.uint16()
		e.Extensions = append(e.Extensions, Extension{kind, r.bytes(int(r.uint32()))})
	}
	return e
}

// count returns n if it is within the limit and there was no error before, otherwise 0.
func (r *reader) count(n, most int, what string) int {
	if r.err == nil && n > most {
		r.err = fmt.Errorf("parse: %w", tooMany(what, n, most))
	}
	if r.err != nil {
		return 0
	}
	return n
}

// bytes returns the next n bytes without copying them.
func (r *reader) bytes(n int) []byte {
	if r.err == nil && n > len(r.rest) {
		r.err = fmt.Errorf("%w: parse: it ends early", ErrEntry)
	}
	if r.err != nil {
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// number returns the next n bytes as a big-endian number, n at most 8.
func (r *reader) number(n int) uint64 {
	var v uint64
	for _, b := range r.bytes(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (r *reader) uint8() uint8   { return uint8(r.number(1)) }
func (r *reader) uint16() uint16 { return uint16(r.number(2)) }
func (r *reader) uint32() uint32 { return uint32(r.number(4)) }
func (r *reader) uint64() uint64 { return r.number(8) }
