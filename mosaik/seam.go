package mosaik

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/seam"
)

func init() {
	seam.CatalogOf = func(network any) discovery.Catalog { return network.(*Network).catalog }
	seam.RechecksOf = func(network any) int64 { return network.(*Network).rechecks.Load() }
	seam.WithClock = func(now func() time.Time) any {
		return optionFunc(func(o *options) error {
			o.clock = now
			return nil
		})
	}
}
