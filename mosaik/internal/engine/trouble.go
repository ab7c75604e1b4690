package engine

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// Trouble is what goes wrong when this engine sends to a peer.
type Trouble struct {
	Err      error     // why a connection could not be opened, or did not work, last
	Failures int       // how often that happened in a row
	Since    time.Time // when it happened first
	last     time.Time
}

// snapshotTrouble is how long a snapshot that failed counts: the replica may catch up
// without another.
const snapshotTrouble = time.Minute

// Troubles returns what goes wrong with the peers that were admitted for the shard, by
// peer. Raft messages come before snapshots.
func (e *Engine) Troubles(shard uint64) map[sm.PeerID]Trouble {
	return e.peers.troubles(shard, time.Now())
}

func (p *peers) troubles(shard uint64, now time.Time) map[sm.PeerID]Trouble {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var all map[sm.PeerID]Trouble
	for id, known := range p.known {
		if _, ok := known.admitted[shard]; !ok {
			continue
		}
		t, ok := known.troubles[link.Raft]
		if !ok {
			t, ok = known.troubles[link.Snapshot]
			ok = ok && now.Sub(t.last) < snapshotTrouble
		}
		if !ok {
			continue
		}
		if all == nil {
			all = map[sm.PeerID]Trouble{}
		}
		all[id] = t
	}
	return all
}

// failed notes a connection to the peer that could not be opened or did not work.
func (p *peers) failed(id sm.PeerID, protocol link.Protocol, err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.known[id]
	if known == nil {
		return
	}
	if known.troubles == nil {
		known.troubles = map[link.Protocol]Trouble{}
	}
	t := known.troubles[protocol]
	if t.Failures == 0 {
		t.Since = now
	}
	t.Failures++
	t.Err, t.last = err, now
	known.troubles[protocol] = t
}

// recovered notes that what the protocol is for works again.
func (p *peers) recovered(id sm.PeerID, protocol link.Protocol) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.known[id]; known != nil {
		delete(known.troubles, protocol)
	}
}
