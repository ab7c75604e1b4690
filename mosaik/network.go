package mosaik

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/mosaik/ticket"
	"github.com/mosaik-go/mosaik/sm"
)

// Network is this process as a peer of a network. Create one with [Open]. A process
// may have several. The methods may be called from any goroutine.
type Network struct {
	id        sm.Digest
	opts      options
	log       *slog.Logger
	dir       *logstore.Dir     // nil without a directory
	origin    *group.Origin     // makes the incarnations of this process
	link      *link.Link        // the listener and all connections
	catalog   discovery.Catalog // the peers that are known, and this one
	unwatch   func()            // ends the watch on the catalog
	bonds     *bond.Manager     // the authenticated connections of the groups
	engine    *engine.Engine    // Raft
	telemetry *telemetry
	rechecks  atomic.Int64 // how often groups validated a peer's tickets again

	// ticketsMu is held while the own entry changes with the tickets. It is never
	// taken under mu.
	ticketsMu sync.Mutex
	tickets   []ticket.Ticket

	// mu guards what follows. It is held for moments only: never while a group starts
	// or ends, and never across I/O or code of the user. Watchers of the catalog take
	// it, so nothing that changes the catalog may be called under it.
	mu         sync.Mutex
	groups     map[sm.Digest]*joined
	openings   map[sm.Digest]*opening // of groups that are not in groups yet
	superseded bool                   // by another process with this identity
	closed     bool
	ending     sync.WaitGroup // what supersede started
	done       chan struct{}  // closed when Close has finished
	err        error          // what Close returns
}

// Open makes the process a peer of the network with the given id ([NetworkID]). Peers of
// different networks refuse each other's connections. Open listens on one TCP port, connects to
// the seeds, and learns of the other peers from them. It returns as soon as it listens;
// [Network.Connected] waits for the first peer. The context bounds the call only. Close the
// network when done.
//
// An error names the option that is wrong, or the address on which the process cannot
// listen.
func Open(ctx context.Context, id sm.Digest, opts ...Option) (*Network, error) {
	n, err := open(ctx, id, opts)
	if err != nil {
		return nil, fmt.Errorf("mosaik: open network %s: %w", id.Short(), err)
	}
	return n, nil
}

func open(ctx context.Context, id sm.Digest, opts []Option) (_ *Network, err error) {
	if err := watch.Cause(ctx); err != nil {
		return nil, err
	}
	if id.IsZero() {
		return nil, errors.New("the network id is zero; make one with NetworkID")
	}
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	n := &Network{id: id, opts: o, log: o.logger, groups: map[sm.Digest]*joined{}, openings: map[sm.Digest]*opening{}, done: make(chan struct{})}
	key, err := n.ownKey()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.closeDir())
		}
	}()
	identity, err := link.NewIdentity(key)
	if err != nil {
		return nil, err
	}
	n.log = slog.New(limitRate(o.logger.Handler())).With("network", id.Short(), "self", identity.Peer().Short())
	n.link, err = link.Listen(link.Config{
		Identity: identity, Network: id, Listen: o.listen, Listener: o.listener, Dial: o.dial, Logger: n.log,
		Limits: o.limits,
		Admit:  func(peer sm.PeerID, p link.Protocol) consensus.CloseCode { return n.bonds.Admit(peer, p) },
	})
	if err != nil {
		return nil, err
	}
	if n.telemetry, err = newTelemetry(n, identity.Peer()); err != nil {
		return nil, errors.Join(err, n.link.Close())
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.link.Close(), n.telemetry.close())
		}
	}()
	addrs, omitted, err := advertised(o.advertise, n.link.Addr(), net.InterfaceAddrs)
	if err != nil {
		return nil, err
	}
	if len(omitted) > 0 {
		n.log.Warn("too many addresses to advertise all: name the right ones with WithAdvertise",
			"limit", maxAddrs, "advertised", addrs, "omitted_addrs", omitted)
	}
	n.catalog, err = discovery.NewCatalog(identity, discovery.Entry{
		Peer: identity.Peer(), Network: id, Addrs: addrs, Tags: o.tags,
	}, o.clock)
	if err != nil {
		return nil, err
	}
	n.bonds = bond.New(n.bondConfig())
	n.engine, err = engine.Open(engine.Config{
		Self: identity.Peer(), Tick: o.tick, Logger: n.log, Network: n.bonds,
	})
	if err != nil {
		return nil, err
	}
	n.unwatch = n.catalog.Watch(n.recheck)
	n.link.Handle(link.Raft, n.engine.ServeRaft)
	n.link.Handle(link.Snapshot, n.engine.ServeSnapshot)
	n.bonds.Start()
	n.link.Serve()
	n.log.Info("network open", "addrs", addrs)
	return n, nil
}

