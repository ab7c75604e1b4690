package codec

import "encoding/binary"

// highBits are those that no byte of ASCII has.
const highBits = 0x8080808080808080

// ascii reports whether b is ASCII alone. What is not may still be valid UTF-8;
// most strings in commands are short and ASCII, and this is the faster question.
func ascii(b []byte) bool {
	n := len(b)
	switch {
	case n >= 8:
		last := binary.LittleEndian.Uint64(b[n-8:]) // overlaps what comes before it
		for ; len(b) > 8; b = b[8:] {
			last |= binary.LittleEndian.Uint64(b)
		}
		return last&highBits == 0
	case n >= 4:
		return (binary.LittleEndian.Uint32(b)|binary.LittleEndian.Uint32(b[n-4:]))&(highBits>>32) == 0
	case n > 0:
		return b[0]|b[n/2]|b[n-1] < 0x80
	}
	return true
}
