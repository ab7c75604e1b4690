package group

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/session"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// Level returns the level of the schema at which callers encode commands: the active level, or
// the highest level that the machine supports while the group accepts no commands.
func (g *Group) Level() uint32 {
	// A replica that replaces another one of its epoch does not know the level at first.
	for _, l := range [...]*localReplica{g.current.Load(), g.serving.Load()} {
		if l == nil {
			continue
		}
		if level := l.state.EncodingLevel(); level != 0 {
			return level
		}
	}
	return g.cfg.Level
}

// Submit queues the commands, which are encoded at a level, as one atomic batch. It returns
// as [session.Proposer.Submit] does.
func (g *Group) Submit(ctx context.Context, level uint32, commands [][]byte, span format.Span) (*session.Call, error) {
	if err := g.CheckCaller(); err != nil {
		return nil, err
	}
	if p := g.retryState.Get(); p.poisoned != nil {
		return nil, p.poisoned
	}
	return g.proposer.Submit(ctx, level, commands, span)
}

// NewSingle returns a reusable single command; see [session.Single].
func (g *Group) NewSingle() *session.Single { return g.proposer.NewSingle() }

// Do replicates a single encoded command; see [session.Proposer.Do]. applying is the result of
// Applying when the call began.
func (g *Group) Do(ctx context.Context, applying sm.Index, one *session.Single, span format.Span) (session.Place, state.Result, error) {
	if err := g.checkCaller(applying); err != nil {
		one.Release()
		return session.Place{}, state.Result{}, err
	}
	if p := g.retryState.Get(); p.poisoned != nil {
		return session.Place{}, state.Result{}, p.poisoned
	}
	return g.proposer.Do(ctx, one, span)
}

// An entry of the proposer always fits into a proposal of the engine.
const _ = uint(engine.MaxProposal - session.DefaultMaxEntry)

// transport sends the proposer's entries through the current replica.
type transport struct{ g *Group }

// Start implements [session.Transport].
func (t transport) Start(ctx context.Context, data []byte) (session.Attempt, error) {
	l := t.g.current.Load()
	if l == nil {
		return nil, fmt.Errorf("%w: no replica runs", engine.ErrNotApplied)
	}
	return l.replica.StartProposal(ctx, data)
}

// isVoid reports whether an error of the engine means that an entry was not accepted and will
// not be.
func isVoid(err error) bool { return errors.Is(err, engine.ErrNotApplied) }

// ownSession is the proposer's session, which the state of each replica must know. It has a lock
// of its own, because the proposer replaces the session while the group's goroutine may start a
// replica. The lock may be held while the state's locks are taken, not the reverse.
type ownSession struct {
	mu    sync.Mutex
	id    format.SessionID
	local *localReplica // the latest replica, nil before the first
}

// setSession makes id the session whose outcomes are delivered, by the latest replica and
// later ones.
func (g *Group) setSession(id format.SessionID) {
	g.ownSession.mu.Lock()
	defer g.ownSession.mu.Unlock()
	g.ownSession.id = id
	if g.ownSession.local != nil {
		g.ownSession.local.state.SetOwnSession(id)
	}
}

// bindSession gives a new replica's state the proposer's session, and the history its epoch.
func (g *Group) bindSession(l *localReplica, continues bool) {
	g.ownSession.mu.Lock()
	defer g.ownSession.mu.Unlock()
	var before sm.Index
	if g.ownSession.local != nil {
		before = g.ownSession.local.AppliedIndex()
	}
	g.ownSession.local = l
	l.state.SetOwnSession(g.ownSession.id)
	g.cfg.History.EnterEpoch(l.epoch, continues, before)
}

// History returns the record of the commands applied here. Recording begins with the first
// call.
func (g *Group) History() *state.History {
	g.ownSession.mu.Lock()
	defer g.ownSession.mu.Unlock()
	if g.ownSession.local != nil {
		g.ownSession.local.state.Record()
	} else {
		g.cfg.History.Record()
	}
	return g.cfg.History
}

