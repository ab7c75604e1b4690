package group

import "github.com/mosaik-go/mosaik/mosaik/consensus"

// Short names of the public types that this package works with.
type (
	Epoch       = consensus.Epoch
	Incarnation = consensus.Incarnation
	Policy      = consensus.Policy
	Role        = consensus.Role
	Member      = consensus.Member
	Ghost       = consensus.Ghost
)
