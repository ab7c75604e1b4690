package transport

import (
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// Trouble is a failure of connections to a peer that has not ended.
type Trouble struct {
	Err      error     // why the last connection could not be opened, or was replaced
	Failures int       // how many connections failed in a row
	Since    time.Time // when the first of them failed
	last     time.Time // when the last of them failed
}

// snapshotTrouble is how long a failed snapshot counts: the replica may catch up without
// another one.
const snapshotTrouble = time.Minute

// Troubles returns the troubles with the peers that were admitted for the shard. Trouble with
// Raft messages hides trouble with snapshots.
func (t *Transport) Troubles(shard uint64) map[sm.PeerID]Trouble {
	return t.peers.troubles(shard, time.Now())
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

// failed notes a connection to the peer that could not be opened or was replaced.
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

// recovered notes that the protocol works again.
func (p *peers) recovered(id sm.PeerID, protocol link.Protocol) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.known[id]; known != nil {
		delete(known.troubles, protocol)
	}
}
