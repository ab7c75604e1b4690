package mosaik

import (
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// StatusOf lets tests wait for what When has no wait for.
func StatusOf[C any, M sm.StateMachine[C]](g *Group[C, M]) *watch.Value[group.Status] {
	return g.joined.core.Status()
}

// CatalogOf lets tests wait for what a network learns of its peers.
func CatalogOf(n *Network) discovery.Catalog { return n.catalog }
