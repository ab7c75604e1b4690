package group

import (
	"fmt"
	"iter"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
)

// past is the life whose log this member finds when it joins.
type past struct {
	epoch       Epoch
	incarnation Incarnation
	bootstrap   bool             // it made the epoch
	estate      iter.Seq[[]byte] // what the epoch is still to take over, nil for nothing
}

// recall returns the life that ran with the log before, nil if there is none or
// it cannot have promised anything to anybody. What earlier processes did not come
// to remove beside the log goes, unless the log needs a newer program: that is a
// [*state.OutdatedError], and nothing is changed.
func recall(cfg Config) (*past, error) {
	found, ok, err := engine.ReadPast(cfg.Log)
	if err != nil {
		return nil, err
	}
	if found.Level > cfg.Level {
		return nil, &state.OutdatedError{Found: found.Level, Supported: cfg.Level}
	}
	if files, ok := logstore.SnapshotFiles(cfg.Log); ok {
		if err := files.RemoveUnfinished(); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, dropEstate(cfg.Log) // the log was cleared when its epoch was left
	}
	p := &past{epoch: found.Epoch, incarnation: found.Incarnation, bootstrap: found.Bootstrap}
	if found.Shard != shardID(cfg.ID, p.epoch) || found.Replica != replicaID(cfg.Self, p.epoch, p.incarnation) {
		return nil, fmt.Errorf("%w: the group's log is that of another peer's replica", logstore.ErrForeign)
	}
	if p.estate, err = readEstate(cfg.Log, p.epoch); err != nil {
		return nil, err
	}
	switch {
	case p.estate != nil:
		p.bootstrap = true // also before the replica ran
	case !found.Used:
		return nil, nil
	}
	return p, nil
}

// resume goes on with the life whose log this is.
func (g *Group) resume(p *past) {
	g.start(&life{epoch: p.epoch, bootstrap: p.bootstrap, resumed: true, estate: p.estate})
}

// Durable reports whether the member's log outlives the process, so that it can
// go on as itself in a later one.
func (g *Group) Durable() bool { return g.cfg.Log.SnapshotDir() != "" }

// forget empties a log that outlives the process: its replica is no member any
// more, and must not come back.
func (g *Group) forget() error {
	if !g.Durable() {
		return nil
	}
	if err := engine.Disclaim(g.cfg.Log); err != nil {
		return fmt.Errorf("forget the past: %w", err)
	}
	if err := dropEstate(g.cfg.Log); err != nil {
		return fmt.Errorf("forget the past: %w", err)
	}
	return nil
}
