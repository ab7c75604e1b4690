package bond

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

// TestLeaversAreForgotten ends a peer with or without a GOODBYE, in a group or in none. Only a
// peer that has left its groups and sent GOODBYE must be forgotten at once and not dialled again.
// It must be accepted when it comes back.
func TestLeaversAreForgotten(t *testing.T) {
	for _, left := range []bool{true, false} {
		for _, orderly := range []bool{true, false} {
			t.Run(fmt.Sprintf("left %v, orderly %v", left, orderly), func(t *testing.T) {
				logs := newLogs()
				log := func(s *setup, w *web) {
					onWeb(w, "127.0.0.1:1", nil)(s)
					s.config.Logger = slog.New(logs)
				}
				inBubbleWith(t, log, func(t *testing.T, w *web, a *node) {
					at := "127.0.0.1:2"
					b := startNode(t, 1, func(s *setup) { onWeb(w, at, nil)(s); s.config.Seeds = []string{"127.0.0.1:1"} })
					a.link.Serve()
					ar, br := newRecorder(), newRecorder()
					a.join(testGroup(ar, "of a"))
					bm := b.join(testGroup(br, "of b"))
					ar.want(t, up(b, "of b"))
					br.want(t, up(a, "of a"))
					if left {
						bm.Leave()
						if _, err := b.catalog.Update(func(e *discovery.Entry) { e.Groups = nil }); err != nil {
							t.Fatal(err)
						}
					}
					last := b.catalog.Self()
					if orderly {
						b.stop()
					} else {
						synctest.Wait()
						b.crash()
					}
					synctest.Wait()
					end := time.Now()
					_, known := a.catalog.Get(b.peer())
					if want := !left || !orderly; known != want {
						t.Errorf("the peer is known: %v, want %v", known, want)
					}
					time.Sleep(30 * time.Second)
					dials := 0
					for _, when := range w.to(func(addr string) bool { return addr == at }) {
						if when.After(end) {
							dials++
						}
					}
					if known != (dials > 0) {
						t.Errorf("%d dials after the end of a peer that is known: %v", dials, known)
					}
					if !known && a.catalog.Put(last) {
						a.manager.mu.Lock()
						stale := a.manager.peers[b.peer()] == nil
						a.manager.mu.Unlock()
						t.Logf("the catalog itself takes the entry back; met: %v", !stale)
					}
					again := startNode(t, 1, func(s *setup) { onWeb(w, at, nil)(s); s.config.Seeds = []string{"127.0.0.1:1"} })
					again.join(testGroup(br, "of b again"))
					ar.await(t, up(again, "of b again"))
					again.stop()
				})
			})
		}
	}
}

// TestLeaversAreNotBroughtBack has a third peer relay the last entry of a peer that left. It remains
// forgotten.
func TestLeaversAreNotBroughtBack(t *testing.T) {
	t.Parallel()
	logs := newLogs()
	a := startNode(t, 0, func(s *setup) { s.config.Logger = slog.New(logs) })
	b := startNode(t, 1, seeds(a))
	a.awaitPeer(b.peer())
	last := b.catalog.Self()
	b.stop()
	logs.await(t, "forgot a peer that left")
	r := connectRaw(t, a, 2)
	r.sendEntries(last)
	r.sync()
	if _, known := a.catalog.Get(b.peer()); known {
		t.Error("a relayed entry brought back a peer that has left")
	}
}

// TestDeadMembersAreRedialledEverMoreSeldom has 60 members crash, each with two addresses, as
// restarts under new identities do, and counts the dials in each minute until they are forgotten.
func TestDeadMembersAreRedialledEverMoreSeldom(t *testing.T) {
	const members = 60
	inBubble(t, nowhere, func(t *testing.T, w *web, a *node) {
		var ids []sm.PeerID
		for i := range members {
			e := discovery.Entry{Network: network, Version: 1, Addrs: []string{fmt.Sprintf("127.0.1.%d:7", i), fmt.Sprintf("127.0.2.%d:7", i)}}
			s := signEntry(t, madeUp(i), e)
			a.catalog.Put(s)
			ids = append(ids, s.Peer)
		}
		a.manager.mu.Lock()
		for _, id := range ids {
			a.manager.peers[id].member = true
		}
		a.manager.mu.Unlock()
		begin := time.Now()
		time.Sleep(defaultForgetAfter + 2*time.Minute)
		minutes := make([]int, 12)
		for _, at := range w.to(everywhere) {
			minutes[int(at.Sub(begin)/time.Minute)]++
		}
		t.Logf("dials in each minute: %v", minutes)
		for minute, dials := range minutes {
			longest := max(defaultRedialMax, time.Duration(minute)*time.Minute/dialler.DeadShare)
			most := 2 * members * (float64(time.Minute)/float64(longest/2) + 1)
			if minute == 0 {
				most += 2 * members * 8 // the pauses begin with Redial.Min
			}
			if float64(dials) > most {
				t.Errorf("%d dials in minute %d, want at most %.0f", dials, minute, most)
			}
			if minute < 9 && dials < members || minute == 11 && dials > 0 {
				t.Errorf("%d dials in minute %d, want one for each of %d members until they are forgotten", dials, minute, members)
			}
		}
		if got := minutes[8]; got > 60*members*2/20 {
			t.Errorf("%d dials in the minute before they are forgotten, %.1f/s, want fewer than 6/s", got, float64(got)/60)
		}
	})
}

// TestForgottenLine checks the log lines of the two ways of forgetting a peer.
func TestForgottenLine(t *testing.T) {
	t.Parallel()
	logs := newLogs()
	a := startNode(t, 0, func(s *setup) {
		s.config.Logger = slog.New(logs)
		s.config.ForgetAfter = 50 * time.Millisecond
	})
	b := startNode(t, 1, seeds(a))
	a.awaitPeer(b.peer())
	b.crash()
	line := logs.await(t, "forgot a peer")
	if !strings.HasPrefix(line, "forgot a peer that cannot be reached") {
		t.Errorf("logged %q of a peer that crashed", line)
	}
}
