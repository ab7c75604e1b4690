package mosaik

import (
	"cmp"
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
	left    chan struct{} // closed when the group has ended and its place is free
}

// opening holds the place of a group while a join starts it. Starting reads the log
// and runs code of the user's storage, so it must not run under the network's lock.
type opening struct {
	plan
	done chan struct{} // closed when the group has its place, or nothing of it is left

	// changed holds the peers whose tickets changed after the group may have looked at
	// them. Guarded by net.mu.
	changed map[sm.PeerID]bool
}

// join checks the settings of a builder and returns a handle on its group.
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
	return newGroup[C, M](j, spec), nil
}

// hold returns the joined group of the plan with one more handle. It starts the
// group if it has not been joined, and waits while another join starts it or its last
// handle is being left.
func (n *Network) hold(ctx context.Context, p plan, start func() (*group.Group, error)) (*joined, error) {
	for {
		place, err := n.place(p)
		switch {
		case err != nil:
			return nil, err
		case place.joined != nil:
			return place.joined, nil
		case place.opening != nil:
			return n.open(place.opening, start)
		}
		select {
		case <-place.busy:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", place.why, watch.Cause(ctx))
		}
	}
}

// place is what a join finds in the place of its group: the group, its own opening
// if the place was free, or something else to wait for.
type place struct {
	joined  *joined
	opening *opening
	busy    <-chan struct{}
	why     string // the place is busy
}

// place takes a handle on the group of the plan, or its place.
func (n *Network) place(p plan) (place, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.refusal(); err != nil {
		return place{}, err
	}
	if o := n.openings[p.id]; o != nil {
		return place{busy: o.done, why: "an earlier join still opens its log"}, nil
	}
	j := n.groups[p.id]
	switch {
	case j == nil:
		o := &opening{plan: p, done: make(chan struct{}), changed: map[sm.PeerID]bool{}}
		n.openings[p.id] = o
		return place{opening: o}, nil
	case j.handles == 0:
		return place{busy: j.left, why: "it is still being left"}, nil
	}
	if err := j.core.Ended(); err != nil {
		return place{}, fmt.Errorf("it has stopped; leave its handles first: %w", err)
	}
	if difference := j.plan.difference(p); difference != "" {
		return place{}, fmt.Errorf("%w: it is joined already with other settings: %s", ErrPrecondition, difference)
	}
	j.handles++
	return place{joined: j}, nil
}

// refusal returns why the network joins no more groups, nil if it does. The caller
// holds n.mu.
func (n *Network) refusal() error {
	switch {
	case n.closed:
		return fmt.Errorf("the network is closed: %w", ErrClosed)
	case n.superseded:
		return ErrSuperseded
	}
	return nil
}

// open starts the group of an opening and puts it among the network's groups. If the
// network was closed or superseded meanwhile, open ends the group instead.
func (n *Network) open(o *opening, start func() (*group.Group, error)) (*joined, error) {
	core, err := start()
	n.mu.Lock()
	refusal := n.refusal()
	var j *joined
	if core != nil && refusal == nil {
		j = &joined{net: n, plan: o.plan, core: core, handles: 1, left: make(chan struct{})}
		n.groups[o.id] = j
		for peer := range o.changed {
			n.rechecks.Add(1)
			core.Recheck(peer)
		}
	}
	if core == nil || j != nil {
		delete(n.openings, o.id)
		close(o.done)
	}
	n.mu.Unlock()
	switch {
	case j != nil:
		n.advertise()
		return j, nil
	case core == nil:
		return nil, cmp.Or(refusal, err)
	}
	err = core.Close()
	go func() { // ends with the group, which Close waits for
		<-core.Done()
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.openings, o.id)
		close(o.done)
	}()
	return nil, errors.Join(refusal, err)
}

// startGroup opens the group's log and starts the member. It runs code of the user's
// storage and validators, and is never called under net.mu.
func startGroup[C any, S logstore.Storage[C], M sm.StateMachine[C]](p plan, spec sm.Spec[C], newMachine func() M, storage S) (*group.Group, error) {
	n := p.net
	var log logstore.Log
	err, broken := guarded("the storage's Open", func() (err error) {
		log, err = storage.Open(logstore.OpenOptions[C]{Network: n.id, Group: p.id, Dir: n.opts.dir, Codec: spec.Codec, Logger: n.log})
		return err
	})
	if err := cmp.Or(broken, err); err != nil {
		return nil, fmt.Errorf("%w: open its log: %w", ErrStorage, err)
	}
	admission := n.examiner(p.validators)
	core, err := group.Join(group.Config{
		Self:          n.Self(),
		Origin:        n.origin,
		Network:       n.id,
		ID:            p.id,
		Secrets:       p.key.secrets(),
		Timing:        timingOf(p.consensus),
		Policy:        p.policy,
		Schema:        schemaOf(spec),
		Level:         spec.Level(),
		Role:          p.role,
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
	if err := admission.watch(core.RecheckAll); err != nil {
		return nil, errors.Join(err, core.Close())
	}
	return core, nil
}

// schemaOf returns the part of a machine's schema on which members must agree at all
// levels.
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

// isNil reports whether v is nil, or holds a nil pointer, function, map, slice or
// channel.
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

// examiner returns what validates the tickets of a group's peers.
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

// advertise lists the joined groups in this peer's entry. It must not be called with
// n.mu held, because watchers of the catalog take it.
func (n *Network) advertise() { n.updateGroups(func(j *joined) bool { return j.handles > 0 }) }

// updateGroups lists in this peer's entry the groups for which listed returns true. It
// calls listed with n.mu held.
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
		n.log.Error("groups not advertised", "error", err)
	}
}

// release closes one handle. The last one leaves the group, which keeps its place until
// it has ended, because its connections and its log are in use.
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

// forget frees the place of a group that has ended.
func (j *joined) forget() {
	n := j.net
	n.mu.Lock()
	delete(n.groups, j.id)
	n.mu.Unlock()
	close(j.left)
}
