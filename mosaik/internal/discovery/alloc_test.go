package discovery

import (
	"crypto/ed25519"
	"encoding/binary"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/alloc"
	"github.com/mosaik-go/mosaik/sm"
)

// TestParseAllocatesWhatItReads measures what parsing entries allocates, with right and wrong
// signatures: the seeds of FuzzParse, mutations of them, and entries with many small parts.
func TestParseAllocatesWhatItReads(t *testing.T) {
	head := sign(t, Entry{Network: sm.ID("network")}).Bytes()[:1+32+32+8]
	extensions := binary.BigEndian.AppendUint16(append(append([]byte{}, head...), 0, 0, 0, 0), MaxExtensions)
	for range MaxExtensions {
		extensions = append(extensions, 0, 1, 0, 0, 0, 0)
	}
	groups := binary.BigEndian.AppendUint16(append(append([]byte{}, head...), 0), MaxGroups)
	for i := range MaxGroups {
		groups = append(groups, byte(i>>8), byte(i))
		groups = append(groups, make([]byte, 30)...)
	}
	groups = append(groups, 0, 0, 0)
	tags := append(append([]byte{}, head...), 0, 0, 0, MaxTags)
	for i := range byte(MaxTags) {
		tags = append(tags, 1, '!'+i)
	}
	tags = append(tags, 0, 0)
	seeds := [][]byte{sign(t, full(t)).Bytes(), sign(t, Entry{Network: sm.ID("network")}).Bytes(), {}}
	inputs := alloc.Variants(seeds...)
	for _, body := range [][]byte{extensions, groups, tags} {
		s := seal(t, body)
		if _, err := Parse(s); err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, s, append(body, make([]byte, ed25519.SignatureSize)...))
	}
	alloc.Bound{PerByte: 8, Fixed: 24 << 10}.Check(t, func(b []byte) { Parse(b) }, inputs...)
}
