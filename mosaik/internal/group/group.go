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
	// ErrStalled reports that the group has had no leader for longer than elections take: too
	// few of its voters can be reached.
	ErrStalled = errors.New("the group has no quorum")
	// ErrPrecondition is wrapped by errors of calls that the group's state does not allow now.
	ErrPrecondition = errors.New("not possible now")
	// ErrVoteNeeded reports a member that left without being removed, because the group has no
	// spare to take its vote. It counts as a dead voter until it returns or is replaced.
	ErrVoteNeeded = errors.New("the group has no voter to spare")
	// ErrSuperseded reports that another process with the same identity takes precedence, or
	// that this process continues from an older copy of a directory.
	ErrSuperseded = errors.New("another process with the same identity takes precedence")
	// ErrStorage reports that this member's log could not be read or written.
	ErrStorage = engine.ErrStorage
	// ErrClosed reports a call on a group that was left or whose network closed.
	ErrClosed = errors.New("the group is closed")
)

// Config configures a member's part in a group. All fields are required unless they state a
// default.
type Config struct {
	Self    sm.PeerID
	Network sm.Digest
	ID      sm.Digest
	Secrets []sm.Digest // the secrets that peers may prove for a bond
	Timing  Timing
	Policy  Policy
	Schema  Schema
	Level   uint32 // the highest level of the schema that the machine supports, from 1
	Role    Role
	// Origin makes this process's incarnations, in all groups that it joins.
	Origin *Origin
	// NewMachine makes an empty machine for each replica that starts.
	NewMachine func() (state.Machine, error)
	// Commandless means that the machine's commands carry no data and change nothing, so that
	// losing one loses nothing.
	Commandless bool
	// History records the commands that are applied. It outlives replicas.
	History   *state.History
	Log       logstore.Log // owned by the group, which closes it
	Engine    *engine.Engine
	Bonds     *bond.Manager
	Admission Admission // owned by the group, which closes it
	// Superseded is called from the group's goroutine when another process with this one's
	// identity takes precedence. It must not block.
	Superseded func()
	// A snapshot is due after SnapshotEvery log entries or SnapshotBytes bytes of them; 0 for
	// never by that bound.
	SnapshotEvery, SnapshotBytes uint64
	// TokenFloor is a number that fencing tokens must exceed, 0 for none.
	TokenFloor uint64
	// Clock gives the base of fencing tokens when an epoch opens here; nil means time.Now.
	Clock func() time.Time

	Logger *slog.Logger
}

// Timing configures the durations of a group.
type Timing struct {
	ElectionTimeout time.Duration // drawn at random for this member
	ElectionLimit   time.Duration // the longest that any member may have drawn
	BootstrapDelay  time.Duration
	Forward         time.Duration // limit of one attempt to commit a command
	Query           time.Duration // limit of one attempt of a strong read
	Heartbeat       bond.Heartbeat
}

// step returns the limit of one membership change, or one read of the membership. It is not the
// timeout of calls alone: that may be shorter than a round trip, in which case calls fail, but
// the group must still form.
func (t Timing) step() time.Duration { return max(t.ElectionTimeout, t.Forward, t.Query) }

// Group is a member's part in one group: package mosaik's Group adds types to it. Its methods may
// be called concurrently.
//
// One goroutine, the group's, owns the state below the comment that names it. It takes events
// from the inbox and never blocks on a peer: slow work runs in workers, whose results are events
// again. It does block while a replica stops.
type Group struct {
	cfg          Config
	log          *slog.Logger
	inbox        *inbox
	bonds        *bond.GroupBonds
	proposer     *session.Proposer
	status       *watch.Value[Status]
	retryState   *watch.Value[retryState]
	appliedIndex *watch.Value[sm.Index]
	current      atomic.Pointer[localReplica] // the running replica, for calls; nil between two replicas
	serving      atomic.Pointer[localReplica] // the replica whose machine answers reads; see serving.go
	applies      atomic.Pointer[state.State]  // of the latest replica, set before it has started
	slow         slowCalls
	rechecks     rechecks
	ownSession   ownSession
	done         chan struct{}         // closed when the group's goroutine has ended
	endCause     atomic.Pointer[error] // why the part ends, nil while it runs
	workers      sync.WaitGroup        // goroutines that the group's goroutine started

	// The fields below belong to the group's goroutine.

	local        *localReplica // nil without an epoch
	process      ProcessInfo
	hello        Announcement               // what this member announced last
	seekingSince time.Time                  // when the member began to look for an epoch
	peers        map[sm.PeerID]Announcement // of bonded peers
	lastSeen     map[sm.PeerID]time.Time    // when the last bond of an absent peer ended; at most maxAbsent beside members
	successions  map[sm.PeerID]*succession  // of peers in peers or lastSeen
	refused      refusals
	blockers     map[sm.PeerID]blocker // at most maxBlockers
	endedEpochs  map[Epoch]sm.Index    // epochs that are over; commands up to this index are given up. At most maxEndedEpochs
	stalled      bool                  // no leader, and none can be elected; see quorum.go
	removals     []*removal            // requested by operators and not answered
	knownToken   uint64                // the highest fencing token of earlier epochs
	err          error                 // why the goroutine must end, nil while it runs
	timers       timers

	leaving        bool
	leaveProgress  leaveProgress
	leaveResult    *watch.Value[leaveResult]
	removedOnLeave bool // the replica was removed after Leave, so the log may be cleared
}

