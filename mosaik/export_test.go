package mosaik

import "github.com/mosaik-go/mosaik/sm"

// CommandFailed returns the error of a command of the group for a cause of the session's.
func CommandFailed[C any, M sm.StateMachine[C]](g *Group[C, M], cause error) error {
	return g.joined.commandFailed(cause)
}
