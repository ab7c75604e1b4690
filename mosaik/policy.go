package mosaik

import (
	"cmp"
	"fmt"
	"time"
)

// Ranges of the numbers in a [Role] and a [Policy].
const (
	maxReluctance = 100
	maxVoters     = 99
	maxExpected   = 2*maxVoters - 1 // its majority is maxVoters
	maxGrace      = 30 * 24 * time.Hour
)

// DefaultReluctance is the usual factor of [Reluctant].
const DefaultReluctance = 3

// Role says how a member takes part in its group. It is local: members of one
// group may have different roles. Roles are comparable; the zero Role is
// [Normal].
type Role struct {
	kind   roleKind
	factor int // of a reluctant member
}

type roleKind uint8

const (
	roleNormal roleKind = iota
	roleReluctant
	roleObserver
)

// Normal is the role of members that vote, stand for election and lead.
func Normal() Role { return Role{} }

// Reluctant is the role of members that vote but would rather not lead: their
// election timeout and bootstrap delay are factor times the configured ones. The
// factor is from 2 to 100; see [DefaultReluctance].
func Reluctant(factor int) Role { return Role{kind: roleReluctant, factor: factor} }

// Observer is the role of members that replicate the group's state and may read
// and submit, but never vote nor stand for election.
func Observer() Role { return Role{kind: roleObserver} }

// Factor returns by what the member's election timeout and bootstrap delay are
// multiplied: the factor of a reluctant member, otherwise 1.
func (r Role) Factor() int {
	if r.kind == roleReluctant {
		return r.factor
	}
	return 1
}

// Validate returns an error when the factor of a reluctant member is out of its
// range.
func (r Role) Validate() error {
	if r.kind != roleReluctant {
		return nil
	}
	if err := inRange("factor", r.factor, 2, maxReluctance); err != nil {
		return fmt.Errorf("mosaik: validate role: reluctant: %w", err)
	}
	return nil
}

// String returns "normal", "reluctant(factor)" or "observer".
func (r Role) String() string {
	switch r.kind {
	case roleReluctant:
		return fmt.Sprintf("reluctant(%d)", r.factor)
	case roleObserver:
		return "observer"
	default:
		return "normal"
	}
}

// Policy says how many members a group has and how it replaces those that
// vanish. Start from [DefaultPolicy] and change it with the With methods, which
// return copies. All members of a group must have the same policy: one with
// another is refused, naming both values. A Policy is comparable, is copied by
// assignment, and is JSON with durations as text. The zero value is not valid.
type Policy struct {
	expected      int
	minimumVoters int // 0: the majority of expected
	maximumVoters int
	grace         time.Duration
	removeAfter   time.Duration // 0: never
	continueAlone bool
}

// DefaultPolicy returns the policy of groups that set none: an unknown number
// of members, at least 1 and at most 5 of them voters, 30 s of grace.
func DefaultPolicy() Policy { return Policy{maximumVoters: 5, grace: 30 * time.Second} }

// WithExpected sets how many members the group will have when complete,
// observers not counted: 1 to 197, or 0 when that is unknown. With a known
// number a group takes no command before the majority of it votes, so that a
// partition at birth can't make two groups of one. Without it, a member that
// finds nobody is a group by itself.
func (p Policy) WithExpected(members int) Policy {
	p.expected = members
	return p
}

// WithMinimumVoters sets how many voters the group needs before it takes a
// command and never falls below afterwards: 1 to the maximum, and no fewer than
// the majority of the expected members. 0, the default, stands for that
// majority, or for 1 when the expected number is unknown.
func (p Policy) WithMinimumVoters(voters int) Policy {
	p.minimumVoters = voters
	return p
}

// WithMaximumVoters sets how many members vote at most: 1 to 99. The others are
// spares, of which one takes the place of a voter that vanished. Voters are
// kept odd in number where the minimum allows it.
func (p Policy) WithMaximumVoters(voters int) Policy {
	p.maximumVoters = voters
	return p
}

// WithGrace sets how long a voter may be out of reach before a spare takes its
// place: 1 ms to 720 h. The spare does not wait for a voter whose log was in memory
// and that is provably gone: it said goodbye, or each address that it advertised
// refuses connections or belongs to another peer.
func (p Policy) WithGrace(d time.Duration) Policy {
	p.grace = d
	return p
}

// WithRemoveAfter sets how long a voter may be out of reach before it loses its
// vote although no spare takes its place: 1 ms to 720 h, and no less than the
// grace. 0, the default, stands for never. The vote is taken only while more than
// half of the voters that are left can be reached, and never below the minimum. A
// member that comes back later joins as a new one. The group then needs fewer
// members for a quorum, and bears as many losses as its remaining voters allow.
func (p Policy) WithRemoveAfter(d time.Duration) Policy {
	p.removeAfter = d
	return p
}

