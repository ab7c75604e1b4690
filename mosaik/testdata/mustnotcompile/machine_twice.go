package program

import "github.com/mosaik-go/mosaik/mosaik"

func run(b mosaik.KeyedBuilder) {
	_ = mosaik.WithStateMachine(b, newLedger).WithStateMachine(newLedger) // want `WithStateMachine undefined`
}
