package bond

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/sm"
)

// peer is another peer, known from its entry or from a connection. It is dialled whenever
// there is no connection. The manager's mutex guards it.
type peer struct {
	m  *Manager
	id sm.PeerID

	conns   map[*conn]struct{} // all that have not ended
	current *conn              // the one that was selected, nil for none

	alive      time.Time     // its last sign of life, not updated while it is connected
	lastFrame  time.Time     // when the last frame arrived on a connection that has ended
	member     bool          // a bond with it was up: it holds a group's key
	changed    chan struct{} // closed and replaced when anything above changes
	dialStatus dialStatus    // of connections for other protocols (connect.go)

	target   *dialler.Target // its dials; never nil
	answered string          // the IP address and port at which it answered last
}

// ensurePeer returns the peer, which it makes if it is not known.
func (m *Manager) ensurePeer(id sm.PeerID) *peer {
	if p := m.peers[id]; p != nil {
		return p
	}
	now := time.Now()
	p := &peer{
		m:       m,
		id:      id,
		conns:   map[*conn]struct{}{},
		alive:   now,
		changed: make(chan struct{}),
	}
	p.target = m.scheduler.NewTarget(p, now)
	m.peers[id] = p
	p.touch()
	return p
}

// idle handles the end of the last connection. A peer without an entry is dropped: any process
// can invent any number of such peers.
func (p *peer) idle(now time.Time) {
	p.target.Pause(now)
	if _, known := p.m.cfg.Catalog.Get(p.id); !known {
		delete(p.m.peers, p.id)
	}
}

// touch tells the scheduler, and goroutines that wait for changed, that the peer has changed.
func (p *peer) touch() {
	close(p.changed)
	p.changed = make(chan struct{})
	p.m.scheduler.Place(p.target, time.Now())
	p.m.wakeDialler()
}

// The methods below implement [dialler.Peer].

// ID implements [dialler.Peer].
func (p *peer) ID() sm.PeerID { return p.id }

// Addrs implements [dialler.Peer].
func (p *peer) Addrs() []string {
	entry, _ := p.m.entry(p.id)
	return entry.Addrs
}

// SharesGroup implements [dialler.Peer].
func (p *peer) SharesGroup() bool {
	entry, _ := p.m.entry(p.id)
	for group := range p.m.groups {
		if entry.HasGroup(group) {
			return true
		}
	}
	return false
}

// IsMember implements [dialler.Peer].
func (p *peer) IsMember() bool { return p.member }

// Connected implements [dialler.Peer].
func (p *peer) Connected() bool { return len(p.conns) > 0 }

// LastSeen implements [dialler.Peer].
func (p *peer) LastSeen() time.Time { return p.alive }

// Selects implements [dialler.Peer].
func (p *peer) Selects() bool { return !p.m.decides(p.id) }

// Gone implements [dialler.Peer].
func (p *peer) Gone() bool { return p.m.closing || p.m.peers[p.id] != p }
