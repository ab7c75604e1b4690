package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// badGroup is a group whose network loses, delays, doubles and reorders
// entries, and whose snapshots pass by commands. Its log is what remote has
// applied; the proposer's own replica applies it too, or skips parts of it.
type badGroup struct {
	rand *rand.Rand

	mu       sync.Mutex
	proposer *Proposer
	log      [][]byte
	remote   *state.State
	journal  *journal // remote's machine
	local    *state.State
	behind   int      // local has applied log[:behind]
	late     [][]byte // copies that will get into the log later
	inFlight int      // attempts in flight
	calm     bool     // nothing fails from now on
	floods   int
	counts   map[string]int // how often each kind of thing happened
}

func newBadGroup(seed uint64) *badGroup {
	g := &badGroup{rand: rand.New(rand.NewPCG(seed, 0)), journal: &journal{}, counts: map[string]int{}}
	g.remote = state.New(state.Config{Machine: g.journal})
	g.local = state.New(state.Config{
		Machine: &journal{},
		Deliver: func(d state.Delivery) {
			if errors.Is(d.Err, state.ErrGap) {
				g.counts["overtaken"]++
			}
			g.proposer.Deliver(d)
		},
	})
	g.append(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindOpen}}))
	var seeds [32]byte
	seeds[0] = byte(seed)
	ids := rand.NewChaCha8(seeds)
	g.proposer = New(Config{
		Transport:   g,
		IsVoid:      isBusy,
		SetSession:  g.local.SetOwnSession,
		MaxQueue:    6,
		MaxCommands: 2,
		Attempt:     50 * time.Millisecond,
		Rand:        ids.Uint64,
	})
	return g
}

// append puts an entry into the log.
func (g *badGroup) append(data []byte) {
	g.log = append(g.log, bytes.Clone(data))
	g.remote.Apply(sm.Index(len(g.log)), 1, data)
}

// follow lets the local replica apply what it has not.
func (g *badGroup) follow() {
	for ; g.behind < len(g.log); g.behind++ {
		g.local.Apply(sm.Index(g.behind+1), 1, g.log[g.behind])
	}
}

// restore lets the local replica catch up by a snapshot.
func (g *badGroup) restore() {
	var b bytes.Buffer
	if err := errors.Join(g.remote.Snapshot(&b), g.local.Restore(&b)); err != nil {
		panic(err)
	}
	g.behind = len(g.log)
}

// arrive lets some late copies into the log, in any order.
func (g *badGroup) arrive(all bool) {
	g.rand.Shuffle(len(g.late), func(i, j int) { g.late[i], g.late[j] = g.late[j], g.late[i] })
	n := len(g.late)
	if !all && n > 0 {
		n = g.rand.IntN(n + 1)
	}
	for _, data := range g.late[:n] {
		g.append(data)
	}
	g.late = g.late[n:]
}

// flood opens so many sessions that others are dropped.
func (g *badGroup) flood() {
	g.floods++
	for i := range state.MaxSessions {
		id := format.SessionID{0xee, byte(g.floods), byte(i), byte(i >> 8)}
		g.append(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindSession, Session: id}}))
	}
}

// Start implements Transport, badly: what is sent first may come last.
func (g *badGroup) Start(_ context.Context, data []byte) (Attempt, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.calm && g.rand.IntN(100) < 5 {
		g.counts["busy at once"]++
		return nil, errBusy
	}
	var delay time.Duration
	if !g.calm && g.rand.IntN(2) == 0 {
		delay = time.Duration(g.rand.IntN(30)) * time.Millisecond
	}
	g.inFlight++
	if g.inFlight > 1 {
		g.counts["several under way"]++
	}
	a, data := make(attempt, 1), bytes.Clone(data)
	time.AfterFunc(delay, func() { a <- g.propose(data) })
	return a, nil
}

// propose does something with an entry.
func (g *badGroup) propose(data []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	if g.calm {
		g.arrive(true)
		g.append(data)
		g.follow()
		return nil
	}
	g.arrive(false)
	switch dice := g.rand.IntN(100); {
	case dice < 15:
		g.counts["busy"]++
		return errBusy
	case dice < 25:
		g.counts["lost"]++
		return errTimeout
	case dice < 40:
		g.counts["late"]++
		for range 1 + g.rand.IntN(3) {
			g.late = append(g.late, bytes.Clone(data))
		}
		return errTimeout
	case dice < 50:
		g.counts["applied, not answered"]++
		g.append(data)
		if g.rand.IntN(2) == 0 {
			g.follow()
		}
		return errTimeout
	case dice < 60:
		g.counts["passed by a snapshot"]++
		g.append(data)
		g.restore()
		return errTimeout
	case dice < 62 && g.floods < 2:
		g.counts["flood"]++
		g.flood()
		return errBusy
	case dice < 70:
		g.counts["doubled"]++
		g.append(data)
		g.late = append(g.late, bytes.Clone(data))
	default:
		g.append(data)
	}
	g.follow()
	return nil
}

// outcome is the outcome of a call that its caller received.
type outcome struct {
	cmds    []string
	first   sm.Index
	results []state.Result
	err     error
}

