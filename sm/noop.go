package sm

import "github.com/mosaik-go/mosaik/codec"

// NoOp is the machine without state, for groups that only elect a leader. Its
// commands carry nothing and change nothing.
type NoOp struct{}

// noOpName and noOpSignature are those of the original mosaik, so that the
// group ids of leader-election groups agree with it.
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

// Apply implements [StateMachine]: nothing happens.
func (NoOp) Apply(ApplyContext, struct{}) (any, error) { return nil, nil }
