package mosaik

import (
	"time"

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

// WithClock sets the clock that orders the processes of one identity.
func WithClock(now func() time.Time) Option {
	return optionFunc(func(o *options) error {
		o.clock = now
		return nil
	})
}

// RechecksOf returns how often groups were told to look at a peer's tickets again,
// because of a new entry.
func RechecksOf(n *Network) int64 { return n.rechecks.Load() }

// DecodeAt and AppendAt let tests decode and encode at a level of a schema.
func DecodeAt[C any](spec sm.Spec[C], src []byte, level uint32) (C, error) {
	l := levelsOf(spec)
	return l.decode(src, level)
}

func AppendAt[C any](spec sm.Spec[C], cmd C, level uint32) ([]byte, error) {
	l := levelsOf(spec)
	return l.append(nil, cmd, level)
}

// CommandFailed returns the error of a command of the group for a cause of the session's.
func CommandFailed[C any, M sm.StateMachine[C]](g *Group[C, M], cause error) error {
	return g.joined.commandFailed(cause)
}
