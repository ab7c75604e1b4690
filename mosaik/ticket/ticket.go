// Package ticket holds what peers show each other to be let into a group, and
// what decides on it.
//
// A [Ticket] is data of a class. A peer carries its tickets in its signed entry
// on the network, so every peer can see them: a ticket must be worth nothing in
// other hands, for instance by naming the peer that it was issued to. A
// [Validator] decides on the tickets of its class. A group that requires
// validators bonds with the peers that pass all of them; see [Check].
package ticket

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/mosaik-go/mosaik/sm"
)

// Limits of what one peer carries.
const (
	MaxTickets = 16       // tickets of one peer
	MaxData    = 4 << 10  // bytes of data in one ticket
	MaxEncoded = 16 << 10 // bytes that Encode makes of all of a peer's tickets
)

// A Ticket is evidence that a peer shows to the members of a group.
type Ticket struct {
	// Class says what kind of evidence the data is, and so which validators
	// look at it. It is not zero.
	Class sm.Digest
	// Data is the evidence, at most MaxData bytes. Who holds the ticket must
	// not change it.
	Data []byte
}

// Validate returns an error when the class is zero or the data is too large.
func (t Ticket) Validate() error {
	switch {
	case t.Class.IsZero():
		return errors.New("ticket: the class is zero")
	case len(t.Data) > MaxData:
		return fmt.Errorf("ticket: class %s: %d bytes of data, at most %d are allowed", t.Class.Short(), len(t.Data), MaxData)
	}
	return nil
}

// String names the class and the size of the data, but not the data.
func (t Ticket) String() string {
	return fmt.Sprintf("ticket %s (%d bytes)", t.Class.Short(), len(t.Data))
}

// LogValue implements [slog.LogValuer] with what String returns.
func (t Ticket) LogValue() slog.Value { return slog.StringValue(t.String()) }
