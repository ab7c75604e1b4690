// Package group is a member's part in one group: how it finds an epoch or makes
// one, joins it, keeps the membership as it should be while it leads, and
// leaves. It knows nothing of the commands' types.
//
// Two pure functions decide: seeker.next for a member without an epoch,
// steward.next for the leader of one. Everything else tells them what is seen
// and carries out what they say. A Group's state belongs to one goroutine;
// whatever happens elsewhere is posted to it.
package group

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/session"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

var (
	// ErrForming reports that the group does not accept commands yet.
	ErrForming = state.ErrForming
	// ErrStalled reports that the group has had no leader for longer than
	// elections take: too few of its voters can be reached.
	ErrStalled = errors.New("the group has no quorum")
	// ErrPrecondition is what errors of calls are that the state of the group does not allow.
	ErrPrecondition = errors.New("not possible now")
	// ErrVoteNeeded reports a member that left without being removed: the group
	// has no voter to spare. It counts as a dead voter until it comes back or
	// another takes its place.
	ErrVoteNeeded = errors.New("the group has no voter to spare")
	// ErrSuperseded reports that another process with this one's identity keeps
	// running, or that this one continues from an older copy of a directory.
	ErrSuperseded = errors.New("another process with the same identity takes precedence")
	// ErrStorage reports that this member's log could not be read or written.
	ErrStorage = engine.ErrStorage
	// ErrOutdated reports a log that needs a newer program than this one.
	ErrOutdated = state.ErrOutdated
	// ErrClosed reports a call on a group that was left or whose network closed.
	ErrClosed = errors.New("the group is closed")
)

// Config is a member's part in a group, everything decided.
type Config struct {
	Self    sm.PeerID
	Network sm.Digest
	ID      sm.Digest
	Secrets []sm.Digest // what bonds may prove
	Timing  Timing
	Policy  Policy
	Schema  Schema
	Level   uint32 // the highest level of the schema that the machine supports, from 1
	Role    Role
	// Origin makes this process's incarnations, in all groups that it joins.
	Origin *Origin
	// NewMachine makes a fresh machine for each life of the member.
	NewMachine func() (state.Machine, error)
	// Commandless says that the machine's commands carry and change nothing: none
	// of them can be lost.
	Commandless bool
	// History is told of the commands that are applied.
	History   *state.History
	Log       logstore.Log
	Engine    *engine.Engine
	Bonds     *bond.Manager
	Admission Admission
	// Superseded is told, from the group's goroutine, that another process with
	// this one's identity joined later. It must not block.
	Superseded func()
	// SnapshotEvery and SnapshotBytes are how many log entries, or bytes of
	// them, make a snapshot due.
	SnapshotEvery, SnapshotBytes uint64
	// TokenFloor is what fencing tokens must be above, 0 for nothing.
	TokenFloor uint64
	// Clock seeds the fencing tokens of an epoch that opens here; nil is time.Now.
	Clock func() time.Time

	Logger *slog.Logger
}

// Timing is the times of a group.
type Timing struct {
	ElectionTimeout time.Duration // as drawn for this member
	ElectionLimit   time.Duration // the longest that any member may have drawn
	BootstrapDelay  time.Duration
	Forward         time.Duration // one attempt of a command
	Query           time.Duration // one attempt of a strong read
	Heartbeat       bond.Heartbeat
}

// step returns how long the group's own reads of the membership and its changes
// may take at a time. The timeouts of calls may be shorter than a round trip, and
// then fail calls; they must not keep the group from forming.
func (t Timing) step() time.Duration { return max(t.ElectionTimeout, t.Forward, t.Query) }

// Group is a member's part in one group. Its methods may be called from any
// goroutine.
type Group struct {
	cfg      Config
	log      *slog.Logger
	inbox    *mailbox
	bonds    *bond.Membership
	proposer *session.Proposer
	status   *watch.Value[Status]
	prospect *watch.Value[prospect]
	applied  *watch.Value[sm.Index]
	current  atomic.Pointer[life] // the loop's life, for calls
	serves   atomic.Pointer[life] // whose machine answers reads: the same, or a former life of its epoch
	hello    atomic.Pointer[Announcement]
	applies  atomic.Pointer[state.State] // of the latest life, also before its replica has started
	slow     slowCalls
	owned    owned
	done     chan struct{}         // closed when the loop ended
	why      atomic.Pointer[error] // why the part ends, nil while it goes on
	workers  sync.WaitGroup        // what the loop started

	// What follows belongs to the loop.
	life        *life
	tenure      Tenure
	successions map[sm.PeerID]*succession // of peers that have a bond, or are in lastSeen
	since       time.Time                 // when seeking began
	peers       map[sm.PeerID]Announcement
	lastSeen    map[sm.PeerID]time.Time // when the last bond of an absent peer ended; see maxAbsent
	refused     refusals
	opponents   map[sm.PeerID]opponent
	ended       map[Epoch]sm.Index // epochs that are over, with all that they held up to this many commands
	leaving     bool
	left        *watch.Value[farewell]
	leave       leave
	dismissed   bool // the replica is no member any more, and none follows
	stalled     bool
	removals    []*removal
	tokens      uint64 // the highest fencing token of earlier epochs
	err         error  // why the loop ends
	timers      timers
}

