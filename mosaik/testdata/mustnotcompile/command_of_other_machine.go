package program

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik"
)

func run(ctx context.Context, ledger *mosaik.Group[LedgerCommand, *Ledger]) {
	_, _ = mosaik.Execute(ctx, ledger, Advance{1}) // want `type Advance of Advance\{…\} does not match inferred type sm\.Command\[LedgerCommand, \*Ledger, R\] for sm\.Command\[C, M, R\]`
}
