package group

import (
	"container/list"
	"context"
	"sync"

	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// maxCalls is the limit of calls of users that wait in a group's inbox or are being handled.
const maxCalls = 1024

// Keys of events that replace each other. A timerKey is one as well.
type (
	eventKey string   // of an event of which the group needs only one
	localKey struct { // of an event of a replica or its state
		l    *localReplica
		kind string
	}
	verdictKey struct { // of a verdict on the tickets of a peer
		peer sm.PeerID
		of   string // what it decides about
	}
)

const (
	keyClose         eventKey = "close"
	keyLeave         eventKey = "leave"
	keySupersede     eventKey = "supersede"
	keyStorageFailed eventKey = "storage failed"
	keyRecheck       eventKey = "recheck"
	keyRemovals      eventKey = "removals"
)

// inbox is the queue of a group's goroutine. All events of the group are queued here and
// nowhere else, each once, as the function that handles it. Its methods may be called
// concurrently, except for take, which belongs to the group's goroutine.
//
// Package bond, the engine and timers must not wait for the group, so post and postLatest never
// block. The number of queued events is bounded all the same, even if the group's goroutine is
// blocked by an Apply that does not return:
//
//	event                     bound                     at the bound
//	events of bonds           package bond counts them  it ends the connection that sends most,
//	                          until they are handled    and refuses handshakes; it never drops
//	                                                    the begin or the end of a bond
//	events of the engine and  one of each kind, for     the later event replaces the earlier
//	of the state              each replica that ran;
//	                          for each ancestor
//	timers                    one for each name         the later one replaces the earlier
//	verdicts on tickets       one for each peer         the later one replaces the earlier
//	requests to recheck       one, which names at most  it rechecks all bonded peers
//	tickets                   maxRechecks peers
//	results of workers        one for each worker       the group's goroutine starts no second
//	                                                    worker of a kind before the result
//	calls of users            maxCalls, until they are  the caller blocks until its context ends
//	                          answered                  or the group does
//	Close, Leave, Supersede,  one of each kind          the calls are idempotent
//	failures of the storage
//
// Replacing is safe because the handler of such an event looks at the present state, or the later
// event carries a superset of the earlier one. The others must not be lost, so their number is
// bounded at the source.
//
// mu is a leaf of the lock order: post is called under the mutex of package bond, of an engine's
// replica and of an [Admission], and no lock is taken under mu.
type inbox struct {
	calls chan struct{} // holds a token for each call that is queued or being handled
	wake  chan struct{} // holds a token when the queue may hold events
	ended chan struct{} // closed by close

	mu     sync.Mutex
	queue  *list.List // of *event, oldest first
	latest map[any]*list.Element
	closed bool
}

// event is an event in an inbox.
type event struct {
	key    any // nil if no other event replaces it
	handle func()
}

func newInbox() *inbox {
	return &inbox{
		calls: make(chan struct{}, maxCalls), wake: make(chan struct{}, 1), ended: make(chan struct{}),
		queue: list.New(), latest: map[any]*list.Element{},
	}
}

// post queues an event whose number is bounded by its source. It returns false, and does nothing,
// once the inbox is closed.
func (in *inbox) post(handle func()) bool { return in.postLatest(nil, handle) }

// postLatest is post for an event that replaces the queued event of the same key, if there is
// one. It moves to the end of the queue.
func (in *inbox) postLatest(key any, handle func()) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return false
	}
	if key != nil {
		if old := in.latest[key]; old != nil {
			in.queue.Remove(old)
		}
	}
	e := in.queue.PushBack(&event{key, handle})
	if key != nil {
		in.latest[key] = e
	}
	in.signal()
	return true
}

// call queues a call of a user, and blocks while there are maxCalls. The call counts until handle,
// or what it starts, has called done. The error is the cause of ctx if that ends first. A call
// that is queued when the inbox is closed is never handled, so the caller must also wait for the
// end of the group.
func (in *inbox) call(ctx context.Context, handle func(done func())) error {
	select {
	case in.calls <- struct{}{}:
	case <-in.ended:
		return nil
	case <-ctx.Done():
		return watch.Cause(ctx)
	}
	in.post(func() { handle(func() { <-in.calls }) })
	return nil
}

// take removes and returns all queued events, oldest first. It returns nil once the inbox is
// closed.
func (in *inbox) take() []func() {
	in.mu.Lock()
	defer in.mu.Unlock()
	var batch []func()
	for e := in.queue.Front(); e != nil; e = e.Next() {
		batch = append(batch, e.Value.(*event).handle)
	}
	in.queue.Init()
	clear(in.latest)
	return batch
}

// close discards the queued events and makes later ones do nothing.
func (in *inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return
	}
	in.closed = true
	in.queue.Init()
	clear(in.latest)
	close(in.ended)
	in.signal()
}

// size returns how many events are queued.
func (in *inbox) size() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.queue.Len()
}

func (in *inbox) signal() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}
