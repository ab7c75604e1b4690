package codecimpl

import "encoding/binary"

// Most strings in commands are short and ASCII. That is faster to check than valid
// UTF-8.

// highBits has the bit of each byte that is zero in ASCII.
const highBits = 0x8080808080808080

// ascii reports whether all bytes of b are ASCII.
func ascii(b []byte) bool {
	n := len(b)
	switch {
	case n >= 8:
		all := word(b[n-8:]) // overlaps the word before it
		for ; len(b) > 8; b = b[8:] {
			all |= word(b)
		}
		return all&highBits == 0
	case n >= 4:
		return (half(b)|half(b[n-4:]))&(highBits>>32) == 0
	case n > 0:
		return b[0]|b[n/2]|b[n-1] < 0x80
	}
	return true
}

// word returns the first 8 bytes of b.
func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// half returns the first 4 bytes of b.
func half(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// textWord is word for a string.
func textWord(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// textHalf is half for a string.
func textHalf(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}
