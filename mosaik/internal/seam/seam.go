// Package seam opens parts of package mosaik, which it does not export, to the tests of other
// packages. Package mosaik sets the variables when it is initialized. Only tests read them.
package seam

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
)

var (
	// CatalogOf returns the catalog of a *mosaik.Network. A test waits with it for what a network
	// learns of its peers.
	CatalogOf func(network any) discovery.Catalog
	// RechecksOf returns how often a *mosaik.Network had its groups check a peer's tickets again
	// because of a new entry.
	RechecksOf func(network any) int64
	// WithClock returns a mosaik.Option with the clock that orders the processes of one identity
	// and seeds fencing tokens.
	WithClock func(now func() time.Time) any
)
