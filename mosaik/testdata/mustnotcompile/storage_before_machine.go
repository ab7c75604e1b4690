package program

import (
	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
)

func run(b mosaik.KeyedBuilder) {
	storage := logstore.NewMemory[LedgerCommand]()
	_ = b.WithLogStorage(storage) // want `cannot use storage .*\*logstore\.Memory\[LedgerCommand\].* as logstore\.Storage\[struct\{\}\] value`
}
