package bond

import (
	"errors"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// peer is another peer, known from its entry or from a connection. A goroutine
// of its own, keep, dials it whenever there is no connection.
type peer struct {
	m  *Manager
	id sm.PeerID

	conns   map[*conn]struct{} // all that have not ended
	current *conn              // the one that was selected, nil for none

	alive   time.Time // its last sign of life
	backoff backoff
	next    time.Time     // not dialled before
	changed chan struct{} // closed and replaced when anything above changes
}

// tombstone remembers the entry of a forgotten peer, so that other peers, which
// forget at other times, do not bring it back.
type tombstone struct {
	version uint64
	until   time.Time
}

// meet returns the peer, which it gets to know if need be.
func (m *Manager) meet(id sm.PeerID) *peer {
	if p := m.peers[id]; p != nil {
		return p
	}
	now := time.Now()
	p := &peer{
		m:       m,
		id:      id,
		conns:   map[*conn]struct{}{},
		alive:   now,
		backoff: backoff{bounds: m.cfg.Redial},
		next:    now,
		changed: make(chan struct{}),
	}
	if !m.decides(id) {
		// Both ends mostly learn of each other at the same time. The end that
		// selects dials first, which saves the other's connection.
		p.next = now.Add(p.backoff.pause())
	}
	m.peers[id] = p
	m.running.Go(p.keep)
	return p
}

// keep dials the peer until it is forgotten or the manager closes.
func (p *peer) keep() {
	var failures failureLog
	for {
		p.m.mu.Lock()
		closing, changed, now := p.m.closing, p.changed, time.Now()
		connected := len(p.conns) > 0
		wait, forget := p.next.Sub(now), p.alive.Add(p.m.cfg.ForgetAfter).Sub(now)
		entry, _ := p.m.cfg.Catalog.Get(p.id)
		dropped := p.m.peers[p.id] != p
		if !connected && forget <= 0 && !closing && !dropped {
			p.bury(entry.Version)
		}
		p.m.mu.Unlock()

		switch {
		case closing || dropped:
			return
		case connected:
			select {
			case <-changed:
			case <-p.m.done:
			}
		case forget <= 0:
			p.m.cfg.Catalog.Forget(p.id)
			p.m.cfg.Logger.Info("forgot a peer that cannot be reached", "peer", p.id.Short())
			return
		case len(entry.Addrs) == 0:
			p.m.pause(forget, changed)
		case wait > 0:
			p.m.pause(min(wait, forget), changed)
		default:
			failures.report(p.m.cfg.Logger, p.dial(entry.Addrs), "peer", p.id.Short())
		}
	}
}

// dial tries the addresses in turn and serves the first connection until its
// end. Its error is nil also when the attempt became pointless.
func (p *peer) dial(addrs []string) error {
	var errs []error
	for _, addr := range addrs {
		lc, err := p.m.dial(addr, p.id)
		if err == nil {
			p.m.serve(lc)
			return nil
		}
		errs = append(errs, err)
		if p.pointless() {
			return nil
		}
	}
	p.m.mu.Lock()
	p.next = time.Now().Add(p.backoff.pause())
	p.m.mu.Unlock()
	return errors.Join(errs...)
}

// pointless reports whether there is nothing to dial for any more.
func (p *peer) pointless() bool {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	return p.m.closing || len(p.conns) > 0
}

// hurry lets a peer of which there is news be dialled soon.
func (p *peer) hurry() {
	if soon := time.Now().Add(p.m.cfg.Redial.Min); p.next.After(soon) {
		p.next = soon
	}
	p.touch()
}

// idle takes into account that the last connection has ended. Of a peer without
// an entry nothing is kept: anybody can make up any number of them.
func (p *peer) idle(now time.Time) {
	p.next = now.Add(p.backoff.pause())
	if _, known := p.m.cfg.Catalog.Get(p.id); !known {
		delete(p.m.peers, p.id)
	}
}

// touch wakes whoever waits for a change of the peer.
func (p *peer) touch() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// bury drops the peer and leaves a tombstone.
func (p *peer) bury(version uint64) {
	delete(p.m.peers, p.id)
	now := time.Now()
	for id, t := range p.m.forgotten {
		if t.until.Before(now) {
			delete(p.m.forgotten, id)
		}
	}
	p.m.forgotten[p.id] = tombstone{version, now.Add(p.m.cfg.ForgetAfter)}
}
