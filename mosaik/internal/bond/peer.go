package bond

import (
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// peer is another peer, known from its entry or from a connection. The dialler
// dials it whenever there is no connection.
type peer struct {
	m  *Manager
	id sm.PeerID

	conns   map[*conn]struct{} // all that have not ended
	current *conn              // the one that was selected, nil for none

	alive   time.Time     // its last sign of life
	heard   time.Time     // when the last frame came on a connection that has ended
	member  bool          // a bond with it was up: it holds a group's key
	changed chan struct{} // closed and replaced when anything above changes
	reverse reverse       // how connections to it come about (connect.go)

	dialling
}

// meet returns the peer, which it gets to know if need be.
func (m *Manager) meet(id sm.PeerID) *peer {
	if p := m.peers[id]; p != nil {
		return p
	}
	now := time.Now()
	p := &peer{
		m:        m,
		id:       id,
		conns:    map[*conn]struct{}{},
		alive:    now,
		changed:  make(chan struct{}),
		dialling: dialling{met: now, next: now, backoff: backoff{bounds: m.cfg.Redial}},
	}
	if !m.decides(id) {
		// Both ends mostly learn of each other at the same time. The end that
		// selects dials first, which saves the other's connection.
		p.next = now.Add(p.backoff.pause())
	}
	m.peers[id] = p
	p.touch()
	return p
}

// idle takes into account that the last connection has ended. Of a peer without
// an entry nothing is kept: anybody can make up any number of them.
func (p *peer) idle(now time.Time) {
	p.next = now.Add(p.pause())
	if _, known := p.m.cfg.Catalog.Get(p.id); !known {
		delete(p.m.peers, p.id)
	}
}

// touch tells all that depend on the peer that it has changed.
func (p *peer) touch() {
	close(p.changed)
	p.changed = make(chan struct{})
	p.m.dialler.place(p, time.Now())
	p.m.dialler.signal()
}
