package program

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik"
)

func run(ctx context.Context, ledger *mosaik.Group[LedgerCommand, *Ledger]) {
	_, _ = mosaik.Query(ctx, ledger, Time{}, mosaik.Weak) // want `type Time of Time\{\} does not match inferred type sm\.Query\[\*Ledger, R\] for sm\.Query\[M, R\]`
}