// Join starts a member's part in a group and returns without waiting for an epoch.
func Join(cfg Config) (*Group, error) {
	g := &Group{
		cfg:          cfg,
		log:          cfg.Logger.With("group", cfg.ID.Short()),
		inbox:        newInbox(),
		status:       watch.New(Status{}),
		retryState:   watch.New(retryState{}),
		appliedIndex: watch.New(sm.Index(0)),
		leaveResult:  watch.New(leaveResult{}),
		done:         make(chan struct{}),
		seekingSince: time.Now(),
		peers:        map[sm.PeerID]Announcement{},
		lastSeen:     map[sm.PeerID]time.Time{},
		endedEpochs:  map[Epoch]sm.Index{},

		successions: map[sm.PeerID]*succession{},
		blockers:    map[sm.PeerID]blocker{},
	}
	cfg.Level = max(1, cfg.Level)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	g.cfg = cfg
	g.timers.inbox = g.inbox
	past, err := readPastReplica(cfg)
	if errors.Is(err, consensus.ErrOutdated) {
		return nil, err
	}
	if err == nil {
		g.cfg.Origin, err = originOf(cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	begin := g.findEpoch
	if past != nil {
		g.process = g.cfg.Origin.resumeIncarnation(past.incarnation)
		begin = func() { g.resume(past) }
	} else {
		g.process = g.cfg.Origin.newIncarnation(Incarnation{})
	}
	g.hello = g.announcement()
	g.proposer = session.New(session.Config{
		Transport:  transport{g},
		IsVoid:     isVoid,
		SetSession: g.setSession,
		Stalled:    g.retryError,
		Leader:     g.retryState.Changed,
		Attempt:    cfg.Timing.Forward,
	})
	bonds, err := cfg.Bonds.Join(bond.GroupConfig{
		ID:        cfg.ID,
		Secrets:   cfg.Secrets,
		Heartbeat: cfg.Timing.Heartbeat,
		Hello:     func() []byte { return g.hello.append(nil) },
		Handler:   bondHandler{g},
		Post:      func(call func()) { g.inbox.post(call) },
	})
	if err != nil {
		g.proposer.Close(ErrClosed)
		return nil, err
	}
	g.bonds = bonds
	g.inbox.post(begin)
	if log, ok := cfg.Log.(logstore.FailureNotifier); ok {
		log.OnFailure(g.storageFailed)
	}
	go g.run()
	return g, nil
}

// run is the group's goroutine.
func (g *Group) run() {
	defer close(g.done)
	for g.err == nil {
		<-g.inbox.wake
		for _, handle := range g.inbox.take() {
			if handle(); g.err != nil {
				break
			}
		}
		if g.err == nil {
			g.publish()
		}
	}
	g.shutDown()
}

// end makes the group's goroutine end with err after the event that it is handling.
func (g *Group) end(err error) {
	if g.err == nil {
		g.err = err
		g.endCause.Store(&err)
	}
}

// storageFailed ends the part because the storage of its log has failed under another group. A
// part without a replica, or with nothing to write, would not notice.
func (g *Group) storageFailed(cause error) {
	g.inbox.postLatest(keyStorageFailed, func() {
		g.end(fmt.Errorf("%w: %w", ErrStorage, cause))
	})
}

// shutDown releases everything. It is the last call of the group's goroutine.
func (g *Group) shutDown() {
	g.inbox.close()
	g.timers.stop()
	g.proposer.Close(g.err)
	g.serving.Store(nil)
	stopped := g.stopLastReplica()
	g.bonds.Leave()
	g.cfg.Admission.Close()
	<-stopped
	g.workers.Wait()
	if g.removedOnLeave {
		if err := g.clearLog(); err != nil {
			g.log.Error("log not cleared after leaving: joining again would resume the old replica", "error", err)
		}
	}
	if err := g.cfg.Log.Close(); err != nil {
		g.log.Error("closing the log failed", "error", err)
	}
	last := g.status.Get()
	last.Online, last.Settled, last.Leader, last.Bonds = false, false, sm.PeerID{}, nil
	last.Ended, last.Stalled, last.Waits = g.err, false, "nothing: the group has ended on this member"
	if outdated := new(consensus.OutdatedError); errors.As(g.err, &outdated) {
		last.Outdated, last.Waits = outdated, "a newer program"
	}
	g.status.Set(last)
	g.status.End(g.err)
	g.retryState.End(g.err)
	g.appliedIndex.End(g.err)
	g.leaveResult.End(g.err)
	g.cfg.History.End(g.err)
}

// Supersede ends the member's part with [ErrSuperseded]. It does not wait.
func (g *Group) Supersede() {
	g.inbox.postLatest(keySupersede, func() { g.end(ErrSuperseded) })
}

// Status returns the member's view of the group, to read and to wait on. It ends with the
// member's part, and with its cause.
func (g *Group) Status() *watch.Value[Status] { return g.status }

// AppliedIndex returns the dense index of the last command applied here. It does not decrease
// within an epoch: while a new replica catches up, it is that of the former one.
func (g *Group) AppliedIndex() *watch.Value[sm.Index] { return g.appliedIndex }

// Bonds returns the live bonds.
func (g *Group) Bonds() []bond.Info { return g.bonds.Bonds() }

// Mismatch describes what connected peers announce in place of this group.
func (g *Group) Mismatch() consensus.Mismatch { return g.bonds.Mismatch() }

// work runs f in a goroutine of its own. The group's goroutine waits for it before it ends.
func (g *Group) work(f func()) {
	g.workers.Add(1)
	go func() {
		defer g.workers.Done()
		f()
	}()
}

// withTimeout returns a context for one step of work on behalf of the replica.
func (l *localReplica) withTimeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(l.ctx, d)
}
