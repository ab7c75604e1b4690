package integration_test

import "github.com/mosaik-go/mosaik/mosaik"

// Conditions for [mosaik.When.Until].

func offline(s mosaik.Status) bool { return !s.Online }

func ended(s mosaik.Status) bool { return s.Ended != nil }

func stalled(s mosaik.Status) bool { return s.Stalled }

func led(s mosaik.Status) bool { return !s.Leader.IsZero() }

func ledBy(peer mosaik.PeerID) func(mosaik.Status) bool {
	return func(s mosaik.Status) bool { return s.Leader == peer }
}

func ledByOtherThan(peer mosaik.PeerID) func(mosaik.Status) bool {
	return func(s mosaik.Status) bool { return led(s) && s.Leader != peer }
}

// follows is met while the member does not lead, also while no member leads.
func follows(g interface{ IsLeader() bool }) func(mosaik.Status) bool {
	return func(mosaik.Status) bool { return !g.IsLeader() }
}

// bondless is met while the member has no bond.
func bondless(g interface{ Bonds() []mosaik.Bond }) func(mosaik.Status) bool {
	return func(mosaik.Status) bool { return len(g.Bonds()) == 0 }
}

// bonded is met while the member has n bonds or more.
func bonded(g interface{ Bonds() []mosaik.Bond }, n int) func(mosaik.Status) bool {
	return func(mosaik.Status) bool { return len(g.Bonds()) >= n }
}
