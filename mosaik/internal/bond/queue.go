package bond

import "container/heap"

// queue holds peers in an order. A peer is in one queue at most. The manager's
// mutex guards it.
type queue struct {
	peers  []*peer
	before func(a, b *peer) bool
}

// first returns the peer before all others, nil when there is none.
func (q *queue) first() *peer {
	if len(q.peers) == 0 {
		return nil
	}
	return q.peers[0]
}

// add puts a peer that is in no queue in its place.
func (q *queue) add(p *peer) {
	p.queue = q
	heap.Push(q, p)
}

// dequeue takes the peer out of the queue that it is in, if any.
func (p *peer) dequeue() {
	if p.queue != nil {
		heap.Remove(p.queue, p.index)
		p.queue = nil
	}
}

// Len, Less, Swap, Push and Pop implement [heap.Interface].
func (q *queue) Len() int           { return len(q.peers) }
func (q *queue) Less(i, j int) bool { return q.before(q.peers[i], q.peers[j]) }
func (q *queue) Swap(i, j int) {
	q.peers[i], q.peers[j] = q.peers[j], q.peers[i]
	q.peers[i].index, q.peers[j].index = i, j
}
func (q *queue) Push(x any) {
	p := x.(*peer)
	p.index = len(q.peers)
	q.peers = append(q.peers, p)
}
func (q *queue) Pop() any {
	last := len(q.peers) - 1
	p := q.peers[last]
	q.peers[last] = nil
	q.peers = q.peers[:last]
	return p
}
