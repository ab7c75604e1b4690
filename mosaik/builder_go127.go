//go:build go1.27

package mosaik

import (
	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// WithStateMachine gives the group its machine, like the function [WithStateMachine]:
//
//	group, err := net.Groups().WithKey(key).WithStateMachine(ledger.New).Join(ctx)
//
// It needs Go 1.27, whose methods can have type parameters. A module whose go.mod
// names an earlier version can use it when it is built with a Go 1.27 toolchain.
func (b KeyedBuilder) WithStateMachine[C any, M sm.StateMachine[C]](newMachine func() M) GroupBuilder[C, *logstore.Memory[C], M] {
	return WithStateMachine(b, newMachine)
}