// ownKey returns the private key of the process and sets the origin of its
// incarnations. It opens the network's directory if there is one.
func (n *Network) ownKey() (ed25519.PrivateKey, error) {
	if n.opts.dir != "" {
		dir, err := logstore.OpenDir(n.opts.dir, n.id, n.opts.identity)
		if err != nil {
			return nil, err
		}
		n.dir, n.origin = dir, group.NewOrigin(dir.Starts(), dir.ID(), n.opts.clock())
		return dir.Identity(), nil
	}
	n.origin = group.NewOrigin(0, group.Directory{}, n.opts.clock())
	if n.opts.identity != nil {
		return n.opts.identity, nil
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("generate an identity: %w", err)
	}
	return key, nil
}

// closeDir closes the network's directory, if it has one.
func (n *Network) closeDir() error {
	if n.dir == nil {
		return nil
	}
	return n.dir.Close()
}

// ID returns the network's id.
func (n *Network) ID() sm.Digest { return n.id }

// Self returns this process's peer id.
func (n *Network) Self() sm.PeerID { return n.catalog.Self().Peer }

// Addr returns the address on which the process listens.
func (n *Network) Addr() net.Addr { return n.link.Addr() }

// Groups returns what joins groups of the network.
func (n *Network) Groups() *Groups { return &Groups{n} }

// Connected waits until this process is connected to a peer. If the context ends
// first, the error names every seed and why it could not be reached. On a closed
// network the error is [ErrClosed].
func (n *Network) Connected(ctx context.Context) error {
	n.mu.Lock()
	closed := n.closed
	n.mu.Unlock()
	err := n.bonds.Connected(ctx)
	switch {
	case closed, errors.Is(err, bond.ErrClosed):
		return fmt.Errorf("mosaik: connect to network %s: %w", n.id.Short(), ErrClosed)
	case err != nil:
		return fmt.Errorf("mosaik: connect to network %s: %w", n.id.Short(), err)
	}
	return nil
}

// Peer is what another process announces about itself. The process has signed it.
type Peer struct {
	ID     sm.PeerID
	Addrs  []string    // see [WithAdvertise]
	Groups []sm.Digest // the groups that it has joined
	Tags   []string    // see [WithTags]
}

// Peers returns the known peers without this one, in the order of their ids. The
// slices in them are shared and must not be changed.
func (n *Network) Peers() []Peer {
	entries := n.catalog.All()
	peers := make([]Peer, len(entries))
	for i, e := range entries {
		peers[i] = Peer{ID: e.Peer, Addrs: e.Addrs, Groups: e.Groups, Tags: e.Tags}
	}
	return peers
}

// Close leaves every group and then ends the network. Leaving takes no longer than the
// leave timeout ([WithLeaveTimeout]). A group whose log is on disk is not left: a leader
// transfers its leadership, and the member resumes its place when it joins again. Until
// then the group counts it as away. To give the place up, call [Group.Leave] first.
//
// Every call that waits on the network returns [ErrClosed]. Close waits until none of
// the network's goroutines runs. If an Apply or a query of a machine, or a disk, does
// not return, Close ends all else, waits for some seconds, and returns [ErrNotStopped]
// with the names of the groups. The rest, including the directory's lock, is released
// when that call returns.
//
// A second call waits for the first one and returns the same. The Apply of a machine
// cannot close the network of its group: Close then returns [ErrInvalid] and closes
// nothing.
func (n *Network) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		<-n.done
		return n.err
	}
	groups := slices.Collect(maps.Values(n.groups))
	for _, j := range groups {
		if err := j.core.CheckCaller(); err != nil {
			n.mu.Unlock()
			return fmt.Errorf("mosaik: close network %s: %w", n.id.Short(), err)
		}
	}
	n.closed = true
	openings := slices.Collect(maps.Values(n.openings))
	n.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), n.opts.leaveTimeout)
	defer cancel()
	var leaving sync.WaitGroup
	for _, j := range groups {
		leaving.Go(func() { n.endGroup(ctx, j) })
	}
	leaving.Wait()
	n.advertiseDeparture()
	n.unwatch()
	n.err = n.tearDown(groups, openings)
	close(n.done)
	return n.err
}

// supersede ends every group, because another process has this one's identity and
// takes precedence. It ends the connections as well, since both processes would
// otherwise keep taking each other's place. It does not wait.
func (n *Network) supersede() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.superseded {
		return
	}
	n.superseded = true
	for _, j := range n.groups {
		j.core.Supersede()
	}
	n.ending.Go(func() { _ = n.bonds.Close() }) // Close of the network returns its error
}

// endGroup ends this member when the network closes. A member whose log outlives the
// process only transfers its leadership. A leave that the others do not confirm is no
// error here: they may be gone as well.
func (n *Network) endGroup(ctx context.Context, j *joined) {
	switch {
	case n.opts.leaveTimeout == 0:
		n.closeGroup(j)
		return
	case j.core.Durable():
		if err := j.core.HandOverLeadership(ctx); err != nil {
			n.log.Info("leadership not transferred", "group", j.id.Short(), "error", err)
		}
		n.closeGroup(j)
		return
	}
	if err := j.core.Leave(ctx); err != nil {
		n.log.Warn("leave not confirmed", "group", j.id.Short(), "error", err)
	}
}
