package program

import (
	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
)

func run(b mosaik.KeyedBuilder) {
	keyed := b.WithLogStorage(logstore.NewMemory[LedgerCommand]()) // want `b\.WithLogStorage undefined \(type mosaik\.KeyedBuilder has no field or method WithLogStorage\)`
	_ = mosaik.WithStateMachine(keyed, newLedger)
}
