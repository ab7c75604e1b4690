package bond

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

// keeper keeps the known peers that a manager saves.
type keeper struct {
	mu    sync.Mutex
	kept  []discovery.KnownPeer
	calls int
	err   error
}

func (k *keeper) remember(peers []discovery.KnownPeer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = peers
	k.calls++
	return k.err
}

func (k *keeper) now() ([]discovery.KnownPeer, int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.kept), k.calls
}

// addrs returns the addresses that are kept, by peer.
func (k *keeper) addrs() map[sm.PeerID][]string {
	kept, _ := k.now()
	all := map[sm.PeerID][]string{}
	for _, s := range kept {
		all[s.Peer] = s.Addrs
	}
	return all
}

// on makes the node of a setup save its known peers and start with the given ones.
func (k *keeper) on(earlier ...discovery.KnownPeer) func(*setup) {
	return func(s *setup) { s.config.KnownPeers, s.config.SaveKnownPeers = earlier, k.remember }
}

// TestKnownPeersAreKept has a peer be reached, move, and leave or crash. It checks the saved
// addresses, also after a stranger has connected whose address was not verified.
func TestKnownPeersAreKept(t *testing.T) {
	for _, orderly := range []bool{true, false} {
		t.Run(fmt.Sprintf("orderly %v", orderly), func(t *testing.T) {
			var k keeper
			change := func(s *setup, w *web) { onWeb(w, "127.0.0.1:1", nil)(s); k.on()(s) }
			inBubbleWith(t, change, func(t *testing.T, w *web, a *node) {
				a.link.Serve()
				b := startNode(t, 1, func(s *setup) { onWeb(w, "127.0.0.1:2", nil)(s); s.config.Seeds = []string{"127.0.0.1:1"} })
				c := startNode(t, 2, func(s *setup) { // no peer can dial it
					onWeb(w, "127.0.0.1:3", nil)(s)
					s.config.Seeds = []string{"127.0.0.1:1"}
					s.noAddr = true
				})
				claim := func(e *discovery.Entry) { e.Addrs = []string{"127.9.9.9:9"} }
				if _, err := c.catalog.Update(claim); err != nil {
					t.Fatal(err)
				}
				ar, br := newRecorder(), newRecorder()
				a.join(testGroup(ar, "of a"))
				b.join(testGroup(br, "of b"))
				ar.want(t, up(b, "of b"))
				time.Sleep(2 * time.Second)
				want := map[sm.PeerID][]string{b.peer(): {"127.0.0.1:2"}}
				if diff := cmp.Diff(want, k.addrs()); diff != "" {
					t.Errorf("kept (-want +got):\n%s", diff)
				}
				move := func(e *discovery.Entry) {
					e.Addrs = []string{"127.0.0.4:2", "127.0.0.5:2", "127.0.0.6:2", "127.0.0.7:2", "127.0.0.8:2"}
				}
				if _, err := b.catalog.Update(move); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				want[b.peer()] = []string{"127.0.0.4:2", "127.0.0.5:2", "127.0.0.6:2", "127.0.0.7:2"}
				if diff := cmp.Diff(want, k.addrs()); diff != "" {
					t.Errorf("kept after a move (-want +got):\n%s", diff)
				}
				_, before := k.now()
				time.Sleep(rememberEvery + time.Minute)
				kept, after := k.now()
				if len(kept) != 1 || time.Since(kept[0].At) > 2*time.Minute || after != before+1 {
					t.Errorf("kept %v after an hour, in %d writes, want the present time in one", kept, after-before)
				}
				if orderly {
					if _, err := b.catalog.Update(func(e *discovery.Entry) { e.Groups = nil }); err != nil {
						t.Fatal(err)
					}
					b.stop()
					delete(want, b.peer())
				} else {
					b.crash()
				}
				time.Sleep(2 * time.Second)
				c.stop()
				a.stop()
				if diff := cmp.Diff(want, k.addrs()); diff != "" {
					t.Errorf("kept after the end (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestKnownPeersAreSeeds starts with peers that an earlier process knew. The peers are still at
// their addresses, return after an hour, were replaced by another peer, or have addresses that
// the rules or the filter forbid.
func TestKnownPeersAreSeeds(t *testing.T) {
	t.Parallel()
	const at = "127.0.0.1:2"
	for name, c := range map[string]struct {
		addr   string
		after  time.Duration // when a peer begins to listen there
		peer   int           // the peer that listens
		filter bool          // the filter forbids the address
		hidden bool          // the node advertises no loopback address
		met    bool
	}{
		"there":           {addr: at, peer: 1, met: true},
		"back in an hour": {addr: at, after: time.Hour, peer: 1, met: true},
		"another peer":    {addr: at, peer: 2, met: true},
		"filtered":        {addr: at, peer: 1, filter: true},
		"forbidden":       {addr: at, peer: 1, hidden: true},
		"gone":            {addr: "127.0.0.9:9", peer: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var k keeper
			change := func(s *setup, w *web) {
				onWeb(w, "127.0.0.1:1", nil)(s)
				k.on(discovery.KnownPeer{Peer: identity(t, 1).Peer(), At: time.Now(), Addrs: []string{c.addr}},
					discovery.KnownPeer{Peer: identity(t, 0).Peer(), At: time.Now(), Addrs: []string{"127.0.0.1:1"}})(s)
				s.noAddr = c.hidden
				s.config.DialFilter = func(peer sm.PeerID, _ netip.AddrPort) error {
					if c.filter && peer == identity(t, 1).Peer() {
						return errFilter
					}
					return nil
				}
			}
			inBubbleWith(t, change, func(t *testing.T, w *web, a *node) {
				a.link.Serve()
				time.Sleep(c.after)
				dialled := len(w.to(everywhere))
				if pause := c.after / time.Minute; dialled > 20+2*int(pause) {
					t.Errorf("%d dials in %v, want about one in a minute", dialled, c.after)
				}
				b := startNode(t, c.peer, func(s *setup) { onWeb(w, at, nil)(s) })
				time.Sleep(knownPeerPause + time.Second)
				if _, known := a.catalog.Get(b.peer()); known != c.met {
					t.Errorf("the peer is met: %v, want %v", known, c.met)
				}
				if forbidden := c.filter || c.hidden; forbidden && len(w.to(everywhere)) > 0 {
					t.Errorf("a forbidden address was dialled")
				}
				b.crash()
				a.stop()
				want := map[sm.PeerID][]string{identity(t, c.peer).Peer(): {c.addr}}
				if diff := cmp.Diff(want, k.addrs()); diff != "" {
					t.Errorf("kept (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestForgottenPeersAreSought has a member crash and come back at its address after a day, without
// a seed. The other member has forgotten it by then.
func TestForgottenPeersAreSought(t *testing.T) {
	var k keeper
	change := func(s *setup, w *web) { onWeb(w, "127.0.0.1:1", nil)(s); k.on()(s) }
	inBubbleWith(t, change, func(t *testing.T, w *web, a *node) {
		b := startNode(t, 1, func(s *setup) { onWeb(w, "127.0.0.1:2", nil)(s) })
		ar := newRecorder()
		a.join(testGroup(ar, "of a"))
		b.join(testGroup(newRecorder(), "of b"))
		a.catalog.Put(b.catalog.Self())
		ar.want(t, up(b, "of b"))
		b.crash()
		time.Sleep(24 * time.Hour)
		if _, known := a.catalog.Get(b.peer()); known {
			t.Error("the peer is still known after a day")
		}
		again := startNode(t, 1, func(s *setup) { onWeb(w, "127.0.0.1:2", nil)(s) })
		again.join(testGroup(newRecorder(), "of b again"))
		time.Sleep(knownPeerPause)
		ar.await(t, up(again, "of b again"))
		again.stop()
	})
}

// TestKnownPeersAreBounded has more members connect than are kept, and then none for months. The
// old ones are dropped only while another peer is connected.
func TestKnownPeersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k keeper
		m := New(Config{Catalog: newTestCatalog(t), SaveKnownPeers: k.remember})
		s := m.knownPeers
		meet := func(i int) *peer {
			p := &peer{m: m, id: madeUp(i).Peer(), conns: map[*conn]struct{}{}, member: true}
			p.target = m.scheduler.NewTarget(p, time.Now())
			p.current = &conn{}
			p.conns[p.current] = struct{}{}
			m.peers[p.id] = p
			s.record(p, signEntry(t, madeUp(i), discovery.Entry{Network: network, Addrs: []string{fmt.Sprintf("127.0.0.1:%d", i+1)}}))
			return p
		}
		for i := range 3 * discovery.MaxKnownPeers {
			p := meet(i)
			if len(s.all) > discovery.MaxKnownPeers {
				t.Fatalf("%d peers are kept, want at most %d", len(s.all), discovery.MaxKnownPeers)
			}
			if s.all[p.id] == nil {
				t.Fatalf("peer %d, which is connected, is not kept", i)
			}
			p.current, p.conns = nil, nil
			time.Sleep(time.Second)
		}
		for i := range discovery.MaxKnownPeers {
			if id := madeUp(2*discovery.MaxKnownPeers + i).Peer(); s.all[id] == nil {
				t.Errorf("the peer that was connected %d s ago is not kept", discovery.MaxKnownPeers-i)
			}
		}
		time.Sleep(2 * knownPeerTime)
		if got := len(s.list(time.Now())); got != discovery.MaxKnownPeers {
			t.Errorf("%d are kept while nobody is connected, want %d", got, discovery.MaxKnownPeers)
		}
		p := meet(0)
		if got := s.list(time.Now()); len(got) != 1 || got[0].Peer != p.id {
			t.Errorf("kept %v with one peer connected, want that alone", got)
		}
		for i := range 2 * discovery.MaxKnownPeers {
			meet(i + 1)
		}
		if len(s.all) != discovery.MaxKnownPeers || s.all[p.id] == nil {
			t.Errorf("%d peers are kept when more are connected, want %d, the first among them", len(s.all), discovery.MaxKnownPeers)
		}
	})
}

// TestKnownPeersThatCannotBeKept has saving fail. The error is logged.
func TestKnownPeersThatCannotBeKept(t *testing.T) {
	k, logs := keeper{err: errors.New("no space left")}, newLogs()
	change := func(s *setup, w *web) {
		onWeb(w, "127.0.0.1:1", nil)(s)
		k.on()(s)
		s.config.Logger = slog.New(logs)
	}
	inBubbleWith(t, change, func(t *testing.T, w *web, a *node) {
		b := startNode(t, 1, func(s *setup) { onWeb(w, "127.0.0.1:2", nil)(s) })
		a.catalog.Put(b.catalog.Self())
		time.Sleep(2 * time.Second)
		if got := len(logs.lines()); got == 0 || !slices.ContainsFunc(logs.lines(), func(l string) bool { return strings.Contains(l, "no space left") }) {
			t.Errorf("logged %q, want the error", logs.lines())
		}
		b.stop()
	})
}

// TestNoKnownPeers calls the methods of a nil knownPeers.
func TestNoKnownPeers(t *testing.T) {
	t.Parallel()
	var s *knownPeers
	s.record(&peer{}, discovery.Signed{})
	s.dial(sm.PeerID{1})
	s.drop(sm.PeerID{1})
}

// TestKnownPeerWithAName starts with a known peer whose address has a host name.
func TestKnownPeerWithAName(t *testing.T) {
	t.Parallel()
	p := namedPlace(t)
	b := startNode(t, 1, func(s *setup) { s.listen = "127.0.0.2:" + p.port })
	p.lead("127.0.0.2")
	var k keeper
	a := startNode(t, 0, func(s *setup) {
		p.on(s)
		s.config.Seeds = nil
		k.on(discovery.KnownPeer{Peer: b.peer(), Addrs: []string{net.JoinHostPort("seed.example", p.port)}})(s)
	})
	a.awaitPeer(b.peer())
}
