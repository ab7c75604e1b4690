package link

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

func TestListenRefusesBadConfigs(t *testing.T) {
	t.Parallel()
	good := Config{Identity: identityOf(t, 1), Network: testNetwork, Listen: "127.0.0.1:0"}
	for field, change := range map[string]func(*Config){
		"Config.Identity":         func(c *Config) { c.Identity = Identity{} },
		"Config.Network":          func(c *Config) { c.Network = sm.Digest{} },
		"Config.Listen":           func(c *Config) { c.Listen = "" },
		"Config.HandshakeTimeout": func(c *Config) { c.HandshakeTimeout = -1 },
		"127.0.0.1:no":            func(c *Config) { c.Listen = "127.0.0.1:no" },
	} {
		config := good
		change(&config)
		if _, err := Listen(config); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("error %v, want one that names %s", err, field)
		}
	}
}

func TestListenOnAPortInUse(t *testing.T) {
	t.Parallel()
	addr := listen(t, 1, nil).Addr().String()
	_, err := Listen(Config{Identity: identityOf(t, 2), Network: testNetwork, Listen: addr})
	if err == nil || !strings.Contains(err.Error(), "listen on "+addr) {
		t.Errorf("error %v, want one that names %s", err, addr)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	l := listen(t, 1, func(c *Config) { c.HandshakeTimeout = 0 })
	if l.config.HandshakeTimeout != defaultHandshakeTimeout || l.config.Logger == nil {
		t.Errorf("timeout %v, Logger set: %v; want %v, true", l.config.HandshakeTimeout, l.config.Logger != nil, defaultHandshakeTimeout)
	}
}

func TestHandleTwiceOrLatePanics(t *testing.T) {
	t.Parallel()
	l, _ := accepting(t, 1, nil)
	other := listen(t, 2, nil)
	other.Handle(Bond, func(context.Context, *Conn) {})
	for name, f := range map[string]func(){
		"late":  func() { l.Handle(Raft, func(context.Context, *Conn) {}) },
		"twice": func() { other.Handle(Bond, func(context.Context, *Conn) {}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// TestCloseWaitsForHandlers closes a link whose handlers wait for the peer, for
// the context, or for a peer that does not read.
func TestCloseWaitsForHandlers(t *testing.T) {
	t.Parallel()
	var running atomic.Int32
	started := make(chan struct{})
	handle := func(f func(context.Context, *Conn)) Handler {
		return func(ctx context.Context, c *Conn) {
			running.Add(1)
			started <- struct{}{}
			f(ctx, c)
			running.Add(-1)
		}
	}
	server, client := listen(t, 1, nil), listen(t, 2, nil)
	server.Handle(Bond, handle(func(_ context.Context, c *Conn) { c.ReadFrame(1, nil) }))
	server.Handle(Raft, handle(func(ctx context.Context, _ *Conn) { <-ctx.Done() }))
	server.Handle(Snapshot, handle(func(_ context.Context, c *Conn) {
		for c.WriteFrame(1, make([]byte, 1<<20)) == nil {
		}
	}))
	server.Serve()
	for _, p := range []Protocol{Bond, Raft, Snapshot, Bond, Raft, Snapshot} {
		if _, err := client.Dial(t.Context(), server.Addr().String(), sm.PeerID{}, p); err != nil {
			t.Fatal(err)
		}
		<-started
	}
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(func() {
			if err := server.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if n := running.Load(); n != 0 {
				t.Errorf("%d handlers run after Close returned", n)
			}
		})
	}
	closers.Wait()
	if _, err := net.Dial("tcp", server.Addr().String()); err == nil {
		t.Error("the port still accepts connections")
	}
}

// TestCloseDuringDials closes a link while many peers dial it. No handler may run after Close.
func TestCloseDuringDials(t *testing.T) {
	t.Parallel()
	var closed atomic.Bool
	server, client := listen(t, 1, nil), listen(t, 2, nil)
	first := make(chan struct{})
	var once sync.Once
	server.Handle(Bond, func(context.Context, *Conn) {
		if closed.Load() {
			t.Error("a handler was run after Close returned")
		}
		once.Do(func() { close(first) })
	})
	server.Serve()
	var dials sync.WaitGroup
	for range 4 {
		dials.Go(func() {
			for !closed.Load() {
				if c, err := client.Dial(t.Context(), server.Addr().String(), sm.PeerID{}, Bond); err == nil {
					c.Close()
				}
			}
		})
	}
	<-first
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	closed.Store(true)
	dials.Wait()
}

func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	server, accepted := accepting(t, 1, nil)
	client := listen(t, 2, nil)
	c, err := client.Dial(t.Context(), server.Addr().String(), sm.PeerID{}, Bond)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	_, _, err = c.ReadFrame(1, nil)
	wantIs(t, err, net.ErrClosed)
	if err := c.Close(); err != nil {
		t.Errorf("close a connection after its link: %v", err)
	}
	if _, _, err := (<-accepted).ReadFrame(1, nil); err == nil {
		t.Error("the other end is still open")
	}
	_, err = client.Dial(t.Context(), server.Addr().String(), sm.PeerID{}, Bond)
	wantIs(t, err, ErrClosed)
	client.Serve() // does nothing: the leak check would find a goroutine
}

// TestConnectionsAreForgotten checks that a link keeps no reference to closed connections.
func TestConnectionsAreForgotten(t *testing.T) {
	t.Parallel()
	server, accepted := accepting(t, 1, nil)
	client := listen(t, 2, nil)
	held := func() int {
		client.mu.Lock()
		defer client.mu.Unlock()
		return len(client.ends)
	}
	c, err := client.Dial(t.Context(), server.Addr().String(), sm.PeerID{}, Bond)
	if err != nil {
		t.Fatal(err)
	}
	<-accepted
	if n := held(); n != 1 {
		t.Errorf("%d connections are held, want 1", n)
	}
	c.Close()
	if _, err := client.Dial(t.Context(), server.Addr().String(), identityOf(t, 3).Peer(), Bond); err == nil {
		t.Error("dialled a peer that is not there")
	}
	if _, err := client.Dial(t.Context(), "127.0.0.1:no", sm.PeerID{}, Bond); err == nil {
		t.Error("dialled a port that does not exist")
	}
	if n := held(); n != 0 {
		t.Errorf("%d connections are held, want none", n)
	}
}

// stubListener is a listener whose accepted connections a test hands out.
type stubListener struct {
	net.Listener
	accept func() (net.Conn, error)
}

func (l stubListener) Accept() (net.Conn, error) { return l.accept() }

func newStub(t testing.TB) stubListener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return stubListener{listener, listener.Accept}
}

func TestAcceptContinuesAfterErrors(t *testing.T) {
	t.Parallel()
	stub, failures := newStub(t), 3
	accept := stub.accept
	stub.accept = func() (net.Conn, error) {
		if failures > 0 {
			failures--
			return nil, errors.New("too many open files")
		}
		return accept()
	}
	server, accepted := accepting(t, 1, func(c *Config) { c.Listener = stub })
	if _, err := listen(t, 2, nil).Dial(t.Context(), server.Addr().String(), sm.PeerID{}, Bond); err != nil {
		t.Fatal(err)
	}
	if got, want := (<-accepted).Peer(), identityOf(t, 2).Peer(); got != want {
		t.Errorf("accepted peer %s, want %s", got.Short(), want.Short())
	}
}

// TestCloseEndsHandshakes closes a link while a peer stalls its handshake.
func TestCloseEndsHandshakes(t *testing.T) {
	t.Parallel()
	stub, stalled := newStub(t), make(chan struct{})
	accept := stub.accept
	stub.accept = func() (net.Conn, error) {
		raw, err := accept()
		if err == nil {
			close(stalled)
		}
		return raw, err
	}
	server, _ := accepting(t, 1, func(c *Config) { c.Listener = stub })
	raw := dialRaw(t, server)
	<-stalled
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if n, err := raw.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came, want the end", n)
	}
}

// TestCloseDuringAcceptPause closes a link whose listener only returns errors.
func TestCloseDuringAcceptPause(t *testing.T) {
	t.Parallel()
	stub, failed := newStub(t), make(chan struct{}, 1)
	stub.accept = func() (net.Conn, error) {
		select {
		case failed <- struct{}{}:
		default:
		}
		return nil, errors.New("too many open files")
	}
	server, _ := accepting(t, 1, func(c *Config) { c.Listener = stub })
	<-failed
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}
