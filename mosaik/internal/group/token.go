package group

import (
	"fmt"
	"math"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// Fencing tokens
//
// A leader's token is the token base of its epoch plus its term. The base is
// replicated: the open entry carries it, and so do snapshots. It is the time at which
// the epoch opened, in microseconds by the clock of its leader; elections take much
// longer than a microsecond each, so the tokens of an epoch that opens later are
// higher, also where nobody is left who knew the earlier one. Clocks go back, so what
// is known counts as well: the base is not below the floor that the program sets, an
// epoch that continues another one begins above all tokens of that, and a leader
// raises the base above what members bring along from other epochs.

const (
	// termsAhead is how many terms an epoch may go through after another one
	// continues it: members that do not know of that may still elect leaders.
	termsAhead = 1 << 22
	// maxTokenLeap bounds how far a member that brings a token along can raise the
	// base above the leader's own token and clock, in microseconds: half a year.
	maxTokenLeap = 1 << 44
	// legacyTerms is the number of bits of a term in the tokens of an epoch
	// without a base; above them stands how many epochs it continues.
	legacyTerms = 48
)

// tokenOf returns the fencing token of a term.
func tokenOf(base uint64, ancestors int, term sm.Term) uint64 {
	if base == 0 {
		return uint64(ancestors)<<legacyTerms | uint64(term)
	}
	return add(base, uint64(term))
}

// add returns the sum, or the largest number where there is no such sum.
func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// token returns the fencing token that the leader of the present term has.
func (g *Group) token(l *life) uint64 {
	if !l.opened {
		return 0
	}
	return tokenOf(l.state.TokenBase(), len(l.ancestors), l.term)
}

// tokenBase returns the base of the open entry that the leader proposes: the first
// one, or one that only raises the base.
func (g *Group) tokenBase(l *life) uint64 {
	base := max(g.cfg.TokenFloor, g.tokens)
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
func (g *Group) tokenLimit(l *life) uint64 {
	return min(add(max(g.tokenSeed(), g.token(l)), maxTokenLeap), format.MaxTokenBase)
}

// tokenSeed returns the base that this member's clock gives.
func (g *Group) tokenSeed() uint64 { return uint64(max(0, g.cfg.Clock().UnixMicro())) }

// nextTokenBase returns the base of an epoch that continues this one: above all tokens
// that were and will be given here.
func (g *Group) nextTokenBase(l *life) (uint64, error) {
	log, err := g.cfg.Log.State()
	if err != nil {
		return 0, fmt.Errorf("%w: read it: %w", ErrStorage, err)
	}
	term := max(l.term, l.raftTerm, log.Hard.Term, l.state.Status().Raft.Term)
	above := tokenOf(l.state.TokenBase(), len(l.ancestors), term)
	if l.state.TokenBase() == 0 {
		above = uint64(len(l.ancestors)+1) << legacyTerms
	}
	return min(max(add(above, termsAhead), g.tokenSeed(), g.cfg.TokenFloor, g.tokens), format.MaxTokenBase), nil
}

// raiseTokens raises the token base above the floor and above the tokens that members
// bring along from other epochs.
func (s steward) raiseTokens() change {
	if !s.opened || s.resigns != "" {
		return change{}
	}
	if s.tokenFloor > 0 && s.token <= s.tokenFloor {
		return change{kind: changeOpen, why: fmt.Sprintf("its token %d is not above the floor %d", s.token, s.tokenFloor)}
	}
	for _, peer := range sortedPeers(s.peers) {
		if a := s.peers[peer]; a.Epoch == s.epoch && a.Token > s.token && a.Token <= s.tokenLimit {
			return change{kind: changeOpen, why: fmt.Sprintf("its token %d is below %d, which member %s knows of", s.token, a.Token, peer.Short())}
		}
	}
	return change{}
}
