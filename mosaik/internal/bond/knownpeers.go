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
	// knownPeerPause bounds the pause before the addresses of a known peer are dialled
	// again. There are at most MaxKnownPeers times MaxKnownPeerAddrs addresses.
	knownPeerPause = time.Minute
	// knownPeerTime is how long a peer is kept after it was connected last. It counts only
	// while another peer is connected: otherwise the clock may be wrong.
	knownPeerTime = 30 * 24 * time.Hour
	// rememberPause is how long changes are gathered before they are saved. The times are
	// saved every rememberEvery at least.
	rememberPause = time.Second
	rememberEvery = time.Hour
)

// knownPeers are the peers that a later process should dial: members, and peers that were
// reached at an address that they list. Their addresses are also dialled here, like seeds,
// while the peer is not in the catalog, because it was forgotten or only an earlier process
// knew it. A nil knownPeers keeps nothing. The manager's mutex guards it, and its methods are
// called with it held unless they say otherwise.
type knownPeers struct {
	m       *Manager
	all     map[sm.PeerID]*discovery.KnownPeer
	dialled map[sm.PeerID]bool // that have a seed of their own
	dirty   chan struct{}      // holds a token when changes must be saved
}

func newKnownPeers(m *Manager, earlier []discovery.KnownPeer) *knownPeers {
	k := &knownPeers{m: m, all: map[sm.PeerID]*discovery.KnownPeer{}, dialled: map[sm.PeerID]bool{}, dirty: make(chan struct{}, 1)}
	for _, e := range earlier[:min(len(earlier), discovery.MaxKnownPeers)] {
		if e.Peer != m.self && len(e.Addrs) > 0 {
			k.all[e.Peer] = &discovery.KnownPeer{Peer: e.Peer, At: e.At, Addrs: slices.Clone(e.Addrs)}
		}
	}
	return k
}

// dialAll calls dial for every known peer.
func (k *knownPeers) dialAll() {
	for id := range k.all {
		k.dial(id)
	}
}

// dial starts a seed that dials a peer's addresses while the peer is not in the catalog.
func (k *knownPeers) dial(id sm.PeerID) {
	if k == nil || k.all[id] == nil || k.dialled[id] || k.m.closing {
		return
	}
	k.dialled[id] = true
	seed := k.m.newSeed("", knownPeerPause)
	longest := max(k.m.cfg.Redial.Min, knownPeerPause)
	seed.pauses = rate.NewBackoff(rate.Bounds{Min: k.m.cfg.Redial.Min, Max: longest})
	seed.list = func(context.Context) ([]string, error) { return k.addrs(id, seed) }
	seed.check = func(string) link.Check {
		return func(addr netip.AddrPort) error { return k.m.mayDial(id, addr) }
	}
	k.m.running.Go(seed.run)
}

// addrs returns the addresses that the seed of a known peer dials. It drops an address at which
// another peer has answered. It is called without the mutex.
func (k *knownPeers) addrs(id sm.PeerID, seed *seed) ([]string, error) {
	k.m.mu.Lock()
	defer k.m.mu.Unlock()
	known := k.all[id]
	if known != nil {
		others := len(known.Addrs)
		known.Addrs = slices.DeleteFunc(known.Addrs, func(addr string) bool {
			peer, answered := seed.peers[addr]
			return answered && peer != id
		})
		if len(known.Addrs) < others {
			k.changed()
		}
		if len(known.Addrs) == 0 {
			delete(k.all, id)
			known = nil
		}
	}
	switch {
	case known == nil:
		delete(k.dialled, id)
		return nil, errSeedOver
	case k.m.peers[id] != nil:
		return nil, nil // the scheduler dials it
	}
	return slices.Clone(known.Addrs), nil
}

// record stores the addresses of a connected peer.
func (k *knownPeers) record(p *peer, entry discovery.Signed) {
	if k == nil || p.current == nil || len(entry.Addrs) == 0 {
		return
	}
	worked := p.target.Worked
	if !slices.Contains(entry.Addrs, worked) {
		worked = p.answered
	}
	if !p.member && !slices.Contains(entry.Addrs, worked) {
		return // no proof that it can be reached
	}
	addrs := dialler.InOrder(entry.Addrs, worked)
	addrs = addrs[:min(len(addrs), discovery.MaxKnownPeerAddrs)]
	known := k.all[p.id]
	switch {
	case known != nil && slices.Equal(known.Addrs, addrs):
		return
	case known == nil && len(k.all) >= discovery.MaxKnownPeers && !k.makeRoom():
		return
	}
	k.all[p.id] = &discovery.KnownPeer{Peer: p.id, At: time.Now(), Addrs: addrs}
	k.changed()
}

// makeRoom drops the peer whose last connection is the oldest. It is false if all are
// connected.
func (k *knownPeers) makeRoom() bool {
	var oldest *discovery.KnownPeer
	for id, known := range k.all {
		if !k.m.isConnected(id) && (oldest == nil || known.At.Before(oldest.At)) {
			oldest = known
		}
	}
	if oldest != nil {
		delete(k.all, oldest.Peer)
	}
	return oldest != nil
}

// drop removes a peer that has left.
func (k *knownPeers) drop(id sm.PeerID) {
	if k != nil && k.all[id] != nil {
		delete(k.all, id)
		k.changed()
	}
}

// changed makes run save the peers soon.
func (k *knownPeers) changed() {
	select {
	case k.dirty <- struct{}{}:
	default:
	}
}

// run saves the peers when they change, until the manager closes. It is called without the
// mutex, as is save.
func (k *knownPeers) run() {
	hourly := time.NewTicker(rememberEvery)
	defer hourly.Stop()
	defer k.save()
	for {
		select {
		case <-k.dirty:
			timer := time.NewTimer(rememberPause) // many peers change at the same time
			select {
			case <-timer.C:
			case <-k.m.done:
				timer.Stop()
				return
			}
		case <-hourly.C:
		case <-k.m.done:
			return
		}
		k.save()
	}
}

// save saves the peers.
func (k *knownPeers) save() {
	k.m.mu.Lock()
	list := k.list(time.Now())
	k.m.mu.Unlock()
	if err := k.m.cfg.SaveKnownPeers(list); err != nil {
		k.m.cfg.Logger.Warn("cannot save known peers", "error", err)
	}
}

// list returns the peers to save, those that were connected last first. It drops peers that
// were not connected for too long.
func (k *knownPeers) list(now time.Time) []discovery.KnownPeer {
	connected := false
	for id, known := range k.all {
		switch p := k.m.peers[id]; {
		case p == nil:
		case len(p.conns) > 0:
			known.At, connected = now, true
		default:
			known.At = later(known.At, p.alive)
		}
	}
	list := make([]discovery.KnownPeer, 0, len(k.all))
	for id, known := range k.all {
		// No peer is dropped while none is connected: the clock may be wrong.
		if connected && now.Sub(known.At) > knownPeerTime {
			delete(k.all, id)
			continue
		}
		list = append(list, discovery.KnownPeer{Peer: id, At: known.At, Addrs: slices.Clone(known.Addrs)})
	}
	slices.SortFunc(list, func(a, b discovery.KnownPeer) int {
		return cmp.Or(b.At.Compare(a.At), a.Peer.Compare(b.Peer))
	})
	return list
}