// WakeFollowers wakes the goroutines that wait for the next command, so that they check
// whether they must stop.
func (g *Group) WakeFollowers() { g.cfg.History.Wake() }

// retryError returns why a failed attempt must not be repeated, nil if it may succeed.
func (g *Group) retryError() error {
	switch p := g.retryState.Get(); {
	case p.epoch.IsZero():
		return ErrForming
	case p.poisoned != nil:
		return p.poisoned
	case p.stalled:
		return ErrStalled
	}
	return nil
}

// Need is the freshness that a read requires of the machine.
type Need struct {
	// Strong requires all commands that were applied anywhere before the call. In an epoch that
	// accepts no commands it is not known which these are, and the read fails with ErrForming.
	Strong  bool
	AtLeast sm.Index // requires this command
}

// Read runs the query on a machine of this member while no command is applied to it. It returns
// the epoch in which the machine's index counts.
func (g *Group) Read(ctx context.Context, need Need, q *state.Query) (Epoch, error) {
	for {
		l, err := g.readableReplica(ctx, need)
		if err != nil {
			return Epoch{}, err
		}
		if l == nil {
			continue
		}
		// An epoch that accepts no commands knows nothing of those that another epoch
		// acknowledges.
		if need.Strong && l.state.EncodingLevel() == 0 {
			if s := l.state.Status(); !s.Opened || s.Sealed {
				return Epoch{}, ErrForming
			}
		}
		return l.epoch, g.readOutcome(l, l.state.Read(ctx, q))
	}
}

// readIndex asks the leader for its commit index, also across changes of the leader, and waits
// until this replica has applied it. again reports that the replica has ended and the caller
// must look for the next one.
func (g *Group) readIndex(ctx context.Context, l *localReplica) (again bool, err error) {
	for {
		err := l.replica.ReadIndex(ctx)
		switch {
		case err == nil:
			return false, nil
		case ctx.Err() != nil:
			return false, fmt.Errorf("wait for the leader: %w", watch.Cause(ctx))
		case g.current.Load() != l:
			return true, g.Ended()
		}
		if err := g.retryError(); err != nil {
			return false, err
		}
		if errors.Is(err, engine.ErrClosed) {
			// The replica has ended. The group's goroutine ends l.ctx when it handles that.
			select {
			case <-l.ctx.Done():
			case <-ctx.Done():
			}
		}
	}
}

// awaitIndex waits until the command is applied here, as long as that can still happen. again
// is that of readIndex.
func (g *Group) awaitIndex(ctx context.Context, l *localReplica, index sm.Index) (again bool, err error) {
	for {
		applied, changed := g.appliedIndex.Changed(), g.retryState.Changed()
		if l.AppliedIndex() >= index {
			return false, nil
		}
		if err := g.retryError(); err != nil {
			return false, err
		}
		select {
		case <-applied:
		case <-changed:
		case <-l.ctx.Done():
			return true, g.Ended()
		case <-ctx.Done():
			return false, fmt.Errorf("wait for command %d: %w", index, watch.Cause(ctx))
		}
	}
}

// Ended returns why this member's part has ended or is ending, nil while it runs.
func (g *Group) Ended() error {
	if why := g.endCause.Load(); why != nil {
		return *why
	}
	return nil
}

// CheckCaller returns [state.ErrInApply] if the caller was called by Apply of this member's
// machine: a call that waits for the group would then wait for itself.
func (g *Group) CheckCaller() error { return g.checkCaller(g.Applying()) }

// Applying returns the index of the command that this member's machine is applying, 0 for none.
func (g *Group) Applying() sm.Index {
	if s := g.applies.Load(); s != nil {
		return s.Applying()
	}
	return 0
}

// checkCaller is CheckCaller for a call that began when Applying returned applying.
func (g *Group) checkCaller(applying sm.Index) error {
	if applying != 0 && g.applies.Load().InApply(applying) {
		return state.ErrInApply
	}
	return nil
}
