package link

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// Identity is a peer's ed25519 key pair with the certificate that presents it. Copies share
// the key. It prints as the peer's short id; no way of printing it shows the key. Its methods
// may be called concurrently. The zero Identity belongs to no peer.
type Identity struct{ keys *keys }

// keys is behind a pointer so that no way of printing an Identity reaches it.
type keys struct {
	peer    sm.PeerID
	private ed25519.PrivateKey
	cert    tls.Certificate
}

// NewIdentity returns the identity of the private key, which it copies.
func NewIdentity(key ed25519.PrivateKey) (Identity, error) {
	if len(key) != ed25519.PrivateKeySize {
		return Identity{}, fmt.Errorf("make identity: the ed25519 private key has %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	// Signatures by a private key with another key's public half reveal the secret.
	private := ed25519.NewKeyFromSeed(key.Seed())
	if !private.Equal(key) {
		return Identity{}, errors.New("make identity: the public half of the private key does not belong to it")
	}
	cert, err := selfSign(private)
	if err != nil {
		return Identity{}, fmt.Errorf("make identity: %w", err)
	}
	peer := sm.PeerID(private.Public().(ed25519.PublicKey))
	return Identity{&keys{peer, private, cert}}, nil
}

// Peer returns the id of the identity's peer, zero for the zero Identity.
func (id Identity) Peer() sm.PeerID {
	if id.keys == nil {
		return sm.PeerID{}
	}
	return id.keys.peer
}

// Sign returns the ed25519 signature of msg, 64 bytes. [Verify] checks it. The zero Identity
// returns nil, which verifies for no peer.
func (id Identity) Sign(msg []byte) []byte {
	if id.keys == nil {
		return nil
	}
	return ed25519.Sign(id.keys.private, msg)
}

// String returns the peer's short id.
func (id Identity) String() string { return id.Peer().Short() }

// Verify reports whether sig is the peer's signature of msg. It is false for the zero peer.
func Verify(peer sm.PeerID, msg, sig []byte) bool {
	// The zero key is a point of small order: its signatures can be forged.
	return !peer.IsZero() && ed25519.Verify(peer[:], msg, sig)
}

// selfSign returns a certificate that carries the public key. The serial number and the
// dates mean nothing; TLS libraries require them.
func selfSign(key ed25519.PrivateKey) (tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sign the certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
