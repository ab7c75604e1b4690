package link

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

func TestDialBothWays(t *testing.T) {
	t.Parallel()
	a, acceptedByA := accepting(t, 1, nil)
	b, acceptedByB := accepting(t, 2, nil)
	for _, c := range []struct {
		from, to *Link
		accepted <-chan *Conn
		want     sm.PeerID
	}{
		{a, b, acceptedByB, b.config.Identity.Peer()},
		{b, a, acceptedByA, a.config.Identity.Peer()},
		{a, b, acceptedByB, sm.PeerID{}},
	} {
		dialled, err := c.from.Dial(t.Context(), c.to.Addr().String(), c.want, Bond)
		if err != nil {
			t.Fatal(err)
		}
		accepted := <-c.accepted
		if got, want := dialled.Peer(), c.to.config.Identity.Peer(); got != want {
			t.Errorf("dialled peer %s, want %s", got.Short(), want.Short())
		}
		if got, want := accepted.Peer(), c.from.config.Identity.Peer(); got != want {
			t.Errorf("accepted peer %s, want %s", got.Short(), want.Short())
		}
		if !dialled.Dialled() || accepted.Dialled() {
			t.Errorf("Dialled is %v and %v, want true and false", dialled.Dialled(), accepted.Dialled())
		}
		if dialled.RemoteAddr().String() != c.to.Addr().String() || accepted.RemoteAddr().String() != dialled.LocalAddr().String() {
			t.Errorf("addresses %v → %v and %v → %v do not match", dialled.LocalAddr(), dialled.RemoteAddr(), accepted.RemoteAddr(), accepted.LocalAddr())
		}
	}
}

func TestDialReachesTheProtocolsHandler(t *testing.T) {
	t.Parallel()
	server, client := listen(t, 1, nil), listen(t, 2, nil)
	for _, p := range []Protocol{Bond, Raft, Snapshot} {
		server.Handle(p, func(_ context.Context, c *Conn) { c.WriteFrame(0, []byte(p)) })
	}
	server.Serve()
	for _, p := range []Protocol{Snapshot, Bond, Raft} {
		c, err := client.Dial(t.Context(), server.Addr().String(), sm.PeerID{}, p)
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := c.ReadFrame(100, nil)
		if err != nil || string(got) != string(p) {
			t.Errorf("dialled %s, reached %q, error %v", p, got, err)
		}
		if _, _, err := c.ReadFrame(100, nil); !errors.Is(err, io.EOF) {
			t.Errorf("after the handler returned: error %v, want %v", err, io.EOF)
		}
		c.Close()
	}
}

func TestDialOtherNetwork(t *testing.T) {
	t.Parallel()
	server := listen(t, 1, nil)
	server.Handle(Bond, func(context.Context, *Conn) { t.Error("the handler was run for a peer of another network") })
	server.Serve()
	client := listen(t, 2, func(c *Config) { c.Network = sm.ID("other") })
	_, err := client.Dial(t.Context(), server.Addr().String(), sm.PeerID{}, Bond)
	var refused *consensus.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v, want a *RefusedError", err)
	}
	want := &consensus.RefusedError{Peer: server.config.Identity.Peer(), Code: consensus.CodeOtherNetwork}
	if diff := cmp.Diff(want, refused); diff != "" {
		t.Errorf("refusals differ (-want +got):\n%s", diff)
	}
}

func TestDialWrongPeer(t *testing.T) {
	t.Parallel()
	server, _ := accepting(t, 1, nil)
	client := listen(t, 2, nil)
	want, there := identityOf(t, 3).Peer(), server.config.Identity.Peer()
	_, err := client.Dial(t.Context(), server.Addr().String(), want, Bond)
	if err == nil || !strings.Contains(err.Error(), want.Short()) || !strings.Contains(err.Error(), there.Short()) {
		t.Errorf("error %v, want one that names %s and %s", err, want.Short(), there.Short())
	}
}

