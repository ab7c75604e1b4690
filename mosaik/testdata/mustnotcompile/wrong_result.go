package program

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik"
)

func run(ctx context.Context, ledger *mosaik.Group[LedgerCommand, *Ledger]) {
	var balance string
	paid, _ := mosaik.Execute(ctx, ledger, Deposit{"alice", 1})
	balance = paid.Value // want `cannot use paid\.Value \(variable of type int64\) as string value in assignment`
	answer, _ := mosaik.Query(ctx, ledger, Balance{"alice"}, mosaik.Weak)
	balance = answer.Value // want `cannot use answer\.Value \(variable of type int64\) as string value in assignment`
	_ = balance
}
