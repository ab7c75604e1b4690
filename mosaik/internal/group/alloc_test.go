package group

import (
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/alloc"
)

// TestParseAnnouncementAllocatesWhatItReads measures what parsing announcements allocates,
// over the seeds of FuzzParseAnnouncement and what becomes of them.
func TestParseAnnouncementAllocatesWhatItReads(t *testing.T) {
	inputs := alloc.Variants(fullAnnouncement().append(nil), Announcement{Role: Role{}}.append(nil), nil)
	inputs = append(inputs, make([]byte, 1<<20))
	alloc.Bound{PerByte: 4, Fixed: 1 << 10}.Check(t, func(b []byte) { parseAnnouncement(b) }, inputs...)
}
