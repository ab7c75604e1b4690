// Package ticket defines tickets, which a peer shows to be admitted to a group, and the
// validators that decide about them.
//
// A [Ticket] is data of a class. A peer's tickets are part of its signed entry, which every
// peer of the network can read. So a ticket must be useless to another peer, for instance
// because it names the peer that it was issued to. A [Validator] decides about the tickets
// of its class. A group that requires validators bonds only with peers that all of them
// accept; see [Check].
package ticket

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/mosaik-go/mosaik/sm"
)

// Limits for the tickets of one peer.
const (
	MaxTickets = 16       // tickets of one peer
	MaxData    = 4 << 10  // bytes of data in one ticket
	MaxEncoded = 16 << 10 // bytes of the encoding of all tickets of one peer
)

// A Ticket is evidence that a peer shows to the members of a group.
type Ticket struct {
	// Class is the kind of evidence, and selects the validators. It must not be zero.
	Class sm.Digest
	// Data is the evidence, at most MaxData bytes. It must not be changed after the ticket
	// was handed to a group or a validator.
	Data []byte
}

// Validate returns an error if the class is zero or the data exceeds MaxData.
func (t Ticket) Validate() error {
	if err := t.check(); err != nil {
		return fmt.Errorf("ticket: %w", err)
	}
	return nil
}

// check is Validate for callers whose errors have the prefix already.
func (t Ticket) check() error {
	switch {
	case t.Class.IsZero():
		return errors.New("the class is zero")
	case len(t.Data) > MaxData:
		return fmt.Errorf("class %s: %d bytes of data, at most %d are allowed", t.Class.Short(), len(t.Data), MaxData)
	}
	return nil
}

// String returns the class and the size of the data, but not the data: it may be secret.
func (t Ticket) String() string {
	return fmt.Sprintf("ticket %s (%d bytes)", t.Class.Short(), len(t.Data))
}

// LogValue implements [slog.LogValuer]. It returns the text of String.
func (t Ticket) LogValue() slog.Value { return slog.StringValue(t.String()) }
