package bond

import (
	"errors"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// maxSeedPause bounds the pause before a seed is tried again: one that comes back
// may be new and alone, and makes a group of its own unless it is met within the
// bootstrap delay, which is 3 s by default. There are few seeds.
const maxSeedPause = 2 * time.Second

// tend dials a seed until the manager closes, whenever there is no connection
// to the peer that answered there last. A seed that is this peer is dropped.
func (m *Manager) tend(addr string) {
	pauses := backoff{bounds: Backoff{m.cfg.Redial.Min, max(m.cfg.Redial.Min, min(m.cfg.Redial.Max, maxSeedPause))}}
	var failures failureLog
	var last sm.PeerID
	for {
		if connected := m.connected(last); connected != nil {
			select {
			case <-connected:
				continue
			case <-m.done:
				return
			}
		}
		lc, err := m.dial(addr, sm.PeerID{}, nil)
		switch {
		case errors.Is(err, link.ErrSelf):
			m.cfg.Logger.Debug("dropped a seed that is this peer itself", "addr", addr)
			return
		case err == nil:
			last = lc.Peer()
			m.answered(addr, last)
			pauses.succeeded(m.serve(lc))
		}
		m.reach.seed(addr, err)
		if failures.changed(err) {
			m.cfg.Logger.Warn("cannot reach seed", "seed", addr, "error", err)
		}
		if !m.pause(pauses.pause(), nil) {
			return
		}
	}
}

// answered notes which peer is at a seed's address.
func (m *Manager) answered(addr string, peer sm.PeerID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seeds[addr] = peer
}

// connected returns a channel that is closed when something changes about a
// peer that there is a connection to, or nil when there is none.
func (m *Manager) connected(id sm.PeerID) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.peers[id]; p != nil && len(p.conns) > 0 {
		return p.changed
	}
	return nil
}

// failureLog remembers what went wrong last, so that what goes wrong repeatedly
// is logged once per change.
type failureLog struct{ last string }

// changed reports whether err, nil for success, is an error other than the one
// before.
func (f *failureLog) changed(err error) bool {
	text := ""
	if err != nil && !errors.Is(err, ErrClosed) {
		text = rootCause(err)
	}
	changed := text != "" && text != f.last
	f.last = text
	return changed
}

// rootCause returns the text of the errors that err wraps, without what they
// are wrapped in: port numbers there differ from attempt to attempt.
func rootCause(err error) string {
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return rootCause(inner)
		}
	case interface{ Unwrap() []error }:
		text := ""
		for _, inner := range e.Unwrap() {
			text += rootCause(inner) + "\n"
		}
		return text
	}
	return err.Error()
}
