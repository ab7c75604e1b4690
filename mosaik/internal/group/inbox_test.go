package group

import (
	"slices"
	"sync"
	"testing"
	"time"
)

func TestMailboxKeepsTheOrderOfEachSender(t *testing.T) {
	t.Parallel()
	const senders, letters = 4, 1000
	m := newInbox()
	var sending sync.WaitGroup
	var got [senders][]int // written by the functions that are taken, one at a time
	for s := range senders {
		sending.Go(func() {
			for n := range letters {
				if !m.post(func() { got[s] = append(got[s], n) }) {
					t.Errorf("an open mailbox refused letter %d", n)
				}
			}
		})
	}
	for taken := 0; taken < senders*letters; {
		<-m.wake
		batch, open := m.take()
		if !open {
			t.Fatal("the mailbox says that it is closed")
		}
		for _, f := range batch {
			f()
		}
		taken += len(batch)
	}
	sending.Wait()
	for s := range senders {
		if len(got[s]) != letters || !slices.IsSorted(got[s]) {
			t.Errorf("of sender %d arrived %d letters, sorted: %t; want %d in order", s, len(got[s]), slices.IsSorted(got[s]), letters)
		}
	}
}

func TestClosedMailbox(t *testing.T) {
	t.Parallel()
	m := newInbox()
	m.post(func() { t.Error("what was queued when the mailbox closed was run") })
	m.close()
	if m.post(func() {}) {
		t.Error("a closed mailbox took a letter")
	}
	<-m.wake // the loop is woken
	if batch, open := m.take(); len(batch) != 0 || open {
		t.Errorf("a closed mailbox gives %d letters, open: %t", len(batch), open)
	}
}

func TestTimersReplaceEachOther(t *testing.T) {
	t.Parallel()
	ran, posts := make(chan string, 3), make(chan func(), 3)
	posted := timers{post: func(f func()) { posts <- f }} // the test is the loop
	posted.set("a", time.Hour, func() { ran <- "replaced" })
	posted.set("b", time.Hour, func() { ran <- "cleared" })
	posted.set("a", 0, func() { ran <- "last" })
	posted.clear("b")
	posted.clear("never set")
	(<-posts)()
	if got := <-ran; got != "last" {
		t.Errorf("the timer that was %s ran", got)
	}
	posted.set("c", time.Hour, func() { ran <- "stopped" })
	posted.stop()
	if len(posted.all) != 0 {
		t.Errorf("after stop there are the timers %v", posted.all)
	}
}
