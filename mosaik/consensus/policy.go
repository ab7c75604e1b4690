package consensus

import (
	"cmp"
	"fmt"
	"time"
)

// Ranges and defaults of the fields of a [Policy].
const (
	maxVoters   = 99
	maxExpected = 2*maxVoters - 1 // its majority is maxVoters
	maxGrace    = 30 * 24 * time.Hour

	defaultMaximumVoters = 5
	defaultGrace         = 30 * time.Second
)

// Policy sets how many members a group has and how it replaces members that vanish.
// A field that is zero has its default, and the zero value is the default policy:
//
//	policy := consensus.Policy{Expected: 3, Grace: time.Minute}
//
// All members of a group must have the same policy, defaults included. Members
// that differ refuse each other, and the refusal names both policies.
//
// A Policy can be compared and copied. In JSON it is an object of the fields that
// are set, with names such as "minimum_voters" and durations such as "30s".
type Policy struct {
	// Expected is the number of members that the complete group has, observers not
	// counted: 1 to 197, or 0, the default, if it is unknown. Until a majority of the
	// expected members has joined, there is no leader and commands are rejected, so a
	// partition at birth cannot make two groups of one. With an unknown number, a
	// member that finds no other is a group of its own.
	Expected int
	// MinimumVoters is the number of voters below which the group accepts no command
	// when it forms, and does not shrink later: at least the majority of Expected, at
	// most MaximumVoters. The default is that majority, or 1 if Expected is 0.
	MinimumVoters int
	// MaximumVoters is the highest number of voters: 1 to 99, by default 5. The other
	// members are spares; one of them replaces a voter that vanishes. The number of
	// voters is kept odd where the minimum allows it.
	MaximumVoters int
	// Grace is how long a voter may be unreachable before a spare replaces it: 1 ms to
	// 720 h, by default 30 s. A voter whose log was in memory is replaced without
	// delay once it is provably gone: it said goodbye, or each address that it
	// advertised refuses connections or belongs to another peer.
	Grace time.Duration
	// RemoveAfter is how long a voter may be unreachable before it loses its vote
	// although no spare replaces it: from Grace to 720 h, or 0, the default, for
	// never. The vote is taken only while more than half of the remaining voters can
	// be reached, and never below the minimum. The group then needs fewer members for
	// a quorum, and bears as many losses as its remaining voters allow. A member that
	// comes back later joins as a new one.
	RemoveAfter time.Duration
	// ContinueAlone makes the last voter continue by itself when every other voter is
	// gone for good: it said goodbye, or came back as a new member without its log, as
	// after a restart with a log in memory. The last voter then does what
	// Group.Recover does. Acknowledged commands that it had not received are lost.
	// The new epoch accepts commands once the majority of Expected votes, as a group
	// that forms does. Groups whose machine has no commands, which only elect a
	// leader, always continue alone.
	ContinueAlone bool
}

// WithDefaults returns p with its default in each field that is zero. Zero is the
// default of Expected, RemoveAfter and ContinueAlone.
func (p Policy) WithDefaults() Policy {
	p.MinimumVoters = cmp.Or(p.MinimumVoters, p.majority())
	p.MaximumVoters = cmp.Or(p.MaximumVoters, defaultMaximumVoters)
	p.Grace = cmp.Or(p.Grace, defaultGrace)
	return p
}

// majority returns the majority of the expected members, 1 if their number is
// unknown.
func (p Policy) majority() int { return p.Expected/2 + 1 }

// Validate returns an error if a field is out of its range. The error names the
// first such field as in JSON, its value and the bound.
func (p Policy) Validate() error { return prefixed(p.validate()) }

// validate is Validate without the prefix.
func (p Policy) validate() error {
	e := p.WithDefaults()
	err := cmp.Or(
		inRange("expected", p.Expected, 0, maxExpected),
		inRange("maximum_voters", e.MaximumVoters, 1, maxVoters),
		p.validateMinimum(),
		inRange("grace", e.Grace, minInterval, maxGrace),
	)
	if err == nil && p.RemoveAfter != 0 && (p.RemoveAfter < e.Grace || p.RemoveAfter > maxGrace) {
		err = fmt.Errorf("remove_after is %v: must be 0, for never, or from %s, the grace, to %v",
			p.RemoveAfter, e.Grace, maxGrace)
	}
	if err != nil {
		return fmt.Errorf("validate membership policy: %w", err)
	}
	return nil
}

func (p Policy) validateMinimum() error {
	e := p.WithDefaults()
	maximum := described(p.MaximumVoters, e.MaximumVoters)
	switch {
	case e.MinimumVoters < p.majority():
		return fmt.Errorf("minimum_voters is %d: must be at least %d, the majority of expected, which is %d",
			e.MinimumVoters, p.majority(), p.Expected)
	case e.MinimumVoters <= e.MaximumVoters:
		return nil
	case p.MinimumVoters == 0:
		return fmt.Errorf("expected is %d: its majority, %d, must be at most maximum_voters, which is %s",
			p.Expected, e.MinimumVoters, maximum)
	default:
		return fmt.Errorf("minimum_voters is %d: must be at most maximum_voters, which is %s",
			e.MinimumVoters, maximum)
	}
}

// String returns all fields in one line, the defaults included, for logs.
func (p Policy) String() string {
	p = p.WithDefaults()
	return printFields(p.fields())
}

// MarshalJSON implements [json.Marshaler]: an object of the fields that are not
// zero, with durations as text such as "30s".
func (p Policy) MarshalJSON() ([]byte, error) { return marshalFields(p.fields()) }

// UnmarshalJSON implements [json.Unmarshaler]. A field that is absent or null
// keeps the value that it has in p. An unknown field, a zero that the field's range
// excludes, and a result that [Policy.Validate] refuses are errors, after which p
// is unchanged.
func (p *Policy) UnmarshalJSON(data []byte) error {
	next := *p
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
		{"expected", &p.Expected, zeroIsDefault},
		{"minimum_voters", &p.MinimumVoters, zeroIsDefault},
		{"maximum_voters", &p.MaximumVoters, zeroInvalid},
		{"grace", &p.Grace, zeroInvalid},
		{"remove_after", &p.RemoveAfter, zeroIsDefault},
		{"continue_alone", &p.ContinueAlone, zeroIsDefault},
	}
}
