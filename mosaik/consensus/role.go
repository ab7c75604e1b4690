package consensus

import (
	"errors"
	"fmt"
)

// maxReluctance is the highest [Role].Reluctance.
const maxReluctance = 100

// Role is a member's part in elections. The zero Role votes, stands for election
// and leads. A role is local: members of one group may have different roles. Roles
// can be compared and copied.
type Role struct {
	// Observer makes a member replicate the group's state, read and submit commands,
	// but never vote or stand for election.
	Observer bool `json:"observer,omitempty"`
	// Reluctance makes a member vote but lead only if it must: the member multiplies
	// its election timeout and its bootstrap delay by it, and hands leadership to a
	// member that is not reluctant. From 2 to 100, 3 as a rule; 0 for a member that
	// is not reluctant. An observer has none.
	Reluctance int `json:"reluctance,omitempty"`
}

// Validate returns an error if the reluctance is out of its range, or set for an
// observer.
func (r Role) Validate() error { return prefixed(r.validate()) }

// validate is Validate without the prefix.
func (r Role) validate() error {
	if r.Reluctance == 0 {
		return nil
	}
	err := inRange("reluctance", r.Reluctance, 2, maxReluctance)
	switch {
	case err != nil:
		err = fmt.Errorf("%w, or 0 for none", err)
	case r.Observer:
		err = errors.New("it is both an observer and reluctant: an observer never leads; set one of both")
	default:
		return nil
	}
	return fmt.Errorf("validate role: %w", err)
}

// String returns "normal", "reluctant(n)" or "observer".
func (r Role) String() string {
	switch {
	case r.Observer && r.Reluctance != 0:
		return fmt.Sprintf("observer, reluctant(%d)", r.Reluctance)
	case r.Observer:
		return "observer"
	case r.Reluctance != 0:
		return fmt.Sprintf("reluctant(%d)", r.Reluctance)
	default:
		return "normal"
	}
}
