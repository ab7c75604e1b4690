package group

import (
	"sync"

	"github.com/mosaik-go/mosaik/sm"
)

// maxReplicaIDs bounds the derived replica ids that are remembered, twice.
const maxReplicaIDs = 4096

// knownReplicas remembers the ids of replicas, for all groups of the process.
var knownReplicas replicaMemo

// replicaID returns the id of a peer's replica in an epoch. Since it is derived
// from the proven peer id, no peer can speak for another's replica. Ids are
// remembered: they are compared at every event of a group, and to derive one takes
// a hash.
func replicaID(peer sm.PeerID, e Epoch, i Incarnation) uint64 {
	key := replicaName{peer, e, i}
	if id, ok := knownReplicas.get(key); ok {
		return id
	}
	id := id64(peer[:], e[:], i[:])
	knownReplicas.put(key, id)
	return id
}

// replicaName is what the id of a replica is derived from.
type replicaName struct {
	peer        sm.PeerID
	epoch       Epoch
	incarnation Incarnation
}

// replicaMemo is a bounded map in two generations: when the present one is full it
// becomes the last one, which is searched as well. It may be used concurrently.
type replicaMemo struct {
	mu            sync.RWMutex
	present, last map[replicaName]uint64
}

func (m *replicaMemo) get(name replicaName) (uint64, bool) {
	m.mu.RLock()
	id, ok := m.present[name]
	old := uint64(0)
	if !ok {
		old = m.last[name] // no id is 0
	}
	m.mu.RUnlock()
	if ok || old == 0 {
		return id, ok
	}
	m.put(name, old)
	return old, true
}

func (m *replicaMemo) put(name replicaName, id uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.present) >= maxReplicaIDs {
		m.present, m.last = nil, m.present
	}
	if m.present == nil {
		m.present = map[replicaName]uint64{}
	}
	m.present[name] = id
}