// TestExactlyOnceInOrder lets callers use a bad group, and compares the outcomes that they received
// with the history of the group.
func TestExactlyOnceInOrder(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	things := make(map[string]int)
	t.Run("seeds", func(t *testing.T) {
		for seed := range uint64(20) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					counts := exactlyOnce(t, seed)
					mu.Lock()
					defer mu.Unlock()
					for thing, n := range counts {
						things[thing] += n
					}
				})
			})
		}
	})
	for _, thing := range []string{
		"busy at once", "several under way", "overtaken", "busy", "lost", "late", "applied, not answered", "passed by a snapshot", "flood", "doubled",
		"ended well", "ended not applied", "ended unknown", "ended lost",
	} {
		if things[thing] == 0 {
			t.Errorf("%q never happened", thing)
		}
	}
}

func exactlyOnce(t *testing.T, seed uint64) map[string]int {
	g := newBadGroup(seed)
	const callers, calls = 4, 25
	outcomes := make([][]outcome, callers)
	var wg sync.WaitGroup
	for caller := range callers {
		dice := rand.New(rand.NewPCG(seed, uint64(caller+1)))
		wg.Go(func() {
			var pending []func() outcome
			for i := range calls {
				var cmds []string
				for part := range 1 + dice.IntN(3) {
					cmds = append(cmds, fmt.Sprintf("%d/%d/%d", caller, i, part))
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+dice.IntN(3000))*time.Millisecond)
				if len(cmds) == 1 && len(pending) == 0 {
					outcomes[caller] = append(outcomes[caller], do(ctx, g.proposer, cmds[0]))
					cancel()
					continue
				}
				c, err := g.proposer.Submit(ctx, 1, encode(cmds), format.Span{})
				if err != nil {
					cancel()
					outcomes[caller] = append(outcomes[caller], outcome{cmds: cmds, err: err})
					continue
				}
				pending = append(pending, func() outcome {
					defer cancel()
					first, results, err := c.Wait(ctx)
					return outcome{cmds, first, results, err}
				})
				// Sometimes several calls are in flight.
				for len(pending) > dice.IntN(4) {
					outcomes[caller] = append(outcomes[caller], pending[0]())
					pending = pending[1:]
				}
			}
			for _, wait := range pending {
				outcomes[caller] = append(outcomes[caller], wait())
			}
		})
	}
	wg.Wait()
	g.mu.Lock()
	g.calm = true
	g.mu.Unlock()
	// The last call follows everything that is still in flight.
	if _, _, err := must(g.proposer.Submit(t.Context(), 1, encode([]string{"end"}), format.Span{})).Wait(t.Context()); err != nil &&
		!errors.Is(err, ErrUnknownOutcome) {
		t.Errorf("the last call: %v", err)
	}
	synctest.Wait()
	g.proposer.Close(nil)
	g.arrive(true)
	for _, told := range outcomes {
		for _, o := range told {
			g.counts[check(t, g.journal.Lines, o)]++
		}
	}
	checkOrder(t, g.journal.Lines)
	return g.counts
}

func do(ctx context.Context, p *Proposer, cmd string) outcome {
	one := p.NewSingle()
	one.Data = append(one.Data, cmd...)
	at, result, err := p.Do(ctx, one, format.Span{})
	first := at.Index
	return outcome{[]string{cmd}, first, []state.Result{result}, err}
}

func must(c *Call, err error) *Call {
	if err != nil {
		panic(err)
	}
	return c
}

// check compares an outcome with the history.
func check(t *testing.T, history []string, o outcome) string {
	t.Helper()
	at := slices.Index(history, o.cmds[0])
	if at >= 0 && (at+len(o.cmds) > len(history) || !slices.Equal(history[at:at+len(o.cmds)], o.cmds)) {
		t.Errorf("call %q was split", o.cmds)
	}
	switch {
	case o.err == nil:
		if at+1 != int(o.first) || at < 0 {
			t.Errorf("call %q received index %d and was applied at %d", o.cmds, o.first, at+1)
		}
		var got []string
		for _, r := range o.results {
			got = append(got, r.Value.(string))
		}
		if !slices.Equal(got, o.cmds) {
			t.Errorf("call %q has results %q", o.cmds, got)
		}
		return "ended well"
	case errors.Is(o.err, state.ErrResultLost):
		if at+1 != int(o.first) || at < 0 {
			t.Errorf("call %q received index %d without results and was applied at %d", o.cmds, o.first, at+1)
		}
		return "ended lost"
	case errors.Is(o.err, ErrUnknownOutcome) && !errors.Is(o.err, ErrNotApplied):
		return "ended unknown"
	case errors.Is(o.err, ErrNotApplied):
		if at >= 0 {
			t.Errorf("call %q received %v and was applied at %d", o.cmds, o.err, at+1)
		}
		return "ended not applied"
	}
	t.Errorf("call %q ended with %v", o.cmds, o.err)
	return ""
}

// checkOrder fails the test if a command was applied twice, or the commands of a caller were
// applied in another order than they were issued.
func checkOrder(t *testing.T, history []string) {
	t.Helper()
	last := make(map[string][2]int)
	seen := make(map[string]bool)
	for _, line := range history {
		if seen[line] {
			t.Errorf("command %q was applied twice", line)
		}
		seen[line] = true
		caller, rest, ok := strings.Cut(line, "/")
		if !ok {
			continue
		}
		var at [2]int
		if _, err := fmt.Sscanf(rest, "%d/%d", &at[0], &at[1]); err != nil {
			t.Fatal(err)
		}
		if before, ok := last[caller]; ok && slices.Compare(at[:], before[:]) <= 0 {
			t.Errorf("command %q was applied after %v", line, before)
		}
		last[caller] = at
	}
}