// Join starts a member's part in a group and returns at once.
func Join(cfg Config) (*Group, error) {
	g := &Group{
		cfg:      cfg,
		log:      cfg.Logger.With("group", cfg.ID.Short()),
		inbox:    newMailbox(),
		status:   watch.New(Status{}),
		prospect: watch.New(prospect{}),
		applied:  watch.New(sm.Index(0)),
		left:     watch.New(farewell{}),
		done:     make(chan struct{}),
		since:    time.Now(),
		peers:    map[sm.PeerID]Announcement{},
		lastSeen: map[sm.PeerID]time.Time{},
		ended:    map[Epoch]sm.Index{},

		successions: map[sm.PeerID]*succession{},
		opponents:   map[sm.PeerID]opponent{},
	}
	cfg.Level = max(1, cfg.Level)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	g.cfg = cfg
	past, err := recall(cfg)
	if errors.Is(err, ErrOutdated) {
		return nil, err
	}
	if err == nil {
		g.cfg.Origin, err = originOf(cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	begin := g.seek
	if past != nil {
		g.tenure = g.cfg.Origin.resume(past.incarnation)
		begin = func() { g.resume(past) }
	} else {
		g.tenure = g.cfg.Origin.begin(Incarnation{})
	}
	g.timers.post = func(f func()) { g.inbox.post(f) }
	a := g.announcement()
	g.hello.Store(&a)
	g.proposer = session.New(session.Config{
		Transport: transport{g},
		IsVoid:    isVoid,
		Own:       g.own,
		Stalled:   g.giveUp,
		Leader:    g.prospect.Changed,
		Attempt:   cfg.Timing.Forward,
	})
	bonds, err := cfg.Bonds.Join(bond.Group{
		ID:        cfg.ID,
		Secrets:   cfg.Secrets,
		Heartbeat: cfg.Timing.Heartbeat,
		Hello:     func() []byte { return g.hello.Load().append(nil) },
		Handler:   handler{g},
	})
	if err != nil {
		g.proposer.Close(ErrClosed)
		return nil, err
	}
	g.bonds = bonds
	g.inbox.post(begin)
	if log, ok := cfg.Log.(logstore.FailureNotifier); ok {
		log.OnFailure(g.lost)
	}
	go g.run()
	return g, nil
}

// run is the group's goroutine.
func (g *Group) run() {
	defer close(g.done)
	for g.err == nil {
		<-g.inbox.wake
		batch, _ := g.inbox.take()
		for _, f := range batch {
			if f(); g.err != nil {
				break
			}
		}
		if g.err == nil {
			g.publish()
		}
	}
	g.shutDown()
}

// end makes the loop end with err once the present event is dealt with.
func (g *Group) end(err error) {
	if g.err == nil {
		g.err = err
		g.why.Store(&err)
	}
}

// lost ends the part, which may have no replica, or one with nothing to save, when
// what its log is kept on has failed under another group.
func (g *Group) lost(cause error) {
	g.inbox.post(func() {
		g.end(fmt.Errorf("%w: %w", ErrStorage, cause))
	})
}

// shutDown undoes everything; it is the last thing the loop does.
func (g *Group) shutDown() {
	g.inbox.close()
	g.timers.stop()
	g.proposer.Close(g.err)
	g.serves.Store(nil)
	stopped := g.stopLast()
	g.bonds.Leave()
	g.cfg.Admission.Close()
	<-stopped
	g.workers.Wait()
	if g.dismissed {
		if err := g.forget(); err != nil {
			g.log.Error("the log of a member that left stays; joining again would bring it back", "error", err)
		}
	}
	if err := g.cfg.Log.Close(); err != nil {
		g.log.Error("closing the log failed", "error", err)
	}
	last := g.status.Get()
	last.Online, last.Settled, last.Leader, last.Bonds = false, false, sm.PeerID{}, nil
	last.Ended, last.Stalled, last.Waits = g.err, false, "nothing: the group has ended on this member"
	if outdated := new(state.OutdatedError); errors.As(g.err, &outdated) {
		last.Outdated, last.Waits = outdated, "a newer program"
	}
	g.status.Set(last)
	g.status.End(g.err)
	g.prospect.End(g.err)
	g.applied.End(g.err)
	g.left.End(g.err)
	g.cfg.History.End(g.err)
}

// Supersede ends the member's part with [ErrSuperseded] and does not wait.
func (g *Group) Supersede() {
	g.inbox.post(func() { g.end(ErrSuperseded) })
}

// Status returns the member's view of the group, to be read and waited on. It
// ends when the member's part does, with the reason.
func (g *Group) Status() *watch.Value[Status] { return g.status }

// Applied returns the dense index of the last command applied here. It does not go back
// within an epoch: while a new replica catches up, it is the former one's.
func (g *Group) Applied() *watch.Value[sm.Index] { return g.applied }

// Bonds returns the live bonds.
func (g *Group) Bonds() []bond.Info { return g.bonds.Bonds() }

// Mismatch returns what connected peers announce in place of this group.
func (g *Group) Mismatch() consensus.Mismatch { return g.bonds.Mismatch() }

// timers are the loop's pending looks into the future.
type timers struct {
	post func(func())
	all  map[string]*time.Timer
}

// set lets f run in the loop after d, in place of what was set for the name.
func (t *timers) set(name string, d time.Duration, f func()) {
	t.clear(name)
	if t.all == nil {
		t.all = map[string]*time.Timer{}
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		t.post(func() {
			if t.all[name] == timer {
				delete(t.all, name)
			}
			f()
		})
	})
	t.all[name] = timer
}

func (t *timers) clear(name string) {
	if old := t.all[name]; old != nil {
		old.Stop()
		delete(t.all, name)
	}
}

func (t *timers) stop() {
	for name := range t.all {
		t.clear(name)
	}
}

// work runs f beside the loop, which waits for it before it ends.
func (g *Group) work(f func()) {
	g.workers.Add(1)
	go func() {
		defer g.workers.Done()
		f()
	}()
}

// withTimeout bounds one step that the loop started on behalf of a life.
func (l *life) withTimeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(l.ctx, d)
}
