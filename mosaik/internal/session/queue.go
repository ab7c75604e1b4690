package session

// list is a list of calls from which any call can be taken out.
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

// queue holds the calls that are not in an entry yet, in the order in which
// they will be: those that were admitted, and behind them those that wait for
// room.
type queue struct {
	admitted list
	waiting  list
	calls    int // how many calls were admitted
	commands int // how many commands they have
	bytes    int // how many they take up in entries
	max      int // how many commands may be
	maxBytes int // how many bytes they may take up
}

// push adds a call and reports whether it was admitted.
func (q *queue) push(c *Call) bool {
	if q.waiting.head == nil && q.fits(c) {
		q.admit(c)
		return true
	}
	c.place = waiting
	c.admitted = make(chan struct{})
	q.waiting.pushBack(c)
	return false
}

// pop takes out the first call, or returns nil.
func (q *queue) pop() *Call {
	c := q.admitted.head
	if c != nil {
		q.remove(c)
	}
	return c
}

// first returns the call that pop would take out, or nil.
func (q *queue) first() *Call { return q.admitted.head }

// unpop puts a call back to the head, even above the limits.
func (q *queue) unpop(c *Call) {
	c.place = queued
	q.calls++
	q.commands += len(c.cmds)
	q.bytes += c.size
	q.admitted.pushFront(c)
}

// remove takes out a call, wherever it is, and admits those for which there is
// room now. It reports whether the call was in the queue.
func (q *queue) remove(c *Call) bool {
	switch c.place {
	case queued:
		q.admitted.remove(c)
		q.calls--
		q.commands -= len(c.cmds)
		q.bytes -= c.size
	case waiting:
		q.waiting.remove(c)
	default:
		return false
	}
	c.place = nowhere
	for w := q.waiting.head; w != nil && q.fits(w); w = q.waiting.head {
		q.waiting.remove(w)
		q.admit(w)
		close(w.admitted)
	}
	return true
}

// fits reports whether there is room. A call larger than the whole queue fits
// into an empty one.
func (q *queue) fits(c *Call) bool {
	return q.admitted.head == nil || q.commands+len(c.cmds) <= q.max && q.bytes+c.size <= q.maxBytes
}

func (q *queue) admit(c *Call) {
	c.place = queued
	q.calls++
	q.commands += len(c.cmds)
	q.bytes += c.size
	q.admitted.pushBack(c)
}

// drain takes out all calls, in order.
func (q *queue) drain() []*Call {
	var calls []*Call
	for _, l := range []*list{&q.admitted, &q.waiting} {
		for c := l.head; c != nil; c = l.head {
			l.remove(c)
			c.place = nowhere
			calls = append(calls, c)
		}
	}
	q.calls, q.commands, q.bytes = 0, 0, 0
	return calls
}
