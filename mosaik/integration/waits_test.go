package integration_test

import (
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Conditions for [mosaik.When.Until].

func offline(s consensus.Status) bool { return !s.Online }

func ended(s consensus.Status) bool { return s.Ended != nil }

func stalled(s consensus.Status) bool { return s.Stalled }

func led(s consensus.Status) bool { return !s.Leader.IsZero() }

func ledBy(peer sm.PeerID) func(consensus.Status) bool {
	return func(s consensus.Status) bool { return s.Leader == peer }
}

func ledByOtherThan(peer sm.PeerID) func(consensus.Status) bool {
	return func(s consensus.Status) bool { return led(s) && s.Leader != peer }
}

// follows is met while the member does not lead, also while no member leads.
func follows(g interface{ IsLeader() bool }) func(consensus.Status) bool {
	return func(consensus.Status) bool { return !g.IsLeader() }
}

// bondless is met while the member has no bond.
func bondless(g interface{ Bonds() []consensus.Bond }) func(consensus.Status) bool {
	return func(consensus.Status) bool { return len(g.Bonds()) == 0 }
}

// bonded is met while the member has n bonds or more.
func bonded(g interface{ Bonds() []consensus.Bond }, n int) func(consensus.Status) bool {
	return func(consensus.Status) bool { return len(g.Bonds()) >= n }
}
