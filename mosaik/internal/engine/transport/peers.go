package transport

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// The pause after a failed dial doubles from the first to the last.
const (
	minPause = 50 * time.Millisecond
	maxPause = time.Second
)

// replicaKey names a replica of a shard.
type replicaKey struct{ shard, replica uint64 }

// peers holds which replicas peers speak for, and how recent connections to them went. Its
// methods may be called concurrently.
type peers struct {
	mu sync.RWMutex
	// owners holds the peer of each replica, for good: dragonboat never forgets the target
	// of a replica and panics when it changes.
	owners map[replicaKey]sm.PeerID
	known  map[sm.PeerID]*peer
	// admission is closed and replaced when a peer is admitted.
	admission chan struct{}
}

// peer is one other process. The mutex of peers guards it.
type peer struct {
	admitted map[uint64]uint64 // shard → replica
	fails    int               // failed dials in a row
	retry    time.Time         // it is not dialled before
	conns    map[*outgoing]struct{}

	acknowledges bool // it has acknowledged data
	unanswered   bool // a connection was replaced because it acknowledged nothing
	troubles     map[link.Protocol]Trouble
}

func newPeers() *peers {
	return &peers{owners: map[replicaKey]sm.PeerID{}, known: map[sm.PeerID]*peer{}, admission: make(chan struct{})}
}

// get returns the record of a peer, and makes one if there is none. Called with p.mu.
func (p *peers) get(id sm.PeerID) *peer {
	known := p.known[id]
	if known == nil {
		known = &peer{admitted: map[uint64]uint64{}, conns: map[*outgoing]struct{}{}}
		p.known[id] = known
	}
	return known
}

// Admit makes the raft traffic of the peer for the shard count from now on, if it comes from that
// replica or goes to it. It ends the admission of an earlier replica of the peer. It returns
// false if the replica belongs to another peer.
func (t *Transport) Admit(shard uint64, peer sm.PeerID, replica uint64) bool {
	return t.peers.admit(shard, replica, peer)
}

// Expel ends an admission: no message that the peer sends for the shard counts, and none is sent
// to it.
func (t *Transport) Expel(shard uint64, peer sm.PeerID) { t.peers.expel(shard, peer) }

// Bind makes a replica one of the peer, for good. It returns false if the replica belongs to
// another peer.
func (t *Transport) Bind(shard, replica uint64, peer sm.PeerID) bool {
	return t.peers.bind(shard, replica, peer)
}

// BelongsToOther reports whether the replica is known to belong to another peer.
func (t *Transport) BelongsToOther(shard, replica uint64, peer sm.PeerID) bool {
	return t.peers.foreign(peer, shard, replica)
}

// admit lets the peer speak for the replica. It returns false if the replica belongs to another
// peer. A new replica of the same peer means a new process: connections to the old one are
// closed.
func (p *peers) admit(shard, replica uint64, id sm.PeerID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := replicaKey{shard, replica}
	if owner, ok := p.owners[key]; ok && owner != id {
		return false
	}
	p.owners[key] = id
	known := p.get(id)
	if old, ok := known.admitted[shard]; ok && old != replica {
		known.hangUp()
		known.acknowledges, known.unanswered = false, false // it may be another release
	}
	known.admitted[shard] = replica
	known.fails, known.retry = 0, time.Time{}
	close(p.admission)
	p.admission = make(chan struct{})
	return true
}

// bind makes the replica one of the peer. It returns false if it belongs to another peer.
func (p *peers) bind(shard, replica uint64, id sm.PeerID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := replicaKey{shard, replica}
	if owner, ok := p.owners[key]; ok {
		return owner == id
	}
	p.owners[key] = id
	return true
}

// expel ends an admission.
func (p *peers) expel(shard uint64, id sm.PeerID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.known[id]
	if known == nil {
		return
	}
	delete(known.admitted, shard)
	if len(known.admitted) > 0 {
		return
	}
	known.hangUp()
	if len(known.conns) == 0 {
		delete(p.known, id)
	}
}

// speaksFor reports whether the peer was admitted for the replica.
func (p *peers) speaksFor(id sm.PeerID, shard, replica uint64) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	known := p.known[id]
	if known == nil {
		return false
	}
	admitted, ok := known.admitted[shard]
	return ok && admitted == replica
}

// speaks reports whether the peer was admitted for any replica. The channel is closed when
// another admission may have changed that.
func (p *peers) speaks(id sm.PeerID) (ok bool, changed <-chan struct{}) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	known := p.known[id]
	return known != nil && len(known.admitted) > 0, p.admission
}

// foreign reports whether the replica is known to belong to another peer.
func (p *peers) foreign(id sm.PeerID, shard, replica uint64) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	owner, ok := p.owners[replicaKey{shard, replica}]
	return ok && owner != id
}

// reached notes that a connection to or from the peer was opened.
func (p *peers) reached(id sm.PeerID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.known[id]; known != nil {
		known.fails, known.retry = 0, time.Time{}
	}
}

// missed notes a failed dial.
func (p *peers) missed(id sm.PeerID, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.known[id]; known != nil {
		known.retry = now.Add(min(maxPause, minPause<<min(known.fails, 10)))
		known.fails++
	}
}

// acknowledged notes that the peer acknowledges data.
func (p *peers) acknowledged(id sm.PeerID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.known[id]; known != nil {
		known.acknowledges = true
	}
}

// acknowledges reports whether the peer has acknowledged data.
func (p *peers) acknowledges(id sm.PeerID) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	known := p.known[id]
	return known != nil && known.acknowledges
}

// expectsAck reports whether a connection on which the peer acknowledges nothing must be
// replaced. A peer that has never acknowledged anything may run an older release, which does
// not; or its first connection was lost at once, which a second one shows.
func (p *peers) expectsAck(id sm.PeerID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.known[id]
	if known == nil {
		return true
	}
	expected := known.acknowledges || !known.unanswered
	known.unanswered = true
	return expected
}

// shards returns the shards for which the peer was admitted. The channel is closed when another
// admission may have changed that.
func (p *peers) shards(id sm.PeerID) (shards []uint64, changed <-chan struct{}) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if known := p.known[id]; known != nil {
		shards = slices.Collect(maps.Keys(known.admitted))
	}
	return shards, p.admission
}

// lacking notes that a replica lacks entries that were sent to it. They are sent again.
func (p *peers) lacking(id sm.PeerID, key replicaKey) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if known := p.known[id]; known != nil {
		for o := range known.conns {
			o.forget(key)
		}
	}
}

// pausing reports whether the peer must not be dialled yet.
func (p *peers) pausing(id sm.PeerID, now time.Time) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	known := p.known[id]
	return known != nil && now.Before(known.retry)
}

// track makes the connection end when its peer is expelled. It returns false if the peer is not
// admitted.
func (p *peers) track(o *outgoing) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.known[o.peer]
	if known == nil || len(known.admitted) == 0 {
		return false
	}
	known.conns[o] = struct{}{}
	return true
}

// untrack ends track.
func (p *peers) untrack(o *outgoing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.known[o.peer]
	if known == nil {
		return
	}
	delete(known.conns, o)
	if len(known.conns) == 0 && len(known.admitted) == 0 {
		delete(p.known, o.peer)
	}
}

// hangUp closes the connections to the peer. Called with the lock of peers.
func (p *peer) hangUp() {
	for o := range p.conns {
		o.hangUp()
	}
}
