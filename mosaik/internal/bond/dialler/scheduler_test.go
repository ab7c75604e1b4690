package dialler

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// fakePeer is a Peer with fields that a test sets.
type fakePeer struct {
	id        sm.PeerID
	addrs     []string
	shares    bool
	member    bool
	connected bool
	selects   bool
	gone      bool
	seen      time.Time
}

func (p *fakePeer) ID() sm.PeerID       { return p.id }
func (p *fakePeer) Addrs() []string     { return p.addrs }
func (p *fakePeer) SharesGroup() bool   { return p.shares }
func (p *fakePeer) IsMember() bool      { return p.member }
func (p *fakePeer) Connected() bool     { return p.connected }
func (p *fakePeer) LastSeen() time.Time { return p.seen }
func (p *fakePeer) Selects() bool       { return p.selects }
func (p *fakePeer) Gone() bool          { return p.gone }

func newTestScheduler(change func(*Config)) *Scheduler {
	cfg := Config{
		HandshakeTimeout: 2 * time.Second,
		Redial:           rate.Bounds{Min: 100 * time.Millisecond, Max: 5 * time.Second},
		Unreached:        5 * time.Minute,
		ForgetAfter:      10 * time.Minute,
		OwnAddrs:         func() []string { return nil },
		Exempt:           func(string) bool { return false },
		Forbidden:        func() {},
		Logger:           slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	return New(cfg)
}

// TestOneRound follows the dials of a peer with three addresses from the first dial to the
// pause after the round, without a clock.
func TestOneRound(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	s := newTestScheduler(nil)
	p := &fakePeer{id: sm.PeerID{1}, addrs: []string{"192.0.2.1:7", "192.0.2.2:7", "192.0.2.3:7"}, seen: now}
	target := s.NewTarget(p, now)
	s.Place(target, now)
	step := func(want ...string) []*Attempt {
		t.Helper()
		plan := s.Step(now)
		var got []string
		for _, a := range plan.Dials {
			got = append(got, a.Addr)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("dials %v, want %v", got, want)
		}
		return plan.Dials
	}
	first := step("192.0.2.1:7")[0]
	step() // the first has Stagger
	now = now.Add(Stagger)
	second := step("192.0.2.2:7")[0]
	second.Ended(errors.New("refused"), now)
	third := step("192.0.2.3:7")[0]
	third.Ended(errors.New("refused"), now)
	first.Ended(errors.New("timed out"), now)
	if got := s.untrusted.inFlight; got != 0 {
		t.Errorf("%d dials in flight, want none", got)
	}
	step() // it pauses
	now = now.Add(s.cfg.Redial.Min)
	again := step("192.0.2.1:7")[0]
	again.Ended(nil, now)
	p.connected = true
	s.Place(target, now)
	now = now.Add(time.Hour)
	step() // a connected peer is not dialled
	p.connected, p.seen = false, now
	again.Served(now)
	target.Pause(now)
	s.Place(target, now)
	now = now.Add(s.cfg.Redial.Max)
	step("192.0.2.1:7") // it worked last
	if target.rank != rankReached {
		t.Errorf("the rank is %d, want %d", target.rank, rankReached)
	}
}

// TestLostPeers has peers that cannot be reached for ForgetAfter, waiting or ready.
func TestLostPeers(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	s := newTestScheduler(nil)
	waiting := &fakePeer{id: sm.PeerID{1}, seen: now}
	gone := &fakePeer{id: sm.PeerID{2}, seen: now, gone: true}
	for _, p := range []*fakePeer{waiting, gone} {
		s.Place(s.NewTarget(p, now), now)
	}
	if lost := s.Step(now.Add(s.cfg.ForgetAfter - 1)).Lost; lost != nil {
		t.Errorf("lost %v too early", lost)
	}
	if lost := s.Step(now.Add(s.cfg.ForgetAfter)).Lost; len(lost) != 1 || lost[0] != waiting.id {
		t.Errorf("lost %v, want %v", lost, waiting.id)
	}
	if lost := s.Step(now.Add(2 * s.cfg.ForgetAfter)).Lost; lost != nil {
		t.Errorf("lost %v twice", lost)
	}

	s = newTestScheduler(nil)
	s.untrusted.window = 0 // nothing is dialled: the peer remains ready
	ready := &fakePeer{id: sm.PeerID{3}, addrs: []string{"192.0.2.1:7"}, seen: now}
	s.Step(now)
	s.Place(s.NewTarget(ready, now), now)
	if lost := s.Step(now.Add(s.cfg.ForgetAfter)).Lost; len(lost) != 1 || lost[0] != ready.id {
		t.Errorf("lost %v, want %v", lost, ready.id)
	}
}

// TestNamesOfOneVictim has many names resolve to one address.
func TestNamesOfOneVictim(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newTestScheduler(nil)
	target := s.NewTarget(&fakePeer{}, now)
	for i := range int(UntrustedLimits.DestBurst) + 1 {
		a, err := s.newAttempt(target, s.untrusted, fmt.Sprintf("name%d.example:7", i), nil)
		if err != nil {
			t.Fatal(err)
		}
		err = a.Resolved(netip.MustParseAddr("203.0.113.7"), now)
		if i < int(UntrustedLimits.DestBurst) && err != nil {
			t.Fatalf("name %d: %v", i, err)
		}
		if i == int(UntrustedLimits.DestBurst) && !errors.Is(err, ErrDestination) {
			t.Errorf("name %d: error %v, want %v", i, err, ErrDestination)
		}
	}
}

// TestExemptAddresses asks for attempts to a forbidden address that is exempt from the rules
// and to one that is not.
func TestExemptAddresses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newTestScheduler(func(c *Config) { c.Exempt = func(addr string) bool { return addr == "127.0.0.1:7" } })
	target := s.NewTarget(&fakePeer{}, now)
	for addr, allowed := range map[string]bool{"127.0.0.1:7": true, "127.0.0.1:8": false, "192.0.2.1:7": true, "192.0.2.1:0": false} {
		_, err := s.newAttempt(target, s.untrusted, addr, nil)
		if (err == nil) != allowed || err != nil && !errors.Is(err, link.ErrForbidden) {
			t.Errorf("attempt to %s: error %v, want allowed %v", addr, err, allowed)
		}
	}
}

// TestRanks has a peer that was reached list other addresses: they are dialled like those of
// any stranger.
func TestRanks(t *testing.T) {
	t.Parallel()
	s := newTestScheduler(nil)
	p := &fakePeer{}
	target := s.NewTarget(p, time.Now())
	target.Worked = "127.0.0.1:2"
	there, elsewhere := []string{"127.0.0.1:3", "127.0.0.1:2"}, []string{"127.0.0.1:3"}
	for _, c := range []struct {
		addrs          []string
		shares, member bool
		want           rank
	}{
		{there, false, false, rankReached},
		{there, true, false, rankReached},
		{elsewhere, false, false, rankStranger},
		{elsewhere, true, false, rankGroup},
		{there, false, true, rankMember},
		{elsewhere, true, true, rankMember},
	} {
		p.shares, p.member = c.shares, c.member
		if got := target.rankAt(c.addrs); got != c.want {
			t.Errorf("rank %d at %v (shares a group: %v, member: %v), want %d", got, c.addrs, c.shares, c.member, c.want)
		}
	}
}
