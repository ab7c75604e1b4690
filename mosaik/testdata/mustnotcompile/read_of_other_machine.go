package program

import (
	"context"

	"github.com/mosaik-go/mosaik/mosaik"
)

func run(ctx context.Context, ledger *mosaik.Group[LedgerCommand, *Ledger]) {
	_, _ = mosaik.Read(ctx, ledger, mosaik.Weak, func(c *Clock) (int, error) { return c.now, nil }) // want `does not match inferred type func\(\*Ledger\) \(R, error\)`
}
