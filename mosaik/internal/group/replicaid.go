package group

import (
	"sync"

	"github.com/mosaik-go/mosaik/sm"
)

// maxReplicaIDs is the size of one generation of the cache of replica ids.
const maxReplicaIDs = 4096

// knownReplicaIDs caches replica ids for all groups of the process.
var knownReplicaIDs replicaIDCache

// replicaID returns the id of a peer's replica in an epoch. It is derived from the proven peer
// id, so no peer can claim another's replica. Ids are cached: every event of a group compares
// some, and deriving one takes a hash.
func replicaID(peer sm.PeerID, e Epoch, i Incarnation) uint64 {
	key := replicaIDKey{peer, e, i}
	if id, ok := knownReplicaIDs.get(key); ok {
		return id
	}
	id := id64(peer[:], e[:], i[:])
	knownReplicaIDs.put(key, id)
	return id
}

// replicaIDKey holds what the id of a replica is derived from.
type replicaIDKey struct {
	peer        sm.PeerID
	epoch       Epoch
	incarnation Incarnation
}

// replicaIDCache is a bounded map of two generations. When the present generation is full, it
// becomes the last one, which is still searched. It is safe for concurrent use.
type replicaIDCache struct {
	mu            sync.RWMutex
	present, last map[replicaIDKey]uint64
}

func (m *replicaIDCache) get(name replicaIDKey) (uint64, bool) {
	m.mu.RLock()
	id, ok := m.present[name]
	old := uint64(0)
	if !ok {
		old = m.last[name] // 0 if absent: no id is 0
	}
	m.mu.RUnlock()
	if ok || old == 0 {
		return id, ok
	}
	m.put(name, old)
	return old, true
}

func (m *replicaIDCache) put(name replicaIDKey, id uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.present) >= maxReplicaIDs {
		m.present, m.last = nil, m.present
	}
	if m.present == nil {
		m.present = map[replicaIDKey]uint64{}
	}
	m.present[name] = id
}
