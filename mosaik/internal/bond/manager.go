package bond

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// Manager keeps the connections to all known peers and the bonds on them. Its methods may be
// called concurrently.
type Manager struct {
	cfg      Config
	self     sm.PeerID
	instance instanceID

	reach      reachability
	mismatches mismatchWatcher
	budgets    budgets

	counts counts

	dialsChanged chan struct{} // holds a token when dialPeers must look again

	running sync.WaitGroup // all goroutines; Close waits for them
	done    chan struct{}  // closed when Close begins

	// mu guards the fields below, the scheduler and its targets, and all peers,
	// connections, bonds and memberships.
	mu           sync.Mutex
	closing      bool   // Close was called
	unwatch      func() // ends the watch of the catalog
	scheduler    *dialler.Scheduler
	peers        map[sm.PeerID]*peer
	groups       map[sm.Digest]*GroupBonds         // that are joined
	dials        map[*context.CancelFunc]sm.PeerID // in flight, with the expected peer
	forgotten    map[sm.PeerID]tombstone
	seeds        []*seed       // those of Config.Seeds
	knownPeers   *knownPeers   // nil without Config.SaveKnownPeers
	news         chan struct{} // closed and replaced when an entry changes
	disconnected chan struct{} // closed and replaced when a peer's last connection ends
	held         held
	callbacks    map[callbackToken]*callback // requests that wait for a connection
	last         sequences
}

// counts count the manager's work since its start, for tests and benchmarks.
type counts struct {
	verified               atomic.Int64 // entries whose signature was checked
	frames, entries, bytes atomic.Int64 // of the catalog that were relayed
}

// sequences are the last numbers that the manager gave out. Each begins with 1.
type sequences struct {
	conn  uint64 // a connection's number, for the catalog
	hello uint64 // in HELLO
	sel   uint64 // in SELECT
}

// New returns a manager that does nothing before [Manager.Start]. The caller must call
// [Manager.Close].
func New(cfg Config) *Manager {
	cfg.complete()
	m := &Manager{
		cfg:          cfg,
		reach:        newReachability(),
		self:         cfg.Catalog.Self().Peer,
		done:         make(chan struct{}),
		peers:        map[sm.PeerID]*peer{},
		groups:       map[sm.Digest]*GroupBonds{},
		dials:        map[*context.CancelFunc]sm.PeerID{},
		forgotten:    map[sm.PeerID]tombstone{},
		callbacks:    map[callbackToken]*callback{},
		budgets:      newBudgets(time.Now()),
		news:         make(chan struct{}),
		disconnected: make(chan struct{}),
		mismatches:   newMismatchWatcher(),

		dialsChanged: make(chan struct{}, 1),
	}
	for _, addr := range cfg.Seeds {
		m.seeds = append(m.seeds, m.newSeed(addr, maxSeedPause))
	}
	if cfg.SaveKnownPeers != nil {
		m.knownPeers = newKnownPeers(m, cfg.KnownPeers)
	}
	m.scheduler = m.newScheduler()
	rand.Read(m.instance[:])
	return m
}

// Start registers the protocols of bonds with the link, which must not serve yet, and begins
// to dial. It is called once.
func (m *Manager) Start() {
	m.cfg.Link.Handle(link.Bond, func(_ context.Context, lc *link.Conn) { m.serve(lc) })
	m.cfg.Link.Handle(link.Callback, m.serveCallback)
	unwatch := m.cfg.Catalog.Watch(m.entryChanged)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		unwatch()
		return
	}
	m.unwatch = unwatch
	for _, e := range m.cfg.Catalog.All() {
		m.ensurePeer(e.Peer)
	}
	m.running.Go(m.dialPeers)
	m.running.Go(m.mismatches.run(m))
	for _, s := range m.seeds {
		m.running.Go(s.run)
	}
	if m.knownPeers != nil {
		m.running.Go(m.knownPeers.run)
		m.knownPeers.dialAll()
	}
}

// Close ends all bonds and connections with [consensus.CodeCancelled] and waits until all
// goroutines have ended. It does not wait for handlers, see [GroupBonds.Leave]. Closing again waits
// too. The error is always nil.
func (m *Manager) Close() error {
	m.mu.Lock()
	if !m.closing {
		m.closing = true
		close(m.done)
		m.reach.value.End(ErrClosed)
		if m.unwatch != nil {
			m.unwatch()
		}
		for cancel := range m.dials {
			(*cancel)()
		}
		for _, ms := range m.groups {
			ms.leave()
		}
		for _, p := range m.peers {
			for c := range p.conns {
				c.end(consensus.CodeCancelled, true)
			}
		}
	}
	m.mu.Unlock()
	m.running.Wait()
	return nil
}

// Join begins to bond with every peer whose entry lists the group. The caller lists the group
// in this peer's own entry. A group that is joined already is [ErrJoined].
func (m *Manager) Join(g GroupConfig) (*GroupBonds, error) {
	if err := g.validate(); err != nil {
		return nil, fmt.Errorf("bond: join group %s: %w", g.ID.Short(), err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closing:
		return nil, fmt.Errorf("bond: join group %s: %w", g.ID.Short(), ErrClosed)
	case m.groups[g.ID] != nil:
		return nil, fmt.Errorf("bond: join group %s: %w", g.ID.Short(), ErrJoined)
	}
	ms := newGroupBonds(m, g)
	m.groups[g.ID] = ms
	m.mismatches.signal()
	for _, p := range m.peers {
		entry, ok := m.entry(p.id)
		switch {
		case !ok:
		case p.current != nil:
			p.current.offer(ms, entry)
		case entry.HasGroup(g.ID):
			p.target.Now(time.Now()) // as a stranger it may have paused for long
			p.touch()
		}
	}
	return ms, nil
}

// entryChanged is called by the catalog for each entry that changes.
func (m *Manager) entryChanged(s, _ discovery.Signed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return
	}
	if s.Peer == m.self {
		m.announce(s)
		return
	}
	p, now := m.ensurePeer(s.Peer), time.Now()
	p.alive = now
	m.knownPeers.record(p, s)
	m.mismatches.signal()
	p.target.Renewed(now)
	p.touch()
	if p.current != nil {
		p.current.offerAll(s)
	}
	close(m.news)
	m.news = make(chan struct{})
}

// announce sends this peer's own entry on all connections, which share its bytes.
func (m *Manager) announce(s discovery.Signed) {
	payloads := appendEntries([]discovery.Signed{s})
	for _, p := range m.peers {
		for _, payload := range payloads {
			if p.current != nil {
				p.current.send(kindEntries, payload)
			}
		}
	}
}
