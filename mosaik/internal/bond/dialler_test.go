package bond

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

func everywhere(string) bool { return true }
func nowhere(string) bool    { return false }

// madeUpPeers returns the number of made-up peers of a test: as many as a catalog holds.
func madeUpPeers() int {
	if underRace() {
		return 500
	}
	return discovery.MaxPeers
}

// TestStormIsBounded fills the catalog with made-up peers of 16 addresses each, in no group or
// in a joined one. Their addresses refuse connections or never answer. The node's dials are
// counted until it has forgotten the peers.
func TestStormIsBounded(t *testing.T) {
	for name, hole := range map[string]func(string) bool{"refused": nowhere, "hanging": everywhere} {
		if testing.Short() && name == "hanging" {
			continue
		}
		for group, groups := range map[string][]sm.Digest{"a stranger": nil, "a group": {testGroup(nil, "").ID}} {
			t.Run(name+", "+group, func(t *testing.T) {
				inBubble(t, hole, func(t *testing.T, w *web, a *node) {
					a.join(testGroup(newRecorder(), ""))
					before := runtime.NumGoroutine()
					a.flood(madeUpPeers(), 1, anywhere, groups...)
					most := 0
					for range 60 {
						time.Sleep(time.Second)
						synctest.Wait()
						most = max(most, runtime.NumGoroutine()-before)
					}
					time.Sleep(defaultForgetAfter + time.Minute)
					limits := dialler.UntrustedLimits
					if per := 4; most > per*limits.Max {
						t.Errorf("%d more goroutines for dials, want at most %d for each of %d", most, per, limits.Max)
					}
					if _, most := w.load(); most > limits.Max {
						t.Errorf("%d dials at a time, want at most %d", most, limits.Max)
					}
					dials := w.to(everywhere)
					wantRate(t, "all dials", dials, limits.Burst, limits.Rate)
					if len(dials) < 100 {
						t.Errorf("%d dials, want some", len(dials))
					}
					if got := len(a.catalog.All()); got != 0 {
						t.Errorf("%d made-up peers are known after ForgetAfter, want none", got)
					}
				})
			})
		}
	}
}

// TestVictimIsNotStormed has many entries refer to one victim by one address, many ports, one
// IPv6 network, several forms of an IPv4 address, or a name.
func TestVictimIsNotStormed(t *testing.T) {
	for name, addr := range map[string]func(peer, i int) string{
		"ports":   func(peer, i int) string { return "127.9.9.9:" + strconv.Itoa(1+(peer*16+i)%60_000) },
		"address": func(peer, i int) string { return strings.Repeat("0", i) + "127.9.9.9:7" }, // names that look like addresses
		"forms": func(peer, i int) string {
			return "[" + []string{"::ffff:", "64:ff9b::", "::"}[peer%3] + "127.9.9.9]:" + strconv.Itoa(1+i)
		},
		"name": func(peer, i int) string {
			return []string{"victim.example:", "VICTIM.example.:"}[peer%2] + strconv.Itoa(1+i)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nowhere, func(t *testing.T, w *web, a *node) {
				a.flood(300, 1, addr)
				time.Sleep(5 * time.Minute)
				limits := dialler.UntrustedLimits
				dests := map[string]int{}
				w.mu.Lock()
				for _, d := range w.dials {
					dests[strings.ToLower(d.addr[:strings.LastIndex(d.addr, ":")])]++
				}
				w.mu.Unlock()
				if name == "address" { // each spelling is a separate name
					for dest := range dests {
						wantRate(t, dest, w.to(func(a string) bool { return strings.HasPrefix(a, dest+":") }), limits.DestBurst, limits.DestRate)
					}
					return
				}
				dials := w.to(everywhere)
				wantRate(t, "the victim", dials, limits.DestBurst, limits.DestRate)
				if least := int(limits.DestBurst); len(dials) < least {
					t.Errorf("%d dials, want at least %d", len(dials), least)
				}
			})
		})
	}
}

