package raftlog

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/sm"
)

// ErrStorage reports that the log of a replica could not be read or written.
var ErrStorage = errors.New("log storage failed")

// Router is dragonboat's log database. It directs the calls for each replica to the log
// that was registered for it. The owner registers a log before the replica starts and
// unregisters it after dragonboat has let go of the replica; calls for other replicas do
// nothing. The router owns no storage: closing it closes none. Its methods may be called
// concurrently.
type Router struct {
	registering sync.Mutex // held while logs is replaced
	logs        atomic.Pointer[map[raftio.NodeInfo]*Log]
	workers     []Worker // dragonboat's step workers, which save and read
}

var (
	_ raftio.ILogDB       = (*Router)(nil)
	_ config.LogDBFactory = (*Router)(nil)
)

// NewRouter returns a router without logs for a NodeHost with so many step workers.
func NewRouter(workers int) *Router {
	r := &Router{workers: make([]Worker, workers)}
	r.logs.Store(&map[raftio.NodeInfo]*Log{})
	return r
}

// Register makes storage the log of a replica. It fails if the storage cannot be read,
// contradicts itself or belongs to another replica. levelOf returns the level to which an
// entry may raise the schema, 0 for none; nil stands for a function that returns 0. When
// the storage fails later, failed is called once; it runs on dragonboat's goroutines and
// must neither block nor call dragonboat.
func (r *Router) Register(shard, replica uint64, storage logstore.Log,
	levelOf func(data []byte) uint32, failed func(error)) (*Log, error) {
	key := raftio.GetNodeInfo(shard, replica)
	r.registering.Lock()
	defer r.registering.Unlock()
	if r.Find(shard, replica) != nil {
		return nil, fmt.Errorf("engine: register the log of replica %d of shard %d: it has one; unregister that first",
			replica, shard)
	}
	l, err := openLog(key, storage, levelOf, failed)
	if err != nil {
		return nil, fmt.Errorf("%w: register the log of replica %d of shard %d: %w", ErrStorage, replica, shard, err)
	}
	logs := maps.Clone(*r.logs.Load())
	logs[key] = l
	r.logs.Store(&logs)
	return l, nil
}

// Unregister forgets a replica's log. Once dragonboat's calls in flight have returned, the
// storage is not used again.
func (r *Router) Unregister(shard, replica uint64) {
	r.registering.Lock()
	defer r.registering.Unlock()
	logs := maps.Clone(*r.logs.Load())
	delete(logs, raftio.GetNodeInfo(shard, replica))
	r.logs.Store(&logs)
}

// Find returns a replica's log, nil if none is registered.
func (r *Router) Find(shard, replica uint64) *Log {
	return (*r.logs.Load())[raftio.GetNodeInfo(shard, replica)]
}

// Worker returns the worker that serves a shard. It divides shards as dragonboat's
// FixedPartitioner does.
func (r *Router) Worker(shard uint64) *Worker { return &r.workers[shard%uint64(len(r.workers))] }

// Create implements [config.LogDBFactory]: a NodeHost uses the router that it was
// configured with.
func (r *Router) Create(config.NodeHostConfig, config.LogDBCallback, []string, []string) (raftio.ILogDB, error) {
	return r, nil
}

// Name implements [raftio.ILogDB] and [config.LogDBFactory].
func (r *Router) Name() string { return "mosaik" }

// Close implements [raftio.ILogDB].
func (r *Router) Close() error { return nil }

// BinaryFormat implements [raftio.ILogDB].
func (r *Router) BinaryFormat() uint32 { return raftio.PlainLogDBBinVersion }

// ListNodeInfo implements [raftio.ILogDB]: it returns the replicas that were bootstrapped.
func (r *Router) ListNodeInfo() ([]raftio.NodeInfo, error) {
	nodes := []raftio.NodeInfo{}
	for key, l := range *r.logs.Load() {
		if _, ok := l.bootstrap(); ok {
			nodes = append(nodes, key)
		}
	}
	slices.SortFunc(nodes, func(a, b raftio.NodeInfo) int {
		return cmp.Or(cmp.Compare(a.ShardID, b.ShardID), cmp.Compare(a.ReplicaID, b.ReplicaID))
	})
	return nodes, nil
}

// errUnregistered reports a replica that was started before its log was registered.
var errUnregistered = errors.New("engine: the replica has no registered log")

