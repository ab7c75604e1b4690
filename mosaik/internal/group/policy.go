package group

import (
	"fmt"
	"time"
)

// Policy says how many voters a group has. All members must agree on it; it
// travels in the handshake.
type Policy struct {
	Expected int           // members to be expected at birth, 0 for unknown
	Minimum  int           // voters below which leaving does not take the group
	Maximum  int           // voters at most
	Grace    time.Duration // how long a voter is missed before a spare replaces it

	RemoveAfter   time.Duration // how long before it is removed without one, 0 for never
	ContinueAlone bool          // the last voter begins another epoch when all others are gone for good
}

// formation returns the part of the policy that is about the numbers of voters and
// the grace.
func (p Policy) formation() Policy {
	p.RemoveAfter, p.ContinueAlone = 0, false
	return p
}

// Floor returns how many voters an epoch needs to open, and keeps.
func (p Policy) Floor() int {
	if p.Expected == 0 {
		return 1
	}
	return p.Expected/2 + 1
}

// Voters returns how many voters a group should have that can have n: an odd
// number up to the maximum, but not below the floor where n allows it.
func (p Policy) Voters(n int) int {
	odd := min(n, p.Maximum)
	if odd%2 == 0 {
		odd--
	}
	return max(odd, min(n, max(p.Floor(), p.Minimum)))
}

// AtRest reports whether a group that can have n voters may stay with those it
// has. Two that are left of three stay two: taking the vote from one would let
// the other acknowledge what it alone holds.
func (p Policy) AtRest(voters, n int) bool {
	return voters == p.Voters(n) || voters == 2 && p.Voters(n) == 1
}

// String names the policy's numbers, for refusals that must name both sides.
func (p Policy) String() string {
	return fmt.Sprintf("expected %d, minimum %d, maximum %d, grace %v, remove after %v, continue alone %t",
		p.Expected, p.Minimum, p.Maximum, p.Grace, p.RemoveAfter, p.ContinueAlone)
}

// Role is a member's part in elections. Members need not have the same.
type Role struct {
	Observer bool // replicates and reads, never votes
	Factor   int  // ≥ 1; multiplies the election timeout and the bootstrap delay
}

// Reluctant reports whether the member would rather not lead.
func (r Role) Reluctant() bool { return r.Factor > 1 }
