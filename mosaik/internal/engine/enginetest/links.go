package enginetest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// Patience is how long a test waits for what must happen. No passing test waits so long.
const Patience = time.Minute

// Within returns a context that ends after [Patience], or with the test.
func Within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Book holds the addresses of peers. Its methods may be called concurrently.
type Book struct {
	// Dial replaces the dialler of links from [Listen], nil for the usual one.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu    sync.Mutex
	addrs map[sm.PeerID]string
}

// Put notes, or replaces, a peer's address.
func (b *Book) Put(p sm.PeerID, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.addrs == nil {
		b.addrs = map[sm.PeerID]string{}
	}
	b.addrs[p] = addr
}

// Get returns a peer's address.
func (b *Book) Get(p sm.PeerID) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if addr, ok := b.addrs[p]; ok {
		return addr, nil
	}
	return "", fmt.Errorf("no address for %s", p.Short())
}

// Listen returns a link on a loopback address, whose identity is made from seed, and notes
// the address in b. It does not serve yet; the caller must close it.
func Listen(t testing.TB, b *Book, seed byte) (*link.Link, sm.PeerID) {
	t.Helper()
	id, err := link.NewIdentity(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := link.Listen(link.Config{
		Identity: id, Network: sm.ID("engine_test"), Listen: "127.0.0.1:0", Dial: b.Dial, HandshakeTimeout: Patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Trust(l.Addr()) // all peers share this address, and one bad message would bar it
	b.Put(id.Peer(), l.Addr().String())
	return l, id.Peer()
}

// Dial opens a connection from a link to a peer.
func Dial(t testing.TB, b *Book, from *link.Link, to sm.PeerID, p link.Protocol) *link.Conn {
	t.Helper()
	addr, err := b.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	c, err := from.Dial(Within(t), addr, to, p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// WantHangUp waits until the other end closes the connection, which must not answer.
func WantHangUp(t testing.TB, c *link.Conn) {
	t.Helper()
	defer c.Close()
	ctx := Within(t)
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if _, _, err := c.ReadFrame(1, nil); err == nil {
		t.Error("the other end answered")
	}
	if ctx.Err() != nil {
		t.Error("the other end keeps the connection")
	}
}
