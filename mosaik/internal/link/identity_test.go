package link

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

func TestNewIdentity(t *testing.T) {
	t.Parallel()
	key := keyOf(1)
	id, err := NewIdentity(key)
	if err != nil {
		t.Fatal(err)
	}
	if want := sm.PeerID(key.Public().(ed25519.PublicKey)); id.Peer() != want {
		t.Errorf("peer %s, want %s", id.Peer(), want)
	}
	clear(key)
	if !Verify(id.Peer(), []byte("m"), id.Sign([]byte("m"))) {
		t.Error("the identity does not keep its own copy of the key")
	}
}

func TestNewIdentityRefusesBadKeys(t *testing.T) {
	t.Parallel()
	mixed := append(keyOf(1)[:32:32], keyOf(2)[32:]...)
	for name, key := range map[string]ed25519.PrivateKey{"nil": nil, "short": keyOf(1)[:63], "mixed": mixed} {
		if id, err := NewIdentity(key); err == nil {
			t.Errorf("%s key: got identity %s, want an error", name, id)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	id, msg := identityOf(t, 1), []byte("message")
	sig := id.Sign(msg)
	for _, c := range []struct {
		name string
		peer sm.PeerID
		msg  []byte
		sig  []byte
		want bool
	}{
		{"own", id.Peer(), msg, sig, true},
		{"other peer", identityOf(t, 2).Peer(), msg, sig, false},
		{"other message", id.Peer(), []byte("massage"), sig, false},
		{"cut signature", id.Peer(), msg, sig[:63], false},
		{"no signature", id.Peer(), msg, nil, false},
		{"zero identity", sm.PeerID{}, msg, Identity{}.Sign(msg), false},
	} {
		if got := Verify(c.peer, c.msg, c.sig); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestVerifyZeroPeer signs for the zero key, a point of small order whose signatures any process can
// make. They must not verify.
func TestVerifyZeroPeer(t *testing.T) {
	t.Parallel()
	sig := make([]byte, ed25519.SignatureSize)
	sig[0] = 1 // R is the neutral point, S is 0
	forged := 0
	for i := range 64 {
		msg := []byte{byte(i)}
		if ed25519.Verify(make([]byte, 32), msg, sig) {
			forged++
		}
		if Verify(sm.PeerID{}, msg, sig) {
			t.Errorf("message %d verifies for the zero peer", i)
		}
	}
	if forged == 0 {
		t.Error("no forged signature passes ed25519 itself; the test shows nothing")
	}
}

func TestIdentityDoesNotPrintItsKey(t *testing.T) {
	t.Parallel()
	id, seed := identityOf(t, 7), keyOf(7).Seed()
	text, err := json.Marshal(map[string]any{"id": id})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %x %s", id, id, id, id, id, text)
	for _, secret := range []string{hex.EncodeToString(seed), fmt.Sprint([]byte(seed)), fmt.Sprintf("%#v", seed)} {
		if secret = strings.Trim(secret, "[]byte{}"); strings.Contains(all, secret) {
			t.Errorf("the key is in %q", all)
		}
	}
	if want := id.Peer().Short(); fmt.Sprint(id) != want {
		t.Errorf("prints as %q, want %q", id, want)
	}
	if (Identity{}).Peer() != (sm.PeerID{}) {
		t.Error("the zero Identity has a peer id")
	}
}