func TestDialSelf(t *testing.T) {
	t.Parallel()
	l, _ := accepting(t, 1, nil)
	_, err := l.Dial(t.Context(), l.Addr().String(), sm.PeerID{}, Bond)
	wantIs(t, err, ErrSelf)
	_, err = l.Dial(t.Context(), "127.0.0.1:1", l.config.Identity.Peer(), Bond)
	wantIs(t, err, ErrSelf)
}

func TestDialNamesAddressAndProtocol(t *testing.T) {
	t.Parallel()
	refuse := errors.New("no route")
	l := listen(t, 1, func(c *Config) {
		c.Dial = func(_ context.Context, network, addr string) (net.Conn, error) { return nil, refuse }
	})
	_, err := l.Dial(t.Context(), "192.0.2.1:7", sm.PeerID{}, Raft)
	wantIs(t, err, refuse)
	if want := "dial 192.0.2.1:7 for mosaik/raft/1: no route"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

// TestDialEnds ends dials in each phase in each way.
func TestDialEnds(t *testing.T) {
	t.Parallel()
	// A phase brings a dial to the point where it blocks, calls arrived, and returns when the
	// dial has closed its connection.
	silent := func(arrived func()) func(net.Conn) {
		return func(raw net.Conn) { arrived(); io.Copy(io.Discard, raw) }
	}
	phases := map[string]func(arrived func()) func(net.Conn){
		"TLS": silent,
		"preface": func(arrived func()) func(net.Conn) {
			return func(raw net.Conn) {
				config := clientTLS(t)
				config.ClientAuth = tls.RequireAnyClientCert
				conn := tls.Server(raw, config)
				if _, err := readPreface(conn); err != nil {
					t.Errorf("read the dialer's preface: %v", err)
				}
				silent(arrived)(conn)
			}
		},
		"TCP": nil,
	}
	ways := map[string]struct {
		end  func(l *Link, cancel func())
		want error
	}{
		"cancel": {func(_ *Link, cancel func()) { cancel() }, context.Canceled},
		"close":  {func(l *Link, _ func()) { l.Close() }, ErrClosed},
	}
	for phase, server := range phases {
		for way, w := range ways {
			t.Run(phase+"/"+way, func(t *testing.T) {
				t.Parallel()
				arrived := make(chan struct{})
				addr, change := "192.0.2.1:7", func(c *Config) {
					c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
						close(arrived)
						<-ctx.Done()
						return nil, ctx.Err()
					}
				}
				if server != nil {
					addr, change = serveRaw(t, server(func() { close(arrived) })), nil
				}
				l := listen(t, 1, change)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error)
				go func() {
					_, err := l.Dial(ctx, addr, sm.PeerID{}, Bond)
					ended <- err
				}()
				<-arrived
				w.end(l, cancel)
				wantIs(t, <-ended, w.want)
			})
		}
	}
}

func TestDialTimesOut(t *testing.T) {
	t.Parallel()
	l := listen(t, 1, func(c *Config) {
		c.HandshakeTimeout = 20 * time.Millisecond
		c.Dial = func(_ context.Context, network, addr string) (net.Conn, error) { return net.Dial(network, addr) }
	})
	addr := serveRaw(t, func(raw net.Conn) { io.Copy(io.Discard, raw) })
	_, err := l.Dial(t.Context(), addr, sm.PeerID{}, Bond)
	wantIs(t, err, context.DeadlineExceeded)
	if !strings.Contains(err.Error(), "20ms") {
		t.Errorf("error %v, want one that names the timeout", err)
	}
	if t.Context().Err() != nil {
		t.Error("the context ended, not the handshake timeout")
	}
}

func TestDialWithoutAListener(t *testing.T) {
	t.Parallel()
	l := listen(t, 1, nil)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	if _, err := l.Dial(t.Context(), gone.Addr().String(), sm.PeerID{}, Bond); err == nil || !strings.Contains(err.Error(), gone.Addr().String()) {
		t.Errorf("error %v, want one that names %s", err, gone.Addr())
	}
}
