package bond

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// refusing is an address at which no process listens.
const refusing = "127.0.0.1:1"

// echo serves a connection by sending back what it reads.
func echo(_ context.Context, c *link.Conn) { _, _ = io.Copy(c, c) }

// wantEcho checks that a connection works in both directions.
func wantEcho(t *testing.T, c *link.Conn, peer sm.PeerID) {
	t.Helper()
	if c.Peer() != peer {
		t.Errorf("connected to peer %s, want %s", c.Peer().Short(), peer.Short())
	}
	if err := c.WriteFrame(7, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if kind, got, err := c.ReadFrame(100, nil); err != nil || kind != 7 || string(got) != "hello" {
		t.Errorf("kind %d, %q came back, error %v", kind, got, err)
	}
}

// bondedPair starts two nodes with a bond and keeps their logs. change changes the
// setup of the second node, which dials the first.
func bondedPair(t *testing.T, change func(*setup)) (a, b *node, logged [2]*logs) {
	t.Helper()
	logged = [2]*logs{newLogs(), newLogs()}
	a = startNode(t, 0, func(s *setup) { s.raft, s.config.Logger = echo, slog.New(logged[0]) })
	b = startNode(t, 1, func(s *setup) {
		s.raft, s.config.Logger = echo, slog.New(logged[1])
		seeds(a)(s)
		change(s)
	})
	recs := []*recorder{newRecorder(), newRecorder()}
	a.join(testGroup(recs[0], "of a"))
	b.join(testGroup(recs[1], "of b"))
	recs[0].await(t, report{"up", b.peer(), 0, "of b"})
	recs[1].await(t, report{"up", a.peer(), 0, "of a"})
	return a, b, logged
}

// wantLogged fails the test unless exactly one line begins with begins.
func wantLogged(t *testing.T, l *logs, begins string) {
	t.Helper()
	var found []string
	for _, line := range l.lines() {
		if strings.HasPrefix(line, begins) {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		t.Errorf("%d lines begin with %q, want one: %q", len(found), begins, found)
	}
}

// A peer that cannot be dialled is asked to connect. Both ends report the obstacle.
func TestConnectToPeerThatCannotBeDialled(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*setup){
		"a wrong address": func(s *setup) { s.addr = refusing },
		"no address":      func(s *setup) { s.noAddr = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b, logged := bondedPair(t, change)
			for range 3 {
				c, err := a.manager.Connect(t.Context(), b.peer(), link.Raft)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				wantEcho(t, c, b.peer())
			}
			if o := a.manager.Obstacles()[b.peer()]; o.Dial == nil || o.Blamed {
				t.Errorf("the end that cannot dial knows %+v", o)
			}
			if o := b.manager.Obstacles()[a.peer()]; o.Dial != nil || !o.Blamed {
				t.Errorf("the end that cannot be dialled knows %+v", o)
			}
			wantLogged(t, logged[0], "cannot dial peer at its advertised addresses")
			wantLogged(t, logged[1], "peer cannot dial this one at its advertised addresses")
			c, err := b.manager.Connect(t.Context(), a.peer(), link.Raft)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			wantEcho(t, c, a.peer())
		})
	}
}

// A peer that advertises a wrong address is reached at the seed where it answered.
func TestConnectAtASeed(t *testing.T) {
	t.Parallel()
	a := startNode(t, 0, func(s *setup) { s.raft, s.addr = echo, refusing })
	b := startNode(t, 1, seeds(a))
	b.awaitEntry(a.peer(), anyEntry)
	// Without a bond the peer could not be asked to connect.
	c, err := b.manager.Dial(t.Context(), a.peer(), link.Bond)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestConnectThatWorksAsksNobody(t *testing.T) {
	t.Parallel()
	a, b, _ := bondedPair(t, func(*setup) {})
	c, err := a.manager.Connect(t.Context(), b.peer(), link.Raft)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wantEcho(t, c, b.peer())
	if !c.Dialled() {
		t.Error("the peer was asked to connect")
	}
	if o := a.manager.Obstacles(); len(o) > 0 {
		t.Errorf("obstacles %v, want none", o)
	}
}

func TestConnectFails(t *testing.T) {
	t.Parallel()
	t.Run("without a bond", func(t *testing.T) {
		t.Parallel()
		a := startNode(t, 0, nil)
		b := startNode(t, 1, func(s *setup) { s.addr = refusing; seeds(a)(s) })
		a.awaitEntry(b.peer(), anyEntry)
		a.awaitConn(b.peer(), anyConn)
		_, err := a.manager.Connect(t.Context(), b.peer(), link.Raft)
		wantIs(t, err, errNoBond)
	})
	t.Run("when the context ends", func(t *testing.T) {
		t.Parallel()
		a, r, _, _ := rawBond(t, nil) // the raw peer does not connect
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := a.manager.Connect(ctx, r.id.Peer(), link.Raft)
			failed <- err
		}()
		f, err := parseCallback(r.expect(kindCallback))
		if err != nil || !f.failed || f.protocol != link.Raft {
			t.Errorf("CALLBACK is %+v, error %v", f, err)
		}
		cancel()
		wantIs(t, <-failed, context.Canceled)
		a.manager.mu.Lock()
		defer a.manager.mu.Unlock()
		if n := len(a.manager.callbacks); n > 0 {
			t.Errorf("%d calls are left", n)
		}
	})
	t.Run("when the manager closes", func(t *testing.T) {
		t.Parallel()
		a, r, _, _ := rawBond(t, nil)
		failed := make(chan error, 1)
		go func() {
			_, err := a.manager.Connect(t.Context(), r.id.Peer(), link.Raft)
			failed <- err
		}()
		r.expect(kindCallback)
		a.manager.Close()
		wantIs(t, <-failed, ErrClosed)
	})
}

