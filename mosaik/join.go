package mosaik

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

// joined is a group that this network takes part in, shared by its handles.
type joined struct {
	plan
	net     *Network
	core    *group.Group
	handles int           // guarded by net.mu; 0 while the group is being left
	left    chan struct{} // closed when it was left
}

func join[C any, S logstore.Storage[C], M sm.StateMachine[C]](ctx context.Context, s settings, newMachine func() M, storage S) (_ *Group[C, M], err error) {
	if err := watch.Cause(ctx); err != nil {
		return nil, fmt.Errorf("mosaik: join group: %w", err)
	}
	spec, p, err := newPlan(s, newMachine, storage)
	if err != nil {
		return nil, fmt.Errorf("mosaik: join group: %w", err)
	}
	_, span := s.net.telemetry.start(ctx, "mosaik.join", p.id)
	defer func() { endSpan(span, err) }()
	j, err := s.net.hold(ctx, p, func() (*group.Group, error) { return startGroup(p, spec, newMachine, storage) })
	if err != nil {
		return nil, fmt.Errorf("mosaik: join group %s: %w", p.id.Short(), err)
	}
	return newHandle[C, M](j, spec), nil
}

// hold returns the joined group of the plan with a handle more, starting it if
// it is not joined yet. One that is being left is waited for.
func (n *Network) hold(ctx context.Context, p plan, start func() (*group.Group, error)) (*joined, error) {
	n.mu.Lock()
	j := n.groups[p.id]
	switch {
	case n.closed:
		n.mu.Unlock()
		return nil, fmt.Errorf("the network is closed: %w", ErrClosed)
	case n.superseded:
		n.mu.Unlock()
		return nil, ErrSuperseded
	case j != nil && j.handles == 0:
		n.mu.Unlock()
		select {
		case <-j.left:
			return n.hold(ctx, p, start)
		case <-ctx.Done():
			return nil, fmt.Errorf("it is still being left: %w", watch.Cause(ctx))
		}
	case j != nil:
		defer n.mu.Unlock()
		if err := j.core.Ended(); err != nil {
			return nil, fmt.Errorf("it has stopped; leave its handles first: %w", err)
		}
		if difference := j.plan.difference(p); difference != "" {
			return nil, fmt.Errorf("%w: %s", ErrJoinedDifferently, difference)
		}
		j.handles++
		return j, nil
	}
	core, err := start()
	if err != nil {
		n.mu.Unlock()
		return nil, err
	}
	j = &joined{net: n, plan: p, core: core, handles: 1, left: make(chan struct{})}
	n.groups[p.id] = j
	n.mu.Unlock()
	n.advertise()
	return j, nil
}

// startGroup opens the group's log and starts this member's part.
func startGroup[C any, S logstore.Storage[C], M sm.StateMachine[C]](p plan, spec sm.Spec[C], newMachine func() M, storage S) (*group.Group, error) {
	n := p.net
	log, err := storage.Open(logstore.Opening[C]{Network: n.id, Group: p.id, Dir: n.opts.dir, Codec: spec.Codec, Logger: n.log})
	if err != nil {
		return nil, fmt.Errorf("%w: open its log: %w", ErrStorage, err)
	}
	admission := n.examiner(p.validators)
	core, err := group.Join(group.Config{
		Self:    n.Self(),
		Origin:  n.origin,
		Network: n.id,
		ID:      p.id,
		Secrets: p.key.secrets(),
		Timing:  p.consensus.timing(),
		Policy: group.Policy{
			Expected: p.policy.Expected, Minimum: p.policy.MinimumVoters,
			Maximum: p.policy.MaximumVoters, Grace: p.policy.Grace,
			RemoveAfter: p.policy.RemoveAfter, ContinueAlone: p.policy.ContinueAlone,
		},
		Schema:        schemaOf(spec),
		Level:         spec.Level(),
		Role:          group.Role{Observer: p.role.Observer, Factor: p.role.factor()},
		NewMachine:    func() (state.Machine, error) { return erase(newMachine, spec) },
		Commandless:   reflect.TypeFor[C]() == reflect.TypeFor[struct{}](),
		History:       p.history.open(),
		Log:           log,
		Engine:        n.engine,
		Bonds:         n.bonds,
		Admission:     admission,
		Superseded:    n.supersede,
		TokenFloor:    p.tokenFloor,
		Clock:         n.opts.clock,
		SnapshotEvery: uint64(p.snapshots.entries),
		SnapshotBytes: uint64(p.snapshots.bytes),
		Logger:        n.log,
	})
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	admission.watch(core.RecheckAll)
	return core, nil
}

// schemaOf returns what members must agree on of the levels of a machine's schema.
func schemaOf[C any](spec sm.Spec[C]) group.Schema {
	newest := spec.Signature
	if n := len(spec.Levels); n > 0 {
		newest = spec.Levels[n-1]
	}
	return group.Schema(newest[:len(group.Schema{})])
}

func snapshotVersion(s sm.Snapshotter) (uint64, error) {
	if v, ok := s.(sm.SnapshotVersioner); ok {
		return guarded("the machine's SnapshotVersion", v.SnapshotVersion)
	}
	return 1, nil
}

// isNil reports whether v is nil, or a nil pointer, function or the like.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return r.IsNil()
	}
	return false
}

// examiner returns what decides whether a peer's tickets let it into a group.
func (n *Network) examiner(validators []ticket.Validator) *examiner {
	return &examiner{
		validators: validators,
		tickets: func(peer sm.PeerID) ([]ticket.Ticket, bool) {
			entry, known := n.bonds.Entry(peer)
			return ticketsOf(entry), known
		},
		log:   n.log,
		exams: map[sm.PeerID]*exam{},
	}
}

// advertise lets this peer's entry list the groups that it has joined. It must
// not be called with n.mu held: whoever watches the catalog may take it.
func (n *Network) advertise() { n.updateGroups(func(j *joined) bool { return j.handles > 0 }) }

// updateGroups lets this peer's entry list the groups that listed accepts, which is
// called with n.mu held.
func (n *Network) updateGroups(listed func(*joined) bool) {
	if _, err := n.catalog.Update(func(e *discovery.Entry) {
		n.mu.Lock()
		defer n.mu.Unlock()
		e.Groups = e.Groups[:0]
		for id, j := range n.groups {
			if listed(j) {
				e.Groups = append(e.Groups, id)
			}
		}
	}); err != nil {
		n.log.Error("advertising the groups failed", "error", err)
	}
}

// release gives one handle back and leaves the group with the last. Until all of
// it has ended it keeps its place, since its bonds and its log are in use.
func (j *joined) release(ctx context.Context) error {
	n := j.net
	n.mu.Lock()
	j.handles--
	last := j.handles == 0
	n.mu.Unlock()
	if !last {
		return nil
	}
	n.advertise()
	err := j.core.Leave(ctx)
	if errors.Is(err, ErrNotStopped) {
		go func() { // ends with the group, which Network.Close waits for
			<-j.core.Done()
			j.forget()
		}()
		return err
	}
	j.forget()
	return err
}

// forget gives up the place of a group that has ended.
func (j *joined) forget() {
	n := j.net
	n.mu.Lock()
	delete(n.groups, j.id)
	n.mu.Unlock()
	close(j.left)
}
