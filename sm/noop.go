package sm

import "github.com/mosaik-go/mosaik/codec"

// NoOp is a machine without state, for groups that only elect a leader. Its commands
// are empty and change nothing.
type NoOp struct{}

// noOpName and noOpSignature are those of the original mosaik, so that election groups
// have the same group ids as there.
const (
	noOpName      = "mosaik::groups::machine::noop::NoOp"
	noOpSignature = "mosaik_noop_state_machine"
)

// Spec implements [StateMachine].
func (NoOp) Spec() Spec[struct{}] {
	return Spec[struct{}]{
		Name:      noOpName,
		Version:   1,
		Signature: ID(noOpSignature),
		Codec:     codec.Reflect[struct{}](),
	}
}

// Apply implements [StateMachine]. It does nothing.
func (NoOp) Apply(ApplyContext, struct{}) (any, error) { return nil, nil }