// The requests of one peer are bounded, and a token counts only from the peer that was asked.
func TestCallbacksOfAnAdversary(t *testing.T) {
	t.Parallel()
	t.Run("without a bond", func(t *testing.T) {
		t.Parallel()
		a := startNode(t, 0, nil)
		r := connectRaw(t, a, 1)
		r.link.Handle(link.Callback, func(ctx context.Context, _ *link.Conn) {
			t.Error("a connection is opened for a peer without a bond")
			<-ctx.Done()
		})
		r.link.Serve()
		r.sendEntries(signEntry(t, r.id, discovery.Entry{Network: network, Version: 2, Addrs: []string{r.link.Addr().String()}}))
		r.send(kindCallback, callbackFrame{protocol: link.Raft}.append(nil))
		r.sync()
		wantCalls(t, a, r, 0)
	})
	t.Run("for other protocols", func(t *testing.T) {
		t.Parallel()
		a, r, _, _ := rawBond(t, nil)
		for _, p := range []link.Protocol{link.Bond, link.Callback, "mosaik/other/1"} {
			r.send(kindCallback, callbackFrame{protocol: p}.append(nil))
		}
		r.sync()
		wantCalls(t, a, r, 0)
	})
	t.Run("without end", func(t *testing.T) {
		t.Parallel()
		a := startNode(t, 0, func(s *setup) { s.raft = echo })
		a.join(testGroup(newRecorder(), "of a"))
		r := connectRaw(t, a, 1, testGroup(nil, "").ID)
		r.bond(1, 1)
		opened := make(chan struct{}, 3*maxCallbacksOfPeer)
		r.link.Handle(link.Callback, func(ctx context.Context, _ *link.Conn) {
			opened <- struct{}{}
			<-ctx.Done()
		})
		r.link.Serve()
		r.sendEntries(signEntry(t, r.id, discovery.Entry{
			Network: network, Version: 2, Groups: []sm.Digest{testGroup(nil, "").ID},
			Addrs: []string{r.link.Addr().String()},
		}))
		for range 2 * maxCallbacksOfPeer {
			r.send(kindCallback, callbackFrame{protocol: link.Raft}.append(nil))
		}
		r.sync()
		wantCalls(t, a, r, maxCallbacksOfPeer)
		for range maxCallbacksOfPeer {
			<-opened
		}
		wantCalls(t, a, r, maxCallbacksOfPeer)
	})
	t.Run("with the token of another", func(t *testing.T) {
		t.Parallel()
		a, r, _, _ := rawBond(t, nil)
		other, rec := startNode(t, 2, seeds(a)), newRecorder()
		other.join(testGroup(rec, "of other"))
		rec.await(t, report{"up", a.peer(), 0, "of a"})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		failed := make(chan error, 1)
		go func() {
			_, err := a.manager.Connect(ctx, r.id.Peer(), link.Raft)
			failed <- err
		}()
		kind, payload := r.read()
		for kind != kindCallback {
			kind, payload = r.read()
		}
		f, err := parseCallback(payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range [][]byte{f.token[:], f.token[:15], nil} {
			c, err := other.link.Dial(t.Context(), a.addr(), a.peer(), link.Callback)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.WriteFrame(frameToken, token); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.ReadFrame(1, nil); err == nil {
				t.Error("the connection was answered, want its end")
			}
			c.Close()
		}
		select {
		case err := <-failed:
			t.Errorf("the call ended: %v", err)
		default:
		}
		cancel()
		<-failed
	})
}

// wantCalls checks how many connections the node is opening for the raw peer.
func wantCalls(t *testing.T, a *node, r *raw, want int) {
	t.Helper()
	a.manager.mu.Lock()
	defer a.manager.mu.Unlock()
	if got := a.manager.peers[r.id.Peer()].current.callbacks; got != want {
		t.Errorf("%d connections are being opened for the peer, want %d", got, want)
	}
}