// TestBackoffOfUnreachedPeers counts the rounds to a few peers that cannot be reached. Their
// entries do not change, or are renewed every second with the same or other addresses.
func TestBackoffOfUnreachedPeers(t *testing.T) {
	const minutes = 30
	// The pause doubles from 100 ms to 5 min or, in a group, 30 s, less up to a half.
	rounds := func(longest time.Duration) float64 {
		return math.Log2(float64(longest/defaultRedialMin)) + 2 + 2*float64(minutes*time.Minute/longest)
	}
	renewed := minutes*float64(time.Minute/dialler.Renewal) + 2
	for name, c := range map[string]struct {
		groups []sm.Digest
		renew  bool
		other  bool
		most   float64 // rounds
	}{
		"calm":               {nil, false, false, rounds(defaultUnreached)},
		"renewed":            {nil, true, false, rounds(defaultUnreached) + renewed},
		"other addresses":    {nil, true, true, rounds(defaultUnreached) + renewed},
		"in a group":         {[]sm.Digest{testGroup(nil, "").ID}, false, false, rounds(defaultUnreached / 10)},
		"renewed in a group": {[]sm.Digest{testGroup(nil, "").ID}, true, false, rounds(defaultUnreached/10) + renewed},
	} {
		t.Run(name, func(t *testing.T) {
			steady := func(s *setup, w *web) { onWeb(w, "127.0.0.1:1", nowhere)(s); s.config.ForgetAfter = 24 * time.Hour }
			inBubbleWith(t, steady, func(t *testing.T, w *web, a *node) {
				a.join(testGroup(newRecorder(), ""))
				version := uint64(1)
				addr := anywhere
				a.flood(1, version, addr, c.groups...)
				for range minutes * 60 {
					time.Sleep(time.Second)
					if version++; c.other {
						addr = func(peer, i int) string { return anywhere(int(version), i) }
					}
					if c.renew {
						a.flood(1, version, addr, c.groups...)
					}
				}
				got := float64(len(w.to(everywhere))) / discovery.MaxAddrs
				if got > c.most {
					t.Errorf("%.1f rounds in %d minutes, want at most %.1f", got, minutes, c.most)
				}
				if got < 10 {
					t.Errorf("%.1f rounds in %d minutes, want 10 or more", got, minutes)
				}
			})
		})
	}
}

// TestMembersAreRedialledInAStorm has a member crash while the catalog is full of made-up peers
// of its group. It must be redialled as often as without them.
func TestMembersAreRedialledInAStorm(t *testing.T) {
	for name, hole := range map[string]func(string) bool{
		"refused": nowhere,
		"hanging": func(addr string) bool { return addr != "127.0.0.1:2" },
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				t.Skip("signing thousands of entries takes seconds")
			}
			inBubble(t, hole, func(t *testing.T, w *web, a *node) {
				b := startNode(t, 1, func(s *setup) { onWeb(w, "127.0.0.1:2", nil)(s) })
				ar, br := newRecorder(), newRecorder()
				a.join(testGroup(ar, "of a"))
				b.join(testGroup(br, "of b"))
				a.catalog.Put(b.catalog.Self())
				a.link.Serve()
				ar.want(t, up(b, "of b"))
				br.want(t, up(a, "of a"))
				b.crash()
				ar.want(t, down(b, consensus.CodeUnexpectedClose))
				a.flood(madeUpPeers()-1, 1, anywhere, testGroup(nil, "").ID)
				gone := time.Now()
				time.Sleep(time.Minute)
				last := gone
				for _, at := range w.to(func(addr string) bool { return addr == "127.0.0.1:2" }) {
					if at.Before(gone) {
						continue
					}
					if pause := at.Sub(last); pause > defaultRedialMax {
						t.Errorf("%v without a dial, want at most %v", pause, defaultRedialMax)
					}
					last = at
				}
				if pause := time.Since(last); pause > defaultRedialMax {
					t.Errorf("%v without a dial at the end, want at most %v", pause, defaultRedialMax)
				}
				again := startNode(t, 1, func(s *setup) { onWeb(w, "127.0.0.1:2", nil)(s) })
				again.join(testGroup(br, "of b again"))
				ar.await(t, up(again, "of b again"))
				if took := time.Since(last); took > 2*defaultRedialMax {
					t.Errorf("the bond is up after %v, want at most %v", took, 2*defaultRedialMax)
				}
				again.stop()
			})
		})
	}
}

// TestNewcomersOvertakeFailures discovers a peer after dials to thousands of others have failed
// once. The new peer must be dialled before the others are dialled again.
func TestNewcomersOvertakeFailures(t *testing.T) {
	if testing.Short() {
		t.Skip("signing thousands of entries takes seconds")
	}
	inBubble(t, nowhere, func(t *testing.T, w *web, a *node) {
		a.flood(madeUpPeers()-1, 1, anywhere)
		time.Sleep(5 * time.Minute) // the first addresses of all were dialled
		e := discovery.Entry{Network: network, Version: 1, Addrs: []string{"127.0.0.1:2"}}
		a.catalog.Put(signEntry(t, identity(t, 1), e))
		time.Sleep(time.Second)
		if got := len(w.to(func(addr string) bool { return addr == "127.0.0.1:2" })); got == 0 {
			t.Error("the newcomer was not dialled within a second")
		}
	})
}

