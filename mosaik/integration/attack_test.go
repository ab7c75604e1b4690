package integration_test

import (
	"context"
	"slices"
)

// who an assailant is decides what it has to begin with.
type who string

const (
	// aStranger reaches the ports of the members. It knows the network's id and
	// the group's, which are public there.
	aStranger who = "a stranger"
	// aKeyHolder also knows the group's key. The group requires tickets, and it
	// has none.
	aKeyHolder who = "a key holder without a ticket"
	// aMember knows the key of a group that requires nothing else. It is admitted
	// as an observer.
	aMember who = "an admitted observer"
)

// attack is what assailants do to all members of a group at once, until they are
// stopped. Each function that carries one out says what it does, and why that
// might hurt.
type attack struct {
	name       string
	who        who
	assailants int // by default
	do         func(ctx context.Context, s *siege) error
	// enough says how often the attack must have counted something before a test
	// may call it withstood.
	enough map[string]int64
}

// attacks are all that the tests and the benchmark of adversaries carry out.
func attacks() []attack {
	return []attack{
		{"handshakes", aStranger, 200, handshakes, everyHandshake(5)},
		{"dial storm", aStranger, 16, dialStorm, map[string]int64{"renewals": 32}},
		{"dial tarpit", aStranger, 16, dialTarpit, map[string]int64{"renewals": 32}},
		{"bad signatures", aStranger, 256, badSignatures, map[string]int64{"frames": 512}},
		{"deaf connections", aStranger, 300, deafConnections, map[string]int64{"signs of life": 600}},
		{"full catalog", aStranger, 16, fullCatalog, nil},
		{"entry churn", aStranger, 200, entryChurn, map[string]int64{"updates": 800}},
		{"stalled frames", aStranger, 400, stalledFrames, map[string]int64{"stalled": 400}},
		{"refused bonds", aKeyHolder, 64, refusedBonds, map[string]int64{"refused": 256}},
		{"huge presentations", aKeyHolder, 64, hugePresentations, map[string]int64{"presentations": 128}},
		{"raft of a key holder", aKeyHolder, 16, raftMessages, map[string]int64{"batches": 32}},
		{"raft bomb of a key holder", aKeyHolder, 16, raftBomb, map[string]int64{"bombs": 16}},
		{"stalled batches of a key holder", aKeyHolder, 32, stalledBatches, map[string]int64{"stalled": 40}},
		{"raft bomb of an observer", aMember, 6, raftBomb, map[string]int64{"bombs": 16}},
		{"largest term", aMember, 1, largestTerm, map[string]int64{"sent": 3}},
		{"lost entries at an old term", aMember, 1, lostEntriesOfOldTerm, map[string]int64{"sent": 3}},
		{"lost entries of no leader", aMember, 1, lostEntriesOfNoLeader, map[string]int64{"sent": 3}},
	}
}

func attackNamed(name string) (attack, bool) {
	all := attacks()
	i := slices.IndexFunc(all, func(a attack) bool { return a.name == name })
	if i < 0 {
		return attack{}, false
	}
	return all[i], true
}
