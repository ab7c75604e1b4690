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

// Level returns the level of the schema at which commands are to be encoded: the
// active one, or as long as none are let in the highest that the machine supports.
func (g *Group) Level() uint32 {
	// A replica that takes the place of another one in its epoch knows less at first.
	for _, l := range [...]*life{g.current.Load(), g.serves.Load()} {
		if l == nil {
			continue
		}
		if level := l.state.Writes(); level != 0 {
			return level
		}
	}
	return g.cfg.Level
}

// Submit queues the commands, which are encoded at a level, as one atomic batch; see
// [session.Proposer.Submit].
func (g *Group) Submit(ctx context.Context, level uint32, commands [][]byte, span format.Span) (*session.Call, error) {
	if err := g.CheckCaller(); err != nil {
		return nil, err
	}
	if p := g.prospect.Get(); p.poisoned != nil {
		return nil, p.poisoned
	}
	return g.proposer.Submit(ctx, level, commands, span)
}

// NewOne returns the memory of a single command; see [session.One].
func (g *Group) NewOne() *session.One { return g.proposer.NewOne() }

// Do replicates a single encoded command; see [session.Proposer.Do].
// applying is what Applying returned when the call began.
func (g *Group) Do(ctx context.Context, applying sm.Index, one *session.One, span format.Span) (session.Place, state.Result, error) {
	if err := g.checkCaller(applying); err != nil {
		one.Release()
		return session.Place{}, state.Result{}, err
	}
	if p := g.prospect.Get(); p.poisoned != nil {
		return session.Place{}, state.Result{}, p.poisoned
	}
	return g.proposer.Do(ctx, one, span)
}

// What the proposer may send is never too large for the engine.
const _ = uint(engine.MaxProposal - session.DefaultMaxEntry)

// transport lets the proposer use whichever replica runs at the time.
type transport struct{ g *Group }

// Start implements [session.Transport].
func (t transport) Start(ctx context.Context, data []byte) (session.Attempt, error) {
	l := t.g.current.Load()
	if l == nil {
		return nil, fmt.Errorf("%w: no replica runs", engine.ErrNotApplied)
	}
	return l.replica.StartProposal(ctx, data)
}

// isVoid reports whether an error of the engine means that an entry was not and
// will not be accepted.
func isVoid(err error) bool { return errors.Is(err, engine.ErrNotApplied) }

// owned is the proposer's session, which each life's state must know. It has a
// lock of its own: the proposer sets it while the loop may begin a life.
type owned struct {
	mu   sync.Mutex
	id   format.SessionID
	life *life // the latest, nil before the first
}

// own makes id the session whose outcomes are delivered, in this life and later
// ones.
func (g *Group) own(id format.SessionID) {
	g.owned.mu.Lock()
	defer g.owned.mu.Unlock()
	g.owned.id = id
	if g.owned.life != nil {
		g.owned.life.state.Own(id)
	}
}

// ownIn tells a new life's state the proposer's session, and the history which
// epoch the state is in.
func (g *Group) ownIn(l *life, continues bool) {
	g.owned.mu.Lock()
	defer g.owned.mu.Unlock()
	var before sm.Index
	if g.owned.life != nil {
		before = g.owned.life.count()
	}
	g.owned.life = l
	l.state.Own(g.owned.id)
	g.cfg.History.Enter(l.epoch, continues, before)
}

// History returns the commands applied here, which are recorded from now on at
// the latest.
func (g *Group) History() *state.History {
	g.owned.mu.Lock()
	defer g.owned.mu.Unlock()
	if g.owned.life != nil {
		g.owned.life.state.Record()
	} else {
		g.cfg.History.Record()
	}
	return g.cfg.History
}

// WakeFollowers lets those who wait for the next command look whether they are to
// stop.
func (g *Group) WakeFollowers() { g.cfg.History.Wake() }

// giveUp tells the proposer why trying again is pointless, nil if it is not.
func (g *Group) giveUp() error {
	switch p := g.prospect.Get(); {
	case p.epoch.IsZero():
		return ErrForming
	case p.poisoned != nil:
		return p.poisoned
	case p.stalled:
		return ErrStalled
	}
	return nil
}

// Need is how new the machine must be that a read looks at.
type Need struct {
	Strong  bool     // at least as new as the group was at the call, which an epoch that accepts no commands can't know
	AtLeast sm.Index // has applied this command
}

// Read runs the query on a machine of this member while nothing is applied to it, and
// returns the epoch in which the machine's index counts.
func (g *Group) Read(ctx context.Context, need Need, q *state.Query) (Epoch, error) {
	for {
		l, err := g.reader(ctx, need)
		if err != nil {
			return Epoch{}, err
		}
		if l == nil {
			continue
		}
		// An epoch that lets no commands in knows nothing of those that another
		// one acknowledges.
		if need.Strong && l.state.Writes() == 0 {
			if s := l.state.Status(); !s.Opened || s.Sealed {
				return Epoch{}, ErrForming
			}
		}
		return l.epoch, g.outcome(l, l.state.Read(ctx, q))
	}
}

// readIndex asks the leader, through any number of leaders, how far the group
// is, and waits until this replica is as far.
func (g *Group) readIndex(ctx context.Context, l *life) (again bool, err error) {
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
		if err := g.giveUp(); err != nil {
			return false, err
		}
		if errors.Is(err, engine.ErrClosed) {
			// The replica has ended, which the loop is about to learn.
			select {
			case <-l.ctx.Done():
			case <-ctx.Done():
			}
		}
	}
}

// awaitIndex waits until the command is applied here, for as long as that may
// still happen.
func (g *Group) awaitIndex(ctx context.Context, l *life, index sm.Index) (again bool, err error) {
	for {
		applied, changed := g.applied.Changed(), g.prospect.Changed()
		if l.count() >= index {
			return false, nil
		}
		if err := g.giveUp(); err != nil {
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

// Ended returns why the member's part ends or has ended, nil while it goes on.
func (g *Group) Ended() error {
	if why := g.why.Load(); why != nil {
		return *why
	}
	return nil
}

// CheckCaller returns [state.ErrInApply] if the caller was called by Apply of this
// member's machine: what waits for the group would wait for itself.
func (g *Group) CheckCaller() error { return g.checkCaller(g.Applying()) }

// Applying returns the index of the command that this member's machine applies now, 0 for
// none.
func (g *Group) Applying() sm.Index {
	if s := g.applies.Load(); s != nil {
		return s.Applying()
	}
	return 0
}

// checkCaller is CheckCaller with what Applying returned when the call began.
func (g *Group) checkCaller(applying sm.Index) error {
	if applying != 0 && g.applies.Load().IsCaller(applying) {
		return state.ErrInApply
	}
	return nil
}
