package group

import "time"

// formationOf returns the part of a policy that is about the numbers of voters and the grace.
func formationOf(p Policy) Policy {
	p.RemoveAfter, p.ContinueAlone = 0, false
	return p
}

// floorOf returns how many voters an epoch needs to open, and must keep.
func floorOf(p Policy) int { return p.Expected/2 + 1 }

// votersOf returns how many of n candidates should vote: an odd number up to the maximum, but not
// below the floor unless n is.
func votersOf(p Policy, n int) int {
	odd := min(n, p.MaximumVoters)
	if odd%2 == 0 {
		odd--
	}
	return max(odd, min(n, max(floorOf(p), p.MinimumVoters)))
}

// AtRest reports whether a group with n candidates may keep its number of voters. Two voters
// that remain of three stay two: if one lost its vote, the other could acknowledge commands
// that it alone holds.
func AtRest(p Policy, voters, n int) bool {
	return voters == votersOf(p, n) || voters == 2 && votersOf(p, n) == 1
}

// factorOf returns what a member multiplies its election timeout and its bootstrap delay by.
func factorOf(r Role) time.Duration { return time.Duration(max(1, r.Reluctance)) }

// isReluctant reports whether a member leads only if no other member can.
func isReluctant(r Role) bool { return factorOf(r) > 1 }
