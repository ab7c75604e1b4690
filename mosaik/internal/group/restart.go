package group

import (
	"fmt"
	"iter"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
)

// pastReplica is the replica whose log this member finds when it joins.
type pastReplica struct {
	epoch       Epoch
	incarnation Incarnation
	bootstrap   bool             // it made the epoch
	carryover   iter.Seq[[]byte] // the entries that the epoch must still take over, nil for none
}

// readPastReplica returns the replica that used the log before. It returns nil if there is none, or
// if the replica never voted nor acknowledged anything. It removes files beside the log that
// earlier processes left unfinished. If the log needs a newer program, it changes nothing and
// returns a [*consensus.OutdatedError].
func readPastReplica(cfg Config) (*pastReplica, error) {
	found, ok, err := engine.ReadPast(cfg.Log)
	if err != nil {
		return nil, err
	}
	if found.Level > cfg.Level {
		return nil, &consensus.OutdatedError{Found: found.Level, Supported: cfg.Level}
	}
	if files, ok := logstore.SnapshotFiles(cfg.Log); ok {
		if err := files.RemoveUnfinished(); err != nil {
			return nil, err
		}
	}
	if !ok {
		return nil, removeCarryover(cfg.Log) // the log was cleared when its epoch was left
	}
	p := &pastReplica{epoch: found.Epoch, incarnation: found.Incarnation, bootstrap: found.Bootstrap}
	if found.Shard != shardID(cfg.ID, p.epoch) || found.Replica != replicaID(cfg.Self, p.epoch, p.incarnation) {
		return nil, fmt.Errorf("%w: the group's log is that of another peer's replica", logstore.ErrForeign)
	}
	if p.carryover, err = readCarryover(cfg.Log, p.epoch); err != nil {
		return nil, err
	}
	switch {
	case p.carryover != nil:
		p.bootstrap = true // also if the replica has not run yet
	case !found.Used:
		return nil, nil
	}
	return p, nil
}

// resume continues as the replica that used the log before.
func (g *Group) resume(p *pastReplica) {
	g.start(&localReplica{epoch: p.epoch, bootstrap: p.bootstrap, resumed: true, carryover: p.carryover})
}

// Durable reports whether the member's log outlives the process, so that a later process can
// continue as the same replica.
func (g *Group) Durable() bool { return g.cfg.Log.SnapshotDir() != "" }

// clearLog clears a log that outlives the process. Its replica is no longer a member and must not
// return.
func (g *Group) clearLog() error {
	if !g.Durable() {
		return nil
	}
	if err := engine.Disclaim(g.cfg.Log); err != nil {
		return fmt.Errorf("clear the log: %w", err)
	}
	if err := removeCarryover(g.cfg.Log); err != nil {
		return fmt.Errorf("clear the log: %w", err)
	}
	return nil
}
