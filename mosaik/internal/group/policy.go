package group

import (
	"fmt"
	"time"
)

// Policy determines how many voters a group has and when voters are replaced. All members must
// have the same policy, which is compared in the handshake.
type Policy struct {
	Expected int           // members expected when the group forms, 0 for unknown
	Minimum  int           // voters that leaving and removal must keep
	Maximum  int           // the largest number of voters
	Grace    time.Duration // how long a voter may be missing before a spare replaces it

	RemoveAfter   time.Duration // how long before it is removed without a spare, 0 for never
	ContinueAlone bool          // the last voter continues in a new epoch when all others are gone
}

// formation returns the fields of the policy that its first tag in an announcement carries.
func (p Policy) formation() Policy {
	p.RemoveAfter, p.ContinueAlone = 0, false
	return p
}

// Floor returns how many voters an epoch needs to open, and must keep.
func (p Policy) Floor() int {
	if p.Expected == 0 {
		return 1
	}
	return p.Expected/2 + 1
}

// Voters returns how many of n candidates should vote: an odd number up to the maximum, but not
// below the floor unless n is.
func (p Policy) Voters(n int) int {
	odd := min(n, p.Maximum)
	if odd%2 == 0 {
		odd--
	}
	return max(odd, min(n, max(p.Floor(), p.Minimum)))
}

// AtRest reports whether a group with n candidates may keep its number of voters. Two voters
// that remain of three stay two: if one lost its vote, the other could acknowledge commands
// that it alone holds.
func (p Policy) AtRest(voters, n int) bool {
	return voters == p.Voters(n) || voters == 2 && p.Voters(n) == 1
}

// String returns the policy as text for log lines.
func (p Policy) String() string {
	return fmt.Sprintf("expected %d, minimum %d, maximum %d, grace %v, remove after %v, continue alone %t",
		p.Expected, p.Minimum, p.Maximum, p.Grace, p.RemoveAfter, p.ContinueAlone)
}

// Role is a member's part in elections. Members may have different roles.
type Role struct {
	Observer bool // replicates and reads, never votes
	Factor   int  // from 1; multiplies the election timeout and the bootstrap delay
}

// Reluctant reports whether the member prefers not to lead.
func (r Role) Reluctant() bool { return r.Factor > 1 }
