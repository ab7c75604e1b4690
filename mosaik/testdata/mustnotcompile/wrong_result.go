package program

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik"
)

func run(ctx context.Context, ledger *mosaik.Group[LedgerCommand, *Ledger]) {
	var balance string
	balance, _ = mosaik.Execute(ctx, ledger, Deposit{"alice", 1}) // want `cannot use .* \(value of type int64\) as string value in (multiple )?assignment`
	answer, _ := mosaik.Query(ctx, ledger, Balance{"alice"}, mosaik.Weak)
	balance = answer.Value // want `cannot use answer\.Value \(variable of type int64\) as string value in assignment`
	_ = balance
}
