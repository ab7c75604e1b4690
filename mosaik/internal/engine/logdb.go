package engine

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

// logRouter is dragonboat's log database: it leads each replica's calls to the
// log that was registered for it. Registering comes before the replica is
// started and unregistering after dragonboat let go of it; what dragonboat
// still says about a replica in between, or about an unknown one, goes nowhere.
//
// dragonboat panics on every error of its log database. So a replica whose log
// fails is muted: from then on dragonboat is told success, the log is not
// touched any more, and reads are answered with blank entries of the right
// indices and terms, which keep dragonboat going until the replica is stopped.
// Nothing of a muted replica may leave the node, be applied or be acknowledged.
//
// The router owns no log: closing it closes none.
type logRouter struct {
	registering sync.Mutex // held while logs is replaced
	logs        atomic.Pointer[map[raftio.NodeInfo]*replicaLog]
	workers     []stepWorker // of dragonboat, which save and read
}

var (
	_ raftio.ILogDB       = (*logRouter)(nil)
	_ config.LogDBFactory = (*logRouter)(nil)
)

func newLogRouter() *logRouter {
	r := &logRouter{workers: make([]stepWorker, workers.ExecShards)}
	r.logs.Store(&map[raftio.NodeInfo]*replicaLog{})
	return r
}

// register makes log the log of a replica. It fails if the log cannot be read,
// contradicts itself or is another replica's. When the log fails later, failed
// is called, once; it runs on dragonboat's goroutines and must neither block
// nor call dragonboat.
func (r *logRouter) register(shard, replica uint64, log logstore.Log, failed func(error)) error {
	key := raftio.GetNodeInfo(shard, replica)
	r.registering.Lock()
	defer r.registering.Unlock()
	if r.find(shard, replica) != nil {
		return fmt.Errorf("engine: register the log of replica %d of shard %d: it has one; unregister it first", replica, shard)
	}
	l, err := openReplicaLog(key, log, failed)
	if err != nil {
		return fmt.Errorf("%w: register the log of replica %d of shard %d: %w", ErrStorage, replica, shard, err)
	}
	logs := maps.Clone(*r.logs.Load())
	logs[key] = l
	r.logs.Store(&logs)
	return nil
}

// unregister forgets a replica's log. The log is not touched any more once
// dragonboat's calls that are under way have returned.
func (r *logRouter) unregister(shard, replica uint64) {
	r.registering.Lock()
	defer r.registering.Unlock()
	logs := maps.Clone(*r.logs.Load())
	delete(logs, raftio.GetNodeInfo(shard, replica))
	r.logs.Store(&logs)
}

// find returns a replica's log, or nil.
func (r *logRouter) find(shard, replica uint64) *replicaLog {
	return (*r.logs.Load())[raftio.GetNodeInfo(shard, replica)]
}

// worker returns the worker that serves a shard, as dragonboat's FixedPartitioner
// divides them.
func (r *logRouter) worker(shard uint64) *stepWorker { return &r.workers[shard%uint64(len(r.workers))] }

// muted reports whether a replica's log failed, or is not known here: what such
// a replica says may not be remembered.
func (r *logRouter) muted(shard, replica uint64) bool {
	l := r.find(shard, replica)
	return l == nil || l.silent.Load()
}

// termOf returns the term of an entry that is being applied, 0 if it is not known.
func (r *logRouter) termOf(shard, replica uint64, i sm.Index) sm.Term {
	if l := r.find(shard, replica); l != nil {
		return l.terms.at(i)
	}
	return 0
}

// wasCut reports whether a replica's log yielded entries up to an index, lately,
// and then no more because they were enough.
func (r *logRouter) wasCut(shard, replica, index uint64) bool {
	l := r.find(shard, replica)
	return l != nil && l.cuts.has(index)
}

// Create implements [config.LogDBFactory]: a NodeHost has the router that it
// was configured with.
func (r *logRouter) Create(config.NodeHostConfig, config.LogDBCallback, []string, []string) (raftio.ILogDB, error) {
	return r, nil
}

// Name implements [raftio.ILogDB] and [config.LogDBFactory].
func (r *logRouter) Name() string { return "mosaik" }

// Close implements [raftio.ILogDB].
func (r *logRouter) Close() error { return nil }

// BinaryFormat implements [raftio.ILogDB].
func (r *logRouter) BinaryFormat() uint32 { return raftio.PlainLogDBBinVersion }

