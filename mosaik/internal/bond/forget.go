package bond

import (
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// tombstone remembers the entry of a forgotten peer, so that other peers, which
// forget at other times, do not bring it back.
type tombstone struct {
	version uint64
	until   time.Time
}

// lost reports whether the peer must be forgotten: it has no connection and has
// given no sign of life for too long.
func (p *peer) lost(now time.Time) bool {
	return len(p.conns) == 0 && p.flying == 0 && p.m.peers[p.id] == p && !p.alive.Add(p.m.cfg.ForgetAfter).After(now)
}

// bury drops peers and leaves tombstones. It returns what must be done about
// them without the mutex.
func (m *Manager) bury(gone []*peer, now time.Time) (chores []func()) {
	if len(gone) == 0 {
		return nil
	}
	for id, t := range m.forgotten {
		if t.until.Before(now) {
			delete(m.forgotten, id)
		}
	}
	for _, p := range gone {
		entry, _ := m.entry(p.id)
		m.forgotten[p.id] = tombstone{entry.Version, now.Add(m.cfg.ForgetAfter)}
		delete(m.peers, p.id)
		chores = append(chores, func() { m.forget(p.id) })
	}
	return chores
}

// forget drops the entry of a buried peer.
func (m *Manager) forget(id sm.PeerID) {
	m.cfg.Catalog.Forget(id)
	m.cfg.Logger.Info("forgot a peer that cannot be reached", "peer", id.Short())
}
