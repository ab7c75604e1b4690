package group

import "time"

// timers are the pending timers of the group's goroutine, by name.
type timers struct {
	inbox *inbox
	all   map[string]*time.Timer
}

// timerKey is the key of a timer's event in the inbox.
type timerKey string

// set runs f in the group's goroutine after d. It replaces the timer of the same name.
func (t *timers) set(name string, d time.Duration, f func()) {
	t.clear(name)
	if t.all == nil {
		t.all = map[string]*time.Timer{}
	}
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		t.inbox.postLatest(timerKey(name), func() {
			if t.all[name] == timer { // otherwise it was replaced or cleared meanwhile
				delete(t.all, name)
				f()
			}
		})
	})
	t.all[name] = timer
}

// clear stops the timer of a name, if there is one.
func (t *timers) clear(name string) {
	if old := t.all[name]; old != nil {
		old.Stop()
		delete(t.all, name)
	}
}

// stop stops all timers.
func (t *timers) stop() {
	for name := range t.all {
		t.clear(name)
	}
}
