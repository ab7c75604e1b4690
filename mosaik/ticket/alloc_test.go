package ticket_test

import (
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/alloc"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
)

// TestDecodeAllocatesWhatItReads measures what decoding tickets allocates: the seeds of FuzzDecode,
// mutations of them, and the largest number of tickets.
func TestDecodeAllocatesWhatItReads(t *testing.T) {
	most := []byte{1, ticket.MaxTickets}
	for range ticket.MaxTickets {
		most = append(most, unhex(t, classCounter+" 0001 00")...)
	}
	if _, err := ticket.Decode(most); err != nil {
		t.Fatal(err)
	}
	inputs := alloc.Variants(most, []byte{}, []byte{1, 0}, unhex(t, "01 01 "+classCounter+" 0002 6869"),
		unhex(t, "01 02 "+classCounter+" 0000 "+classCounter+" 0001 00"))
	alloc.Bound{PerByte: 4, Fixed: 2 << 10}.Check(t, func(b []byte) { ticket.Decode(b) }, inputs...)
}
