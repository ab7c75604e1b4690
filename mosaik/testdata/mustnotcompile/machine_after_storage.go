package program

import (
	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
)

func run(b mosaik.KeyedBuilder) {
	stored := b.WithLogStorage(logstore.NewMemory[struct{}]())
	_ = mosaik.WithStateMachine(stored, newLedger) // want `cannot use stored .*mosaik\.GroupBuilder\[struct\{\}, .*sm\.NoOp\].* as mosaik\.KeyedBuilder value`
}