// WithContinueAlone sets whether the last voter continues by itself when every
// other voter is gone for good: each said goodbye, or came back as a new member
// without its log, as after a restart with a log in memory. The last voter then
// does what [Group.Recover] does, without being asked. Commands that were
// acknowledged and that it had not received are lost. Groups whose machine has no
// commands, which only elect a leader, always do this. The default is false.
//
// As a group that forms, the new epoch accepts nothing before the majority of the
// expected members votes.
func (p Policy) WithContinueAlone(on bool) Policy {
	p.continueAlone = on
	return p
}

// Expected returns how many members the group will have, 0 when unknown.
func (p Policy) Expected() int { return p.expected }

// MinimumVoters returns how many voters the group needs before it takes a
// command: the number that was set, otherwise the majority of the expected
// members.
func (p Policy) MinimumVoters() int {
	if p.minimumVoters == 0 {
		return p.majority()
	}
	return p.minimumVoters
}

// MaximumVoters returns how many members vote at most.
func (p Policy) MaximumVoters() int { return p.maximumVoters }

// Grace returns how long a voter may be out of reach before it is replaced.
func (p Policy) Grace() time.Duration { return p.grace }

// RemoveAfter returns how long a voter may be out of reach before it loses its
// vote without a spare, 0 for any time.
func (p Policy) RemoveAfter() time.Duration { return p.removeAfter }

// ContinueAlone reports whether the last voter continues by itself when all others
// are gone for good.
func (p Policy) ContinueAlone() bool { return p.continueAlone }

// majority is of the expected members, 1 when their number is unknown.
func (p Policy) majority() int { return p.expected/2 + 1 }

// Validate returns an error that names the first field out of its range, by its
// JSON name, with its value and the bound.
func (p Policy) Validate() error {
	err := cmp.Or(
		inRange("expected", p.expected, 0, maxExpected),
		inRange("maximum_voters", p.maximumVoters, 1, maxVoters),
		p.validateMinimum(),
		inRange("grace", p.grace, minInterval, maxGrace),
		p.validateRemoveAfter(),
	)
	if err != nil {
		return fmt.Errorf("mosaik: validate membership policy: %w", err)
	}
	return nil
}

func (p Policy) validateMinimum() error {
	switch minimum := p.MinimumVoters(); {
	case minimum < p.majority():
		return fmt.Errorf("minimum_voters is %d: must be at least %d, the majority of expected, which is %d",
			minimum, p.majority(), p.expected)
	case minimum <= p.maximumVoters:
		return nil
	case p.minimumVoters == 0:
		return fmt.Errorf("expected is %d: its majority, %d, must be at most maximum_voters, which is %d",
			p.expected, minimum, p.maximumVoters)
	default:
		return fmt.Errorf("minimum_voters is %d: must be at most maximum_voters, which is %d",
			minimum, p.maximumVoters)
	}
}

func (p Policy) validateRemoveAfter() error {
	if p.removeAfter != 0 && (p.removeAfter < p.grace || p.removeAfter > maxGrace) {
		return fmt.Errorf("remove_after is %v: must be 0, for never, or from %v, the grace, to %v", p.removeAfter, p.grace, maxGrace)
	}
	return nil
}

// String returns the fields in one line, for logs.
func (p Policy) String() string { return printFields(p.fields()) }

// MarshalJSON implements [json.Marshaler]: an object with durations as text,
// such as "30s".
func (p Policy) MarshalJSON() ([]byte, error) { return marshalFields(p.fields()) }

// UnmarshalJSON implements [json.Unmarshaler]. Fields that are absent or null
// keep the value they have in p, or the default when p is the zero value.
// Unknown fields and values that [Policy.Validate] refuses are errors, which
// leave p as it was.
func (p *Policy) UnmarshalJSON(data []byte) error {
	next := cmp.Or(*p, DefaultPolicy())
	if err := unmarshalFields(data, next.fields()); err != nil {
		return fmt.Errorf("mosaik: unmarshal membership policy: %w", err)
	}
	if err := next.Validate(); err != nil {
		return err
	}
	*p = next
	return nil
}

func (p *Policy) fields() []configField {
	return []configField{
		{"expected", &p.expected},
		{"minimum_voters", &p.minimumVoters},
		{"maximum_voters", &p.maximumVoters},
		{"grace", &p.grace},
		{"remove_after", &p.removeAfter},
		{"continue_alone", &p.continueAlone},
	}
}
