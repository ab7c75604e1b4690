package bond

import (
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// Group is what [Manager.Join] needs to bond with a group's members.
type Group struct {
	ID sm.Digest
	// Secrets are what members may prove: 1 to [MaxSecrets], of which proofs
	// travel, never they themselves. Two members bond when they share one.
	Secrets []sm.Digest

	Heartbeat Heartbeat
	// Hello returns what the other side of each handshake gets from ours once
	// it has proved a secret, at most [MaxHello] bytes; it is asked at each. It is called like the
	// methods of Handler.
	Hello func() []byte
	// Handler is told what happens to the group's bonds.
	Handler Handler
}

// validate reports what is missing or wrong.
func (g Group) validate() error {
	switch {
	case g.ID.IsZero():
		return errors.New("Group.ID is zero; set the group's id")
	case len(g.Secrets) == 0 || len(g.Secrets) > MaxSecrets:
		return fmt.Errorf("Group.Secrets has %d secrets; it must have 1 to %d", len(g.Secrets), MaxSecrets)
	case g.Hello == nil:
		return errors.New("Group.Hello is nil; set a function that may return nil")
	case g.Handler == nil:
		return errors.New("Group.Handler is nil; set one")
	}
	return g.Heartbeat.validate()
}

// Handler is told what happens to the bonds of one group. Its calls never
// overlap, are in order for each peer, may come before [Manager.Join] has
// returned, and never come after [Membership.Leave] or [Manager.Close] has.
//
// A Handler may call Send, Close and Bonds of its [Membership], but neither
// Leave nor the Manager's Close, which wait for it. It must return soon: a peer
// whose news pile up loses its connection.
type Handler interface {
	// Accept decides about a peer that has proved that it holds a secret; hello
	// is what its Hello returned. The handler calls answer once, before Accept
	// returns or later, from any goroutine: 0 accepts; any other code refuses
	// and is told to the peer. An answer that comes when the handshake has
	// ended, for instance because it took too long, does nothing.
	Accept(peer sm.PeerID, hello []byte, answer func(link.Code))
	// Up reports a bond: both sides accepted. hello is that of Accept.
	Up(peer sm.PeerID, hello []byte)
	// Message reports what the peer sent on its bond. The handler owns payload.
	Message(peer sm.PeerID, payload []byte)
	// Down reports the end of a bond and why it came.
	Down(peer sm.PeerID, code link.Code)
	// Refused reports a handshake that failed, whichever side refused. hello is what
	// the other end's Hello returned, nil if that had not come.
	Refused(peer sm.PeerID, code link.Code, hello []byte)
}

// Info describes a bond.
type Info struct {
	Peer  sm.PeerID
	Since time.Time
	// RTT is the last measured round-trip time of the connection, 0 before the
	// first measurement.
	RTT time.Duration
	// What went over the bond: messages, and the bytes of their payloads.
	MessagesSent, MessagesReceived uint64
	BytesSent, BytesReceived       uint64
}
