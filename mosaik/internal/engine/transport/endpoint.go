package transport

import (
	"sync"
	"time"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/mosaik/internal/engine/raftlog"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/snapstore"
	"github.com/mosaik-go/mosaik/sm"
)

// Owner is the replica behind an [Endpoint]. Its methods may be called concurrently and must
// not block.
type Owner interface {
	// Leader returns the leader that Raft follows, 0 for none, and its term.
	Leader() (replica uint64, term sm.Term)
	// IsFailed reports whether the replica has failed.
	IsFailed() bool
	// IsEnding reports whether the replica has failed or stops.
	IsEnding() bool
	// IsBehind reports whether the state machine is so far behind the log that the replica must
	// not accept further entries.
	IsBehind() bool
	// Fail ends the replica.
	Fail(error)
	// Repeat hands a received request to take over leadership to Raft, again and again, until
	// another replica leads or the leader gives up.
	Repeat(request pb.Message)
}

// Endpoint is where the messages of one replica of this process arrive and leave. Its
// exported fields must not change once it is attached.
type Endpoint struct {
	Shard, Replica uint64
	Election       time.Duration // the election timeout
	Log            *raftlog.Log
	Snapshots      *snapstore.Log // nil for a log in memory
	Owner          Owner

	claims     claims
	pipeline   pipeline
	collecting sync.RWMutex // held for reading while a chunk is received
}

// Attach makes an endpoint that of its shard.
func (t *Transport) Attach(ep *Endpoint) {
	t.endpointsMu.Lock()
	defer t.endpointsMu.Unlock()
	t.endpoints[ep.Shard] = ep
}

// Detach ends what Attach began: no message of the replica leaves, and none arrives.
func (t *Transport) Detach(ep *Endpoint) {
	t.endpointsMu.Lock()
	defer t.endpointsMu.Unlock()
	if t.endpoints[ep.Shard] == ep {
		delete(t.endpoints, ep.Shard)
	}
}

// endpoint returns the endpoint of a shard, nil if no replica of it runs here.
func (t *Transport) endpoint(shard uint64) *Endpoint {
	t.endpointsMu.RLock()
	defer t.endpointsMu.RUnlock()
	return t.endpoints[shard]
}

// WithoutChunks calls f while no chunk of a snapshot is received.
func (ep *Endpoint) WithoutChunks(f func() error) error {
	ep.collecting.Lock()
	defer ep.collecting.Unlock()
	return f()
}

// isFenced reports whether nothing of the replica may leave the process.
func (ep *Endpoint) isFenced() bool { return ep.Owner.IsFailed() || ep.Log.Fenced() }
