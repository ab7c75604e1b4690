package program

import (
	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
)

func run(b mosaik.KeyedBuilder) {
	storage := logstore.NewMemory[ClockCommand]()
	_ = mosaik.WithStateMachine(b, newLedger).
		WithLogStorage(storage) // want `cannot use storage .*\*logstore\.Memory\[ClockCommand\].* as logstore\.Storage\[LedgerCommand\] value`
}