// TestAddressesAreDialledStaggered dials a peer whose first addresses do not answer or refuse, and
// whose last one answers.
func TestAddressesAreDialledStaggered(t *testing.T) {
	hole := func(addr string) bool { return strings.HasSuffix(addr, ":9") }
	inBubble(t, hole, func(t *testing.T, w *web, a *node) {
		b := startNode(t, 1, func(s *setup) { onWeb(w, "127.0.0.1:2", everywhere)(s); s.noAddr = true })
		begin := time.Now()
		change := func(e *discovery.Entry) {
			e.Addrs = []string{"127.0.0.9:9", "127.0.0.8:9", "127.0.0.7:8", "127.0.0.1:2", "127.0.0.6:9"}
		}
		if _, err := b.catalog.Update(change); err != nil {
			t.Fatal(err)
		}
		a.catalog.Put(b.catalog.Self())
		a.awaitConn(b.peer(), anyConn)
		for i, want := range []struct {
			addr  string
			after time.Duration
		}{
			{"127.0.0.9:9", 0},
			{"127.0.0.8:9", dialler.Stagger},
			{"127.0.0.7:8", 2 * dialler.Stagger},
			{"127.0.0.1:2", 2 * dialler.Stagger}, // the one before was refused
		} {
			if d := w.others("127.0.0.1:1")[i]; d.addr != want.addr || d.at.Sub(begin) != want.after {
				t.Errorf("dial %d was to %s after %v, want %s after %v", i, d.addr, d.at.Sub(begin), want.addr, want.after)
			}
		}
		before := len(w.others("127.0.0.1:1"))
		if before != 4 {
			t.Errorf("%d dials, want 4: the others were not needed", before)
		}
		synctest.Wait()
		if now, _ := w.load(); now != 0 {
			t.Errorf("%d dials are still in flight", now)
		}

		c := a.awaitConn(b.peer(), anyConn)
		a.manager.mu.Lock()
		c.end(consensus.CodeUnexpectedClose, false)
		a.manager.mu.Unlock()
		a.awaitConn(b.peer(), func(d *conn) bool { return d != c })
		conn, err := a.manager.Dial(t.Context(), b.peer(), link.Bond) // as the engine does
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		var later []string
		for _, d := range w.others("127.0.0.1:1")[before:] {
			later = append(later, d.addr)
		}
		if want := []string{"127.0.0.1:2", "127.0.0.1:2"}; !slices.Equal(later, want) {
			t.Errorf("dialled %v later, want the address that worked before, twice", later)
		}
		b.stop()
	})
}

// TestVictimOfAReachedPeer has a peer that was reached, but is not a member, list a victim's
// addresses beside its own and renew its entry every second. The victim must get no more dials
// than from the entries of strangers.
func TestVictimOfAReachedPeer(t *testing.T) {
	inBubble(t, nowhere, func(t *testing.T, w *web, a *node) {
		victims := func(peer, i int) string {
			if i == 0 {
				return fmt.Sprintf("127.0.1.%d:7", peer)
			}
			return "127.9.9.9:" + strconv.Itoa(16*peer+i)
		}
		for version := range 120 {
			a.flood(20, uint64(version+1), victims)
			a.manager.mu.Lock()
			for peer := range 20 {
				a.manager.peers[madeUp(peer).Peer()].target.Worked = victims(peer, 0)
			}
			a.manager.mu.Unlock()
			time.Sleep(time.Second)
		}
		victim := w.to(func(addr string) bool { return strings.HasPrefix(addr, "127.9.9.9:") })
		wantRate(t, "the victim", victim, dialler.UntrustedLimits.DestBurst, dialler.UntrustedLimits.DestRate)
		if own := w.to(func(addr string) bool { return strings.HasPrefix(addr, "127.0.1.") }); len(own) < 20*5 || len(victim) < 100 {
			t.Errorf("%d dials to the peers' own addresses and %d to the victim, want more", len(own), len(victim))
		}
	})
}

func newTestCatalog(t *testing.T) discovery.Catalog {
	t.Helper()
	c, err := discovery.NewCatalog(identity(t, 0), discovery.Entry{Network: network}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
