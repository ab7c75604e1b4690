package session

// list is a doubly linked list of calls.
type list struct{ head, tail *Call }

func (l *list) pushBack(c *Call) {
	c.prev, c.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = c
	} else {
		l.head = c
	}
	l.tail = c
}

func (l *list) pushFront(c *Call) {
	c.prev, c.next = nil, l.head
	if l.head != nil {
		l.head.prev = c
	} else {
		l.tail = c
	}
	l.head = c
}

func (l *list) remove(c *Call) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.tail = c.prev
	}
	c.prev, c.next = nil, nil
}

// queue holds the calls that are in no entry yet, in order: the admitted calls, and after them
// those that wait for space. A call counts until it is packed into an entry.
type queue struct {
	admitted list
	waiting  list
	calls    int // admitted calls
	commands int // their commands
	bytes    int // the bytes of these commands in entries
	max      int // limit of commands
	maxBytes int // limit of bytes
}

// push adds a call and reports whether it was admitted at once.
func (q *queue) push(c *Call) bool {
	if q.waiting.head == nil && q.fits(c) {
		q.admit(c)
		return true
	}
	c.state = stateWaiting
	c.admitted = make(chan struct{})
	q.waiting.pushBack(c)
	return false
}

// pop removes and returns the first call, or returns nil.
func (q *queue) pop() *Call {
	c := q.admitted.head
	if c != nil {
		q.remove(c)
	}
	return c
}

// first returns the first call, or nil.
func (q *queue) first() *Call { return q.admitted.head }

// requeue returns a call to the head, even if that exceeds the limits.
func (q *queue) requeue(c *Call) {
	c.state = stateQueued
	q.calls++
	q.commands += len(c.cmds)
	q.bytes += c.size
	q.admitted.pushFront(c)
}

// remove removes a call and admits waiting calls for which there is space then. It reports whether
// the call was in the queue.
func (q *queue) remove(c *Call) bool {
	switch c.state {
	case stateQueued:
		q.admitted.remove(c)
		q.calls--
		q.commands -= len(c.cmds)
		q.bytes -= c.size
	case stateWaiting:
		q.waiting.remove(c)
	default:
		return false
	}
	c.state = stateTaken
	for w := q.waiting.head; w != nil && q.fits(w); w = q.waiting.head {
		q.waiting.remove(w)
		q.admit(w)
		close(w.admitted)
	}
	return true
}

// fits reports whether there is space for a call. A call that exceeds the limits fits into an empty
// queue.
func (q *queue) fits(c *Call) bool {
	return q.admitted.head == nil || q.commands+len(c.cmds) <= q.max && q.bytes+c.size <= q.maxBytes
}

func (q *queue) admit(c *Call) {
	c.state = stateQueued
	q.calls++
	q.commands += len(c.cmds)
	q.bytes += c.size
	q.admitted.pushBack(c)
}

// drain removes and returns all calls, in order.
func (q *queue) drain() []*Call {
	var calls []*Call
	for _, l := range []*list{&q.admitted, &q.waiting} {
		for c := l.head; c != nil; c = l.head {
			l.remove(c)
			c.state = stateTaken
			calls = append(calls, c)
		}
	}
	q.calls, q.commands, q.bytes = 0, 0, 0
	return calls
}
