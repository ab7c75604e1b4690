package bond

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond/dialler"
	"github.com/mosaik-go/mosaik/mosaik/internal/bond/rate"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

const (
	// sightingPause bounds the pause before the addresses of a sighting are tried
	// again. There are at most MaxSightings times MaxSightingAddrs.
	sightingPause = time.Minute
	// sightingTime is how long a peer is remembered after it was connected last,
	// once another one is connected.
	sightingTime = 30 * 24 * time.Hour
	// rememberPause is how long what changes is gathered, and rememberEvery how
	// often the times at least are kept.
	rememberPause = time.Second
	rememberEvery = time.Hour
)

// sightings are the peers that are worth dialling by a later process: members,
// and peers that were reached at an address that they list. Their addresses are
// also dialled here, like seeds, while the peer is not known: it was forgotten, or
// an earlier process knew it. Nil keeps nothing. The manager's mutex guards it, and
// its methods are called with it held unless they say otherwise.
type sightings struct {
	m     *Manager
	all   map[sm.PeerID]*discovery.Sighting
	tends map[sm.PeerID]bool // that have a seed of their own
	dirty chan struct{}      // holds a token when something is to be kept
}

func newSightings(m *Manager, earlier []discovery.Sighting) *sightings {
	s := &sightings{m: m, all: map[sm.PeerID]*discovery.Sighting{}, tends: map[sm.PeerID]bool{}, dirty: make(chan struct{}, 1)}
	for _, e := range earlier[:min(len(earlier), discovery.MaxSightings)] {
		if e.Peer != m.self && len(e.Addrs) > 0 {
			s.all[e.Peer] = &discovery.Sighting{Peer: e.Peer, At: e.At, Addrs: slices.Clone(e.Addrs)}
		}
	}
	return s
}

// tendAll dials all that are known.
func (s *sightings) tendAll() {
	for id := range s.all {
		s.tend(id)
	}
}

// tend dials a peer's addresses while it is not known.
func (s *sightings) tend(id sm.PeerID) {
	if s == nil || s.all[id] == nil || s.tends[id] || s.m.closing {
		return
	}
	s.tends[id] = true
	seed := s.m.newSeed("", sightingPause)
	longest := max(s.m.cfg.Redial.Min, sightingPause)
	seed.pauses = rate.NewBackoff(rate.Bounds{Min: s.m.cfg.Redial.Min, Max: longest})
	seed.list = func(context.Context) ([]string, error) { return s.addrs(id, seed) }
	seed.check = func(string) link.Check {
		return func(addr netip.AddrPort) error { return s.m.mayDial(id, addr) }
	}
	s.m.running.Go(seed.run)
}

// addrs returns what a sighting's seed dials. An address at which another peer has
// answered is that peer's now. It is called without the mutex.
func (s *sightings) addrs(id sm.PeerID, seed *seed) ([]string, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	known := s.all[id]
	if known != nil {
		others := len(known.Addrs)
		known.Addrs = slices.DeleteFunc(known.Addrs, func(addr string) bool {
			peer, answered := seed.peers[addr]
			return answered && peer != id
		})
		if len(known.Addrs) < others {
			s.changed()
		}
		if len(known.Addrs) == 0 {
			delete(s.all, id)
			known = nil
		}
	}
	switch {
	case known == nil:
		delete(s.tends, id)
		return nil, errSeedOver
	case s.m.peers[id] != nil:
		return nil, nil // the dialler's
	}
	return slices.Clone(known.Addrs), nil
}

// note remembers where a connected peer is.
func (s *sightings) note(p *peer, entry discovery.Signed) {
	if s == nil || p.current == nil || len(entry.Addrs) == 0 {
		return
	}
	worked := p.target.Worked
	if !slices.Contains(entry.Addrs, worked) {
		worked = p.answered
	}
	if !p.member && !slices.Contains(entry.Addrs, worked) {
		return // anybody can connect
	}
	addrs := dialler.InOrder(entry.Addrs, worked)
	addrs = addrs[:min(len(addrs), discovery.MaxSightingAddrs)]
	known := s.all[p.id]
	switch {
	case known != nil && slices.Equal(known.Addrs, addrs):
		return
	case known == nil && len(s.all) >= discovery.MaxSightings && !s.makeRoom():
		return
	}
	s.all[p.id] = &discovery.Sighting{Peer: p.id, At: time.Now(), Addrs: addrs}
	s.changed()
}

// makeRoom drops the peer that was connected the longest ago, unless all are
// connected.
func (s *sightings) makeRoom() bool {
	var oldest *discovery.Sighting
	for id, known := range s.all {
		if !s.m.isConnected(id) && (oldest == nil || known.At.Before(oldest.At)) {
			oldest = known
		}
	}
	if oldest != nil {
		delete(s.all, oldest.Peer)
	}
	return oldest != nil
}

// drop forgets a peer that left.
func (s *sightings) drop(id sm.PeerID) {
	if s != nil && s.all[id] != nil {
		delete(s.all, id)
		s.changed()
	}
}

// changed has what there is kept soon.
func (s *sightings) changed() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// run keeps what changes until the manager closes. It is called without the mutex.
func (s *sightings) run() {
	hourly := time.NewTicker(rememberEvery)
	defer hourly.Stop()
	defer s.keep()
	for {
		select {
		case <-s.dirty:
			timer := time.NewTimer(rememberPause) // peers come in crowds
			select {
			case <-timer.C:
			case <-s.m.done:
				timer.Stop()
				return
			}
		case <-hourly.C:
		case <-s.m.done:
			return
		}
		s.keep()
	}
}

// keep keeps what there is. It is called without the mutex.
func (s *sightings) keep() {
	s.m.mu.Lock()
	list := s.list(time.Now())
	s.m.mu.Unlock()
	if err := s.m.cfg.Remember(list); err != nil {
		s.m.cfg.Logger.Warn("known peers are not kept", "error", err)
	}
}

// list returns the peers to keep, those that were connected last first.
func (s *sightings) list(now time.Time) []discovery.Sighting {
	connected := false
	for id, known := range s.all {
		switch p := s.m.peers[id]; {
		case p == nil:
		case len(p.conns) > 0:
			known.At, connected = now, true
		default:
			known.At = later(known.At, p.alive)
		}
	}
	list := make([]discovery.Sighting, 0, len(s.all))
	for id, known := range s.all {
		// Nobody is dropped while nobody is there: the clock may be wrong.
		if connected && now.Sub(known.At) > sightingTime {
			delete(s.all, id)
			continue
		}
		list = append(list, discovery.Sighting{Peer: id, At: known.At, Addrs: slices.Clone(known.Addrs)})
	}
	slices.SortFunc(list, func(a, b discovery.Sighting) int {
		return cmp.Or(b.At.Compare(a.At), a.Peer.Compare(b.Peer))
	})
	return list
}
