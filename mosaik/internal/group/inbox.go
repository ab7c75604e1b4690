package group

import "sync"

// inbox queues what a group's goroutine has to do. Posting never blocks, so
// that Raft's, the bonds' and the timers' goroutines can report from wherever
// they are; each of them has few things in flight, which bounds the queue.
type inbox struct {
	mu     sync.Mutex
	queue  []func()
	wake   chan struct{}
	closed bool
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// post queues f. It reports false, and forgets f, once the mailbox is closed.
func (m *inbox) post(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.queue = append(m.queue, f)
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return true
}

// take returns everything queued, oldest first, and whether more may come.
func (m *inbox) take() (batch []func(), open bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	batch, m.queue = m.queue, nil
	return batch, !m.closed
}

// close forgets what is queued and lets take say that nothing more comes.
func (m *inbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.queue = nil
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
