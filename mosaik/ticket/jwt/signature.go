package jwt

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/mosaik-go/mosaik/sm"
)

// The signature of a validator is BLAKE3(id("mosaik_jwt_validator") ‖ rules),
// where id(s) is BLAKE3(s). Every part of the rules is framed, so that no two
// configurations give the same bytes; numbers are big-endian, a text is 4 bytes
// length and as many bytes, and sets ascend without duplicates:
//
//	size  content
//	   1  version of the rules, 1
//	   …  text: name, empty for none
//	   4  number of keys, 0 with a name; for each, ascending by all its bytes
//	        …  text: algorithm
//	        …  text: id
//	       32  BLAKE3(id("mosaik_jwt_key") ‖ key): the secret, the Ed25519 key, or
//	           the uncompressed point
//	   4  number of issuers; for each: text
//	   4  number of audiences; for each: text
//	   …  text: subject, empty for the peer's id
//	   4  number of claims; for each, ascending by name: text name, text value
//	   1  1 if tokens without exp are allowed, else 0
//	   8  maximum lifetime in nanoseconds
//	   8  maximum age in nanoseconds
//	   8  leeway in nanoseconds
func (c Config) signature() sm.Digest {
	b := appendText([]byte{1}, c.Name)
	var keys [][]byte
	if c.Name == "" {
		for _, k := range c.Keys {
			digest := k.digest()
			keys = append(keys, append(appendText(appendText(nil, string(k.algorithm)), k.id), digest[:]...))
		}
		slices.SortFunc(keys, bytes.Compare)
		keys = slices.CompactFunc(keys, bytes.Equal)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(keys)))
	b = append(b, bytes.Join(keys, nil)...)
	for _, set := range [][]string{c.Issuers, c.Audiences} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(set)))
		for _, s := range set {
			b = appendText(b, s)
		}
	}
	b = appendText(b, c.Subject)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Claims)))
	for _, name := range slices.Sorted(maps.Keys(c.Claims)) {
		b = appendText(appendText(b, name), c.Claims[name])
	}
	var flag byte
	if c.AllowNoExpiry {
		flag = 1
	}
	b = append(b, flag)
	b = binary.BigEndian.AppendUint64(b, uint64(c.MaxLifetime))
	b = binary.BigEndian.AppendUint64(b, uint64(c.MaxAge))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Leeway))
	return sm.ID("mosaik_jwt_validator").Derive(b)
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
