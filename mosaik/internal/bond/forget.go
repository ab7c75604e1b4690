package bond

import (
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// tombstone records the entry of a forgotten peer. Other peers forget it at other times, and
// must not bring it back meanwhile.
type tombstone struct {
	version uint64
	until   time.Time
}

// forgetLost drops peers and leaves tombstones. It returns what must be done without the mutex.
func (m *Manager) forgetLost(gone []sm.PeerID, now time.Time) (chores []func()) {
	for _, id := range gone {
		m.leaveTombstone(m.peers[id], now)
		m.knownPeers.dial(id) // it may come back
		chores = append(chores, func() { m.forget(id, "forgot a peer that cannot be reached") })
	}
	return chores
}

// forgetDeparted forgets a peer that has sent GOODBYE and is in no group: it has left for good.
// A peer that only restarts still lists its groups. While another process with the same
// identity is connected, the peer has not left.
func (m *Manager) forgetDeparted(p *peer, now time.Time) (chores []func()) {
	entry, known := m.entry(p.id)
	if m.closing || m.peers[p.id] != p || len(p.conns) > 0 || !known || len(entry.Groups) > 0 {
		return nil
	}
	m.scheduler.Remove(p.target)
	m.leaveTombstone(p, now)
	m.cancelDials(p.id)
	m.knownPeers.drop(p.id)
	return []func(){func() { m.forget(p.id, "forgot a peer that left") }}
}

// leaveTombstone drops a peer and records its tombstone.
func (m *Manager) leaveTombstone(p *peer, now time.Time) {
	for id, t := range m.forgotten {
		if t.until.Before(now) {
			delete(m.forgotten, id)
		}
	}
	entry, _ := m.entry(p.id)
	m.forgotten[p.id] = tombstone{entry.Version, now.Add(m.cfg.ForgetAfter)}
	delete(m.peers, p.id)
}

// forget drops the entry of a peer from the catalog, unless the peer has come back. It is
// called without the mutex.
func (m *Manager) forget(id sm.PeerID, why string) {
	m.mu.Lock()
	back := m.peers[id] != nil
	m.mu.Unlock()
	if back {
		return
	}
	m.cfg.Catalog.Forget(id)
	m.cfg.Logger.Info(why, "peer", id.Short())
}
