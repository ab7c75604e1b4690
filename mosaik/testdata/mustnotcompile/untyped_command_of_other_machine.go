package program

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik"
)

func run(ctx context.Context, ledger *mosaik.Group[LedgerCommand, *Ledger]) {
	_, _ = ledger.Execute(ctx, Advance{1})                      // want `cannot use Advance\{…\} .* as LedgerCommand value .* \(missing method isLedgerCommand\)`
	_, _ = ledger.ExecuteMany(ctx, Deposit{"a", 1}, Advance{1}) // want `cannot use Advance\{…\} .* as LedgerCommand value`
	_, _ = ledger.Feed(ctx, Advance{1})                         // want `cannot use Advance\{…\} .* as LedgerCommand value`
}
