package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// eventLog is the owner of a replica that records its events.
type eventLog struct{ events []string }

func (l *eventLog) add(format string, args ...any) {
	l.events = append(l.events, fmt.Sprintf(format, args...))
}
func (l *eventLog) LeaderChanged(leader uint64, term sm.Term)   { l.add("leader %d %d", leader, term) }
func (l *eventLog) MembershipChanged()                          { l.add("membership") }
func (l *eventLog) Removed()                                    { l.add("removed") }
func (l *eventLog) LogStalled(stalled bool, took time.Duration) { l.add("stalled %t", stalled) }
func (l *eventLog) Lagging(behind bool, entries, _ int)         { l.add("lagging %t %d", behind, entries) }
func (l *eventLog) SnapshotTaken()                              { l.add("snapshot taken") }
func (l *eventLog) SnapshotFailed(err error)                    { l.add("snapshot failed") }
func (l *eventLog) Failed(err error)                            { l.add("failed") }

// TestDispatcherIsBounded has two replicas report more events than their owner handles. The queue
// holds the latest event of each type, which the owner receives in order.
func TestDispatcherIsBounded(t *testing.T) {
	t.Parallel()
	d := &dispatcher{wake: make(chan struct{}, 1), done: make(chan struct{})}
	logs := [2]eventLog{}
	replicas := [2]*Replica{{events: &logs[0]}, {events: &logs[1]}}
	for i := range 1000 {
		for _, r := range replicas {
			d.post(r, leaderChanged{uint64(i), sm.Term(i)})
			d.post(r, snapshotFailed{errors.New("full")})
			d.post(r, logStalled{i%2 == 0, time.Second})
			d.post(r, lagging{i%2 == 0, i, 0})
			d.post(r, membershipChanged{})
			d.post(r, snapshotTaken{})
		}
	}
	queued := 0
	for _, events := range d.queue {
		queued += len(events)
	}
	if want := 6 * len(replicas); queued != want {
		t.Errorf("%d events are queued, want %d", queued, want)
	}
	// The owner of an event that is dispatched last ends the dispatcher.
	last := make(chan struct{})
	d.post(&Replica{events: closer{last}}, removed{})
	go d.run()
	<-last
	d.close()
	want := []string{"leader 999 999", "snapshot failed", "stalled false", "lagging false 999", "membership", "snapshot taken"}
	for i := range logs {
		if got := logs[i].events; !slices.Equal(got, want) {
			t.Errorf("replica %d: the owner received %q, want %q", i, got, want)
		}
	}
}

// closer is the owner of a replica that closes a channel when the replica is removed.
type closer struct{ removed chan struct{} }

func (closer) LeaderChanged(uint64, sm.Term)  {}
func (closer) MembershipChanged()             {}
func (c closer) Removed()                     { close(c.removed) }
func (closer) LogStalled(bool, time.Duration) {}
func (closer) Lagging(bool, int, int)         {}
func (closer) SnapshotTaken()                 {}
func (closer) SnapshotFailed(error)           {}
func (closer) Failed(error)                   {}
