package bond

import (
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// mismatchAfter is how long a group must have been joined before its mismatch is
	// reported: other members may join a moment later.
	mismatchAfter = 5 * time.Second
	// mismatchPause is the least time between two checks of all groups.
	mismatchPause = time.Second
	// maxMismatchGroups bounds the groups that a mismatch names.
	maxMismatchGroups = 16
)

// Mismatch returns what connected peers announce in place of this group. It is zero if one of
// them announces this group or none announces another one.
func (ms *GroupBonds) Mismatch() consensus.Mismatch {
	ms.m.mu.Lock()
	defer ms.m.mu.Unlock()
	return ms.m.survey().of(ms)
}

// survey is what connected peers announce.
type survey struct {
	entries []discovery.Signed
	foreign consensus.Mismatch // for groups that none of them announces
}

// survey returns what connected peers announce. The caller holds the mutex.
func (m *Manager) survey() survey {
	var s survey
	for _, p := range m.peers {
		if p.current == nil {
			continue
		}
		entry, known := m.entry(p.id)
		if !known {
			continue
		}
		s.entries = append(s.entries, entry)
		foreign := false
		for _, g := range entry.Groups {
			if m.groups[g] != nil {
				continue
			}
			foreign = true
			if len(s.foreign.Groups) == maxMismatchGroups {
				break // a peer can list thousands of groups
			}
			if !slices.Contains(s.foreign.Groups, g) {
				s.foreign.Groups = append(s.foreign.Groups, g)
			}
		}
		if foreign {
			s.foreign.Peers++
		}
	}
	slices.SortFunc(s.foreign.Groups, func(a, b sm.Digest) int { return sm.PeerID(a).Compare(sm.PeerID(b)) })
	return s
}

// of returns the mismatch of a group.
func (s survey) of(ms *GroupBonds) consensus.Mismatch {
	announced := func(e discovery.Signed) bool { return e.HasGroup(ms.group.ID) }
	if ms.left || s.foreign.Peers == 0 || slices.ContainsFunc(s.entries, announced) {
		return consensus.Mismatch{}
	}
	return s.foreign
}

// mismatchWatcher looks for mismatches when connections or entries change, and reports each
// once for a membership. It owns one goroutine.
type mismatchWatcher struct{ wake chan struct{} }

func newMismatchWatcher() mismatchWatcher { return mismatchWatcher{make(chan struct{}, 1)} }

// signal makes the watcher look again soon.
func (w mismatchWatcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run returns the function of the watcher's goroutine.
func (w mismatchWatcher) run(m *Manager) func() {
	return func() {
		if m.cfg.Mismatch == nil {
			return
		}
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			select {
			case <-w.wake:
			case <-timer.C:
			case <-m.done:
				return
			}
			next := m.reportMismatches(time.Now())
			pause := time.NewTimer(mismatchPause)
			select {
			case <-pause.C:
			case <-m.done:
				pause.Stop()
				return
			}
			timer.Reset(next)
		}
	}
}

// reportMismatches reports new mismatches. It returns how long until it must look again if
// nothing changes before.
func (m *Manager) reportMismatches(now time.Time) (next time.Duration) {
	found := map[sm.Digest]consensus.Mismatch{}
	m.mu.Lock()
	next = dialler.Idle
	var s *survey
	for id, ms := range m.groups {
		if ms.warned {
			continue
		}
		if wait := ms.joined.Add(mismatchAfter).Sub(now); wait > 0 {
			next = min(next, wait)
			continue
		}
		if s == nil {
			all := m.survey()
			s = &all
		}
		if mismatch := s.of(ms); mismatch.Peers > 0 {
			ms.warned = true
			found[id] = mismatch
		}
	}
	m.mu.Unlock()
	for id, mismatch := range found {
		m.cfg.Mismatch(id, mismatch)
	}
	return next
}
