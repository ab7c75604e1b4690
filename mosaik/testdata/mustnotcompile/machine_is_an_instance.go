package program

import "github.com/mosaik-go/mosaik/mosaik"

func run(b mosaik.KeyedBuilder) {
	_ = mosaik.WithStateMachine(b, newLedger()) // want `type \*Ledger of newLedger\(\) does not match func\(\) M`
}
