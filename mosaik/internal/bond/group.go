package bond

import (
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// GroupConfig is what [Manager.Join] needs to bond with a group's members.
type GroupConfig struct {
	ID sm.Digest
	// Secrets are the secrets that members may prove, 1 to [MaxSecrets]. Only proofs of them
	// are sent, never the secrets. Two members bond if they share one.
	Secrets []sm.Digest

	Heartbeat Heartbeat
	// Hello returns what this end sends about itself in a handshake, once the other end has
	// proved a secret: at most [MaxHello] bytes. It is called for each handshake, through Post.
	Hello func() []byte
	// Handler receives the events of the group's bonds, through Post.
	Handler Handler
	// Post queues a call for the goroutine that owns the group, which must make the calls one at
	// a time and in order. Post is called with the manager's mutex held: it must neither block
	// nor call the manager. The number of calls that wait is bounded, see backlog.go. After
	// [GroupBonds.Leave], calls that wait may be discarded.
	Post func(call func())
}

// validate returns an error for a field that is missing or out of its bounds.
func (g GroupConfig) validate() error {
	switch {
	case g.ID.IsZero():
		return errors.New("GroupConfig.ID is zero; set the group's id")
	case len(g.Secrets) == 0 || len(g.Secrets) > MaxSecrets:
		return fmt.Errorf("GroupConfig.Secrets has %d secrets; it must have 1 to %d", len(g.Secrets), MaxSecrets)
	case g.Hello == nil:
		return errors.New("GroupConfig.Hello is nil; set a function, which may return nil")
	case g.Handler == nil:
		return errors.New("GroupConfig.Handler is nil; set a handler")
	case g.Post == nil:
		return errors.New("GroupConfig.Post is nil; set a function that queues calls")
	}
	return g.Heartbeat.validate()
}

// Handler receives the events of the bonds of one group. Its calls never overlap and are in order
// for each peer. They are posted by [GroupConfig.Post], from the time at which [Manager.Join] is
// called until [GroupBonds.Leave] or [Manager.Close] returns.
//
// A Handler may call all methods of its [GroupBonds]. It should return soon: a peer with too many
// pending events loses its connection.
type Handler interface {
	// Accept decides about a peer that has proved a secret. hello is what the peer's Hello
	// returned. The handler calls answer once, before Accept returns or later, from any
	// goroutine: code 0 accepts the peer, any other code refuses it and is sent to it. An
	// answer after the handshake has ended, for instance by a timeout, does nothing.
	Accept(peer sm.PeerID, hello []byte, answer func(consensus.CloseCode))
	// Up reports a bond: both ends have accepted. hello is that of Accept.
	Up(peer sm.PeerID, hello []byte)
	// Message reports a message of a peer with a bond. The handler owns payload.
	Message(peer sm.PeerID, payload []byte)
	// Down reports the end of a bond and its cause.
	Down(peer sm.PeerID, code consensus.CloseCode)
	// Refused reports a handshake that failed, whichever end refused. hello is what the
	// peer's Hello returned, nil if that had not arrived.
	Refused(peer sm.PeerID, code consensus.CloseCode, hello []byte)
}

// Info describes a bond.
type Info struct {
	Peer  sm.PeerID
	Since time.Time
	// RTT is the last measured round-trip time of the connection, 0 before the first
	// measurement.
	RTT time.Duration
	// Messages on the bond, and the bytes of their payloads.
	MessagesSent, MessagesReceived uint64
	BytesSent, BytesReceived       uint64
}
