package ticket_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

// Vouched admits the peers whose ids the holder of a private key has signed.
type Vouched struct{ By ed25519.PublicKey }

func (Vouched) Class() sm.Digest       { return sm.ID("vouched") }
func (v Vouched) Signature() sm.Digest { return v.Class().Derive(v.By) }

func (v Vouched) Validate(_ time.Time, peer sm.PeerID, t ticket.Ticket) (time.Time, error) {
	if !ed25519.Verify(v.By, peer[:], t.Data) {
		return time.Time{}, errors.New("nobody vouches for this peer")
	}
	return time.Time{}, nil // never expires
}

func ExampleValidator() {
	public, private, _ := ed25519.GenerateKey(nil)
	alice, mallory := sm.PeerID{1}, sm.PeerID{2}
	forAlice := ticket.Ticket{Class: sm.ID("vouched"), Data: ed25519.Sign(private, alice[:])}

	required := []ticket.Validator{Vouched{By: public}}
	for _, peer := range []sm.PeerID{alice, mallory} {
		_, err := ticket.Check(time.Now(), required, peer, []ticket.Ticket{forAlice})
		fmt.Println(peer.Short(), err)
	}
	// Output:
	// 0100000000 <nil>
	// 0200000000 ticket: class b1072f2fc2: nobody vouches for this peer
}
