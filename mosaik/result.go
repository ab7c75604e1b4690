package mosaik

import (
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Result is what a command or a query returned. Every call that asks the machine returns
// one: [Execute], [Query] and [Read] of the call's own type, and [Group.Execute],
// [Group.ExecuteMany] and [Pending.Wait] of type any.
type Result[R any] struct {
	// Value is what the machine returned.
	Value R
	// Index is the index of the command, or that of the last command that the answer to
	// a query reflects. It is set as well where the machine declined the command, and
	// with [ErrResultLost] where it is known; otherwise it is 0 beside an error. A query
	// with [AtLeast] of it reads the caller's own write on every member.
	Index sm.Index
	// Epoch is the epoch in which Index counts, zero where Index is 0. [Group.Commands]
	// accepts both.
	Epoch consensus.Epoch
	// Err is the machine's own error for one command of a batch. Calls of a single
	// command and queries return that error themselves and leave Err nil.
	Err error
}