// SaveBootstrapInfo implements [raftio.ILogDB].
func (r *Router) SaveBootstrapInfo(shard, replica uint64, b pb.Bootstrap) error {
	l := r.Find(shard, replica)
	if l == nil {
		return errUnregistered
	}
	l.saveBootstrap(b)
	return nil
}

// GetBootstrapInfo implements [raftio.ILogDB].
func (r *Router) GetBootstrapInfo(shard, replica uint64) (pb.Bootstrap, error) {
	if l := r.Find(shard, replica); l != nil {
		if b, ok := l.bootstrap(); ok {
			return b, nil
		}
	}
	return pb.Bootstrap{}, raftio.ErrNoBootstrapInfo
}

// SaveRaftState implements [raftio.ILogDB]. A snapshot in an update replaces the replica's
// log. All updates belong to shards of one worker.
func (r *Router) SaveRaftState(updates []pb.Update, _ uint64) error {
	if len(updates) == 0 {
		return nil
	}
	w := r.Worker(updates[0].ShardID)
	defer w.end(w.begin())
	for i := range updates {
		if l := r.Find(updates[i].ShardID, updates[i].ReplicaID); l != nil {
			l.save(&updates[i])
		}
	}
	return nil
}

// IterateEntries implements [raftio.ILogDB]. The entry that makes the size exceed maxSize
// is the last one; a maxSize of 0 is no limit.
func (r *Router) IterateEntries(entries []pb.Entry, size, shard, replica, low, high, maxSize uint64) ([]pb.Entry, uint64, error) {
	if l := r.Find(shard, replica); l != nil {
		w := r.Worker(shard)
		defer w.end(w.begin())
		entries, size = l.iterate(entries, size, sm.Index(low), sm.Index(high), maxSize)
	}
	return entries, size, nil
}

// Committed returns the proposals among the entries with indices in [low, high) of a replica's
// log, which must be committed. It stops after about [ReadSize] bytes; next is the index at which
// to continue. It returns [ErrReplaced] if a received snapshot has replaced the entries, and
// another error if the log is fenced or an entry is malformed.
func (r *Router) Committed(shard, replica uint64, low, high sm.Index) (proposals []Entry, next sm.Index, err error) {
	l := r.Find(shard, replica)
	if l == nil {
		return nil, 0, errUnregistered
	}
	w := r.Worker(shard)
	defer w.end(w.begin())
	return l.committed(low, high)
}

// ReadRaftState implements [raftio.ILogDB]. lastIndex is the index of the last snapshot.
func (r *Router) ReadRaftState(shard, replica, lastIndex uint64) (raftio.RaftState, error) {
	if l := r.Find(shard, replica); l != nil {
		return l.raftState(lastIndex)
	}
	return raftio.RaftState{}, raftio.ErrNoSavedLog
}

// RemoveEntriesTo implements [raftio.ILogDB].
func (r *Router) RemoveEntriesTo(shard, replica, index uint64) error {
	if l := r.Find(shard, replica); l != nil {
		l.prune(sm.Index(index))
	}
	return nil
}

// CompactEntriesTo implements [raftio.ILogDB]. It does nothing: storages release what they
// prune by themselves.
func (r *Router) CompactEntriesTo(uint64, uint64, uint64) (<-chan struct{}, error) {
	done := make(chan struct{})
	close(done)
	return done, nil
}

// SaveSnapshots implements [raftio.ILogDB]. It does not change the logs.
func (r *Router) SaveSnapshots(updates []pb.Update) error {
	for i := range updates {
		if l := r.Find(updates[i].ShardID, updates[i].ReplicaID); l != nil {
			l.saveSnapshot(&updates[i].Snapshot)
		}
	}
	return nil
}

// GetSnapshot implements [raftio.ILogDB].
func (r *Router) GetSnapshot(shard, replica uint64) (pb.Snapshot, error) {
	if l := r.Find(shard, replica); l != nil {
		return l.lastSnapshot()
	}
	return pb.Snapshot{}, nil
}

// RemoveNodeData implements [raftio.ILogDB].
func (r *Router) RemoveNodeData(shard, replica uint64) error {
	if l := r.Find(shard, replica); l != nil {
		l.clear()
	}
	return nil
}

// ImportSnapshot implements [raftio.ILogDB]. Unlike the other methods it also returns the
// failure of a storage, because its caller is not one of dragonboat's workers.
func (r *Router) ImportSnapshot(s pb.Snapshot, replica uint64) error {
	l := r.Find(s.ShardID, replica)
	if l == nil {
		return errUnregistered
	}
	return l.importSnapshot(&s)
}