// ListNodeInfo implements [raftio.ILogDB]: the replicas that were bootstrapped.
func (r *logRouter) ListNodeInfo() ([]raftio.NodeInfo, error) {
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

// errUnregistered reports that a replica was started before its log was registered.
var errUnregistered = errors.New("engine: the replica has no registered log")

// SaveBootstrapInfo implements [raftio.ILogDB].
func (r *logRouter) SaveBootstrapInfo(shard, replica uint64, b pb.Bootstrap) error {
	l := r.find(shard, replica)
	if l == nil {
		return errUnregistered
	}
	l.saveBootstrap(b)
	return nil
}

// GetBootstrapInfo implements [raftio.ILogDB].
func (r *logRouter) GetBootstrapInfo(shard, replica uint64) (pb.Bootstrap, error) {
	if l := r.find(shard, replica); l != nil {
		if b, ok := l.bootstrap(); ok {
			return b, nil
		}
	}
	return pb.Bootstrap{}, raftio.ErrNoBootstrapInfo
}

// SaveRaftState implements [raftio.ILogDB]. A snapshot in an update voids the
// replica's log. The updates are of one worker's shards.
func (r *logRouter) SaveRaftState(updates []pb.Update, _ uint64) error {
	if len(updates) == 0 {
		return nil
	}
	w := r.worker(updates[0].ShardID)
	defer w.end(w.begin())
	for i := range updates {
		if l := r.find(updates[i].ShardID, updates[i].ReplicaID); l != nil {
			l.save(&updates[i])
		}
	}
	return nil
}

// IterateEntries implements [raftio.ILogDB]. The entry that makes the size
// exceed maxSize is the last one; a maxSize of 0 is no limit.
func (r *logRouter) IterateEntries(entries []pb.Entry, size, shard, replica, low, high, maxSize uint64) ([]pb.Entry, uint64, error) {
	if l := r.find(shard, replica); l != nil {
		w := r.worker(shard)
		defer w.end(w.begin())
		entries, size = l.iterate(entries, size, sm.Index(low), sm.Index(high), maxSize)
	}
	return entries, size, nil
}

// ReadRaftState implements [raftio.ILogDB]. lastIndex is the last snapshot's.
func (r *logRouter) ReadRaftState(shard, replica, lastIndex uint64) (raftio.RaftState, error) {
	if l := r.find(shard, replica); l != nil {
		return l.raftState(lastIndex)
	}
	return raftio.RaftState{}, raftio.ErrNoSavedLog
}

// RemoveEntriesTo implements [raftio.ILogDB].
func (r *logRouter) RemoveEntriesTo(shard, replica, index uint64) error {
	if l := r.find(shard, replica); l != nil {
		l.prune(sm.Index(index))
	}
	return nil
}

// CompactEntriesTo implements [raftio.ILogDB]: logs release what they prune by
// themselves.
func (r *logRouter) CompactEntriesTo(uint64, uint64, uint64) (<-chan struct{}, error) {
	done := make(chan struct{})
	close(done)
	return done, nil
}

// SaveSnapshots implements [raftio.ILogDB]. The logs are kept.
func (r *logRouter) SaveSnapshots(updates []pb.Update) error {
	for i := range updates {
		if l := r.find(updates[i].ShardID, updates[i].ReplicaID); l != nil {
			l.saveSnapshot(&updates[i].Snapshot)
		}
	}
	return nil
}

// GetSnapshot implements [raftio.ILogDB].
func (r *logRouter) GetSnapshot(shard, replica uint64) (pb.Snapshot, error) {
	if l := r.find(shard, replica); l != nil {
		return l.lastSnapshot()
	}
	return pb.Snapshot{}, nil
}

// RemoveNodeData implements [raftio.ILogDB].
func (r *logRouter) RemoveNodeData(shard, replica uint64) error {
	if l := r.find(shard, replica); l != nil {
		l.clear()
	}
	return nil
}

// ImportSnapshot implements [raftio.ILogDB]. Unlike the others it reports the
// failure of the log to its caller too, who is no worker of dragonboat's.
func (r *logRouter) ImportSnapshot(s pb.Snapshot, replica uint64) error {
	l := r.find(s.ShardID, replica)
	if l == nil {
		return errUnregistered
	}
	return l.importSnapshot(&s)
}
