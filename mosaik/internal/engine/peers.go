package engine

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

// peers knows which replicas speak through which peers, and how it went when
// they were dialled. Its methods may be called concurrently.
type peers struct {
	mu sync.RWMutex
	// owners never forgets: dragonboat remembers the target of each replica
	// for good and panics when a second one turns up.
	owners map[replicaKey]sm.PeerID
	known  map[sm.PeerID]*peer
	// admission is closed, and replaced, whenever a peer is admitted.
	admission chan struct{}
}

// peer is one other process. Guarded by the mutex of peers.
type peer struct {
	admitted map[uint64]uint64 // shard → replica
	fails    int               // dials that failed in a row
	retry    time.Time         // not dialled again before
	conns    map[*outgoing]struct{}

	answers    bool // it has acknowledged what was sent to it
	unanswered bool // a connection was given up because it did not
	troubles   map[link.Protocol]Trouble
}

func newPeers() *peers {
	return &peers{owners: map[replicaKey]sm.PeerID{}, known: map[sm.PeerID]*peer{}, admission: make(chan struct{})}
}

// get returns the record of a peer, making it. Called with the lock held.
func (p *peers) get(id sm.PeerID) *peer {
	known := p.known[id]
	if known == nil {
		known = &peer{admitted: map[uint64]uint64{}, conns: map[*outgoing]struct{}{}}
		p.known[id] = known
	}
	return known
}

// admit lets the peer speak for the replica and reports whether it may: not if
// the replica is another peer's. A peer that comes with a new replica is taken
// for a new process: connections to the old one are dropped.
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
		known.answers, known.unanswered = false, false // it may be another program
	}
	known.admitted[shard] = replica
	known.fails, known.retry = 0, time.Time{}
	close(p.admission)
	p.admission = make(chan struct{})
	return true
}

// claim reports whether the replica may become the peer's.
func (p *peers) claim(shard, replica uint64, id sm.PeerID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := replicaKey{shard, replica}
	if owner, ok := p.owners[key]; ok {
		return owner == id
	}
	p.owners[key] = id
	return true
}

// expel ends what admit began.
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

// speaks reports whether the peer was admitted for any replica, and returns a channel
// that is closed when another admission may have changed that.
func (p *peers) speaks(id sm.PeerID) (ok bool, changed <-chan struct{}) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	known := p.known[id]
	return known != nil && len(known.admitted) > 0, p.admission
}

// foreign reports whether the replica is known to be another peer's.
func (p *peers) foreign(id sm.PeerID, shard, replica uint64) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	owner, ok := p.owners[replicaKey{shard, replica}]
	return ok && owner != id
}

// reached notes that the peer is alive: it dialled us, or we it.
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

// answered notes that the peer acknowledges what is sent to it.
func (p *peers) answered(id sm.PeerID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.known[id]; known != nil {
		known.answers = true
	}
}

// answers reports whether the peer has acknowledged what was sent to it.
func (p *peers) answers(id sm.PeerID) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	known := p.known[id]
	return known != nil && known.answers
}

// expectsAnswer reports whether a connection to the peer must be given up because it
// acknowledges nothing. A peer that never did may run an older release, which does not; or
// its first connection was lost at once, which another one shows.
func (p *peers) expectsAnswer(id sm.PeerID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.known[id]
	if known == nil {
		return true
	}
	expected := known.answers || !known.unanswered
	known.unanswered = true
	return expected
}

// shards returns the shards for which the peer was admitted, and a channel that is closed
// when another admission may have changed that.
func (p *peers) shards(id sm.PeerID) (shards []uint64, changed <-chan struct{}) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if known := p.known[id]; known != nil {
		shards = slices.Collect(maps.Keys(known.admitted))
	}
	return shards, p.admission
}

// lacking notes that a replica does not have what was sent to it, which is sent again.
func (p *peers) lacking(id sm.PeerID, key replicaKey) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if known := p.known[id]; known != nil {
		for o := range known.conns {
			o.forget(key)
		}
	}
}

// pausing reports whether the peer is not to be dialled yet.
func (p *peers) pausing(id sm.PeerID, now time.Time) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	known := p.known[id]
	return known != nil && now.Before(known.retry)
}

// track makes the connection end when its peer is expelled; it is false when
// the peer is already.
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

// untrack ends what track began.
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

// hangUp closes the connections to the peer. Whoever uses one notices.
func (p *peer) hangUp() {
	for o := range p.conns {
		o.hangUp()
	}
}
