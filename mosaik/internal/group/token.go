package group

import (
	"fmt"
	"math"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// Fencing tokens
//
// A leader's token is the token base of its epoch plus its term. The base is replicated: the
// open entry and snapshots carry it. It is the time at which the epoch opened, in microseconds
// by the leader's clock. An election takes much longer than a microsecond. So an epoch that
// opens later has higher tokens, even if no member knows the earlier epoch. Since clocks can be
// set back, known tokens count as well: the base is not below the floor that the program sets,
// an epoch that continues another one begins above all tokens of that one, and a leader raises
// the base above the tokens of other epochs that members announce.

const (
	// termsAhead is for how many terms the tokens of an epoch stay below those of the epoch
	// that continues it: members that do not know the new epoch may still elect leaders.
	termsAhead = 1 << 22
	// maxTokenLeap is how far an announced token can raise the base above the leader's own
	// token and clock, in microseconds: half a year.
	maxTokenLeap = 1 << 44
	// legacyTerms is the number of bits of the term in the tokens of an epoch without a base.
	// The number of its ancestors is above them.
	legacyTerms = 48
)

// tokenOf returns the fencing token of a term.
func tokenOf(base uint64, ancestors int, term sm.Term) uint64 {
	if base == 0 {
		return uint64(ancestors)<<legacyTerms | uint64(term)
	}
	return add(base, uint64(term))
}

// add returns the sum, or the largest number if the sum overflows.
func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// token returns the fencing token of the leader of the present term.
func (g *Group) token(l *localReplica) uint64 {
	if !l.opened {
		return 0
	}
	return tokenOf(l.state.TokenBase(), len(l.ancestors), l.term)
}

// tokenBase returns the base that the leader proposes in the first open entry, or in a later one
// that only raises the base.
func (g *Group) tokenBase(l *localReplica) uint64 {
	base := max(g.cfg.TokenFloor, g.knownToken)
	if !l.opened {
		base = max(base, g.tokenSeed())
	}
	limit := g.tokenLimit(l)
	for _, a := range g.peers {
		if a.Epoch == l.epoch && a.Token <= limit {
			base = max(base, a.Token)
		}
	}
	return min(base, format.MaxTokenBase)
}

// tokenLimit returns the highest token of another epoch that is believed.
func (g *Group) tokenLimit(l *localReplica) uint64 {
	return min(add(max(g.tokenSeed(), g.token(l)), maxTokenLeap), format.MaxTokenBase)
}

// tokenSeed returns the base by this member's clock.
func (g *Group) tokenSeed() uint64 { return uint64(max(0, g.cfg.Clock().UnixMicro())) }

// nextTokenBase returns the base of an epoch that continues this one. It is above all tokens of
// this epoch, past and future.
func (g *Group) nextTokenBase(l *localReplica) (uint64, error) {
	log, err := g.cfg.Log.State()
	if err != nil {
		return 0, fmt.Errorf("%w: read the log's state: %w", ErrStorage, err)
	}
	term := max(l.term, l.raftTerm, log.Hard.Term, l.state.Status().Raft.Term)
	above := tokenOf(l.state.TokenBase(), len(l.ancestors), term)
	if l.state.TokenBase() == 0 {
		above = uint64(len(l.ancestors)+1) << legacyTerms
	}
	return min(max(add(above, termsAhead), g.tokenSeed(), g.cfg.TokenFloor, g.knownToken), format.MaxTokenBase), nil
}

// raiseTokens raises the token base above the floor and above the tokens of other epochs that
// members announce.
func (s reconciler) raiseTokens() change {
	if !s.opened || s.stepDownReason != "" {
		return change{}
	}
	if s.tokenFloor > 0 && s.token <= s.tokenFloor {
		return change{kind: changeOpen, why: fmt.Sprintf("token %d does not exceed the floor %d", s.token, s.tokenFloor)}
	}
	for _, peer := range sortedPeers(s.peers) {
		if a := s.peers[peer]; a.Epoch == s.epoch && a.Token > s.token && a.Token <= s.tokenLimit {
			return change{kind: changeOpen, why: fmt.Sprintf("token %d is below %d, which member %s announced", s.token, a.Token, peer.Short())}
		}
	}
	return change{}
}
