package group

import (
	"math"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

func TestTokensGrow(t *testing.T) {
	t.Parallel()
	last := uint64(0)
	for _, step := range []struct {
		base      uint64
		ancestors int
		term      sm.Term
	}{
		{0, 0, 1}, {0, 0, 1<<legacyTerms - 1}, {0, 1, 1}, {0, 1, 9}, {2 << legacyTerms, 2, 1}, {2 << legacyTerms, 2, 2}, {3 << legacyTerms, 2, 2},
		{1 << 62, 2, 1 << 62}, {1 << 62, 2, math.MaxUint64},
	} {
		token := tokenOf(step.base, step.ancestors, step.term)
		if token <= last {
			t.Errorf("base %d, %d ancestors, term %d: token %d follows %d", step.base, step.ancestors, step.term, token, last)
		}
		last = token
	}
}

// TestReconcilerRaisesTokens has a leader with a floor and with members that announce tokens. It
// raises the base above both, up to the limit that it believes.
func TestReconcilerRaisesTokens(t *testing.T) {
	t.Parallel()
	here, there := Epoch{1}, Epoch{2}
	for _, tc := range []struct {
		name         string
		token, floor uint64
		knows        uint64
		in           Epoch
		closed       bool
		resigns      string
		want         bool
	}{
		{name: "nothing to raise it for", token: 10},
		{name: "no token at all"},
		{name: "above the floor", token: 10, floor: 9},
		{name: "at the floor", token: 10, floor: 10, want: true},
		{name: "below the floor", token: 10, floor: 11, want: true},
		{name: "not open", token: 10, floor: 11, closed: true},
		{name: "resigns", token: 10, floor: 11, resigns: "it leaves"},
		{name: "a member knows a lower one", token: 10, knows: 9, in: here},
		{name: "a member knows the same", token: 10, knows: 10, in: here},
		{name: "a member knows a higher one", token: 10, knows: 11, in: here, want: true},
		{name: "a member of another epoch knows a higher one", token: 10, knows: 11, in: there},
		{name: "a member claims too much", token: 10, knows: 1001, in: here},
	} {
		s := reconciler{
			opened: !tc.closed, stepDownReason: tc.resigns, epoch: here, token: tc.token, tokenFloor: tc.floor, tokenLimit: 1000,
			peers: map[sm.PeerID]Announcement{peerOf("b"): {Epoch: tc.in, Token: tc.knows}},
		}
		if got := s.raiseTokens(); (got.kind == changeOpen) != tc.want {
			t.Errorf("%s: the change is %v, want one: %t", tc.name, got, tc.want)
		}
	}
}

// TestTokenSeed derives a base from clocks, also from wrong ones.
func TestTokenSeed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at   time.Time
		want uint64
	}{
		{time.Unix(-5, 0), 0}, {time.Unix(0, 0), 0}, {time.Unix(1_700_000_000, 5000), 1_700_000_000_000_005},
	} {
		g := &Group{cfg: Config{Clock: func() time.Time { return c.at }}}
		if got := g.tokenSeed(); got != c.want {
			t.Errorf("at %v: %d, want %d", c.at, got, c.want)
		}
	}
	if tokenOf((&Group{cfg: Config{Clock: time.Now}}).tokenSeed(), 0, 1<<20) >= 1<<53 {
		t.Error("a token does not fit into 53 bits")
	}
}

// TestTokensOfEpochsThatContinue continues epochs with and without a base, with any clock. The
// first token is above all tokens of the earlier epoch, past and future.
func TestTokensOfEpochsThatContinue(t *testing.T) {
	t.Parallel()
	const now = 1_700_000_000_000_000 // microseconds
	for _, tc := range []struct {
		name      string
		base      uint64
		ancestors int
		term      sm.Term // that this member knows, from its log
		clock     int64
		floor     uint64
		above     uint64 // a token of the epoch before, or one that it may yet give
	}{
		{name: "no base", term: 11, clock: now, above: 12},
		{name: "no base, clock at zero", term: 11, above: 1<<legacyTerms - 1},
		{name: "no base, continues others", ancestors: 9, term: 11, clock: now, above: 10<<legacyTerms - 1},
		{name: "clock ahead", base: now, term: 3, clock: now + 10_000_000, above: now + termsAhead},
		{name: "clock equal", base: now, term: 3, clock: now, above: now + 3 + termsAhead - 1},
		{name: "clock behind", base: now, term: 3, clock: 5, above: now + 3 + termsAhead - 1},
		{name: "terms far ahead", base: now, term: 1 << 40, clock: now, above: now + 1<<40 + termsAhead - 1},
		{name: "floor", base: now, term: 3, clock: now, floor: 1 << 60, above: 1 << 60},
	} {
		log, err := logstore.NewMemory[int]().Open(logstore.OpenOptions[int]{})
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Save(logstore.Batch{Hard: &logstore.HardState{Term: tc.term}}); err != nil {
			t.Fatal(err)
		}
		g := &Group{cfg: Config{Log: log, TokenFloor: tc.floor, Clock: func() time.Time { return time.UnixMicro(tc.clock) }}}
		l := &localReplica{opened: true, ancestors: make([]Epoch, tc.ancestors), state: state.New(state.Config{})}
		if err := l.state.Apply(1, 1, format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindOpen, Sequence: tc.base}})); err != nil {
			t.Fatal(err)
		}
		base, err := g.nextTokenBase(l)
		if err != nil {
			t.Fatal(err)
		}
		if first := tokenOf(base, tc.ancestors+1, 1); first <= tc.above || base < tc.floor {
			t.Errorf("%s: the first token is %d, want one above %d", tc.name, first, tc.above)
		}
	}
}
