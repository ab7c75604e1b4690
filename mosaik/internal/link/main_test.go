package link

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/sm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testNetwork is the network of links unless a test sets another one.
var testNetwork = sm.ID("link_test")

// generous is a handshake timeout that no passing test reaches.
const generous = time.Minute

// keyOf returns the private key number n, the same in every run.
func keyOf(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

// identityOf returns the identity of key number n.
func identityOf(t testing.TB, n byte) Identity {
	t.Helper()
	id, err := NewIdentity(keyOf(n))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// listen returns a link of identity n that does not serve yet, on a free port unless change sets
// another address. It is closed when the test ends.
func listen(t testing.TB, n byte, change func(*Config)) *Link {
	t.Helper()
	config := Config{Identity: identityOf(t, n), Network: testNetwork, Listen: "127.0.0.1:0", HandshakeTimeout: generous}
	if change != nil {
		change(&config)
	}
	l, err := Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close link %d: %v", n, err)
		}
	})
	return l
}

// accepting returns a serving link of identity n and the bond connections that
// it accepts. A connection stays open until its other end is closed.
func accepting(t testing.TB, n byte, change func(*Config)) (*Link, <-chan *Conn) {
	t.Helper()
	l := listen(t, n, change)
	accepted := make(chan *Conn)
	l.Handle(Bond, func(ctx context.Context, c *Conn) {
		select {
		case accepted <- c:
			<-ctx.Done()
		case <-ctx.Done():
		}
	})
	l.Serve()
	return l, accepted
}

// pair returns both ends of a bond connection, dialled by identity 1 and
// accepted by identity 2.
func pair(t testing.TB) (dialled, accepted *Conn) {
	t.Helper()
	server, conns := accepting(t, 2, nil)
	client := listen(t, 1, nil)
	c, err := client.Dial(context.Background(), server.Addr().String(), server.config.Identity.Peer(), Bond)
	if err != nil {
		t.Fatal(err)
	}
	return c, <-conns
}

// dialRaw opens a TCP connection to the link; it is closed with the test.
func dialRaw(t testing.TB, l *Link) net.Conn {
	t.Helper()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return raw
}

// wantIs fails the test unless err is target.
func wantIs(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("error %v, want one that is %v", err, target)
	}
}
