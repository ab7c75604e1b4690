package discovery

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// The bounds of a catalog, so that a peer that invents others fills it and
// nothing else. Known peers' entries are replaced within them.
const (
	MaxPeers        = 4096    // others' entries
	MaxCatalogBytes = 8 << 20 // bytes of them together
)

// maxOvertakes bounds how often a catalog signs its own entry anew because a
// newer one of its own turned up: two live processes with one identity must not
// outbid each other for ever.
const maxOvertakes = 16

// Catalog holds the newest entry of every known peer and this peer's own. Its
// methods may be called concurrently.
type Catalog interface {
	// Self returns this peer's own entry.
	Self() Signed
	// Update changes this peer's own entry: change gets a copy, which is signed
	// with a version higher than any before. It cannot change peer, network
	// and version. An entry that breaks a rule is [ErrEntry] and changes nothing.
	Update(change func(*Entry)) (Signed, error)
	// Put takes another peer's entry in and reports whether it was news: of
	// this network and newer than what was known of its peer. Entries of this
	// peer itself are never taken in.
	Put(Signed) bool
	// Get returns the entry of another peer.
	Get(sm.PeerID) (Signed, bool)
	// All returns the entries of all other peers, sorted by peer.
	All() []Signed
	// Watch has f called with each new entry from now on, others' and own, one
	// call at a time and in the order of the changes. f runs within Put and
	// Update: it must not block and must not call Put, Update or Forget. A call
	// may be under way when cancel returns; none begins after it.
	Watch(f func(Signed)) (cancel func())
	// Forget drops the entry of another peer. Watchers are not told.
	Forget(sm.PeerID)
}

// catalog is the Catalog that NewCatalog makes.
type catalog struct {
	id link.Identity

	// changing is held through a change and the calls of its watchers, which
	// keeps those in order; mu only while the fields are touched.
	changing sync.Mutex
	mu       sync.Mutex

	self      Signed
	overtakes int
	others    map[sm.PeerID]Signed
	bytes     int // of others
	watchers  map[*func(Signed)]struct{}
}

// NewCatalog returns a catalog that knows only this peer's own entry, e, whose
// network, addresses and so on the caller has set. Its version is the time in
// nanoseconds, so that a restarted peer's entry is newer than those before.
func NewCatalog(id link.Identity, e Entry) (Catalog, error) {
	e.Version = now()
	self, err := Sign(id, e)
	if err != nil {
		return nil, fmt.Errorf("discovery: make catalog: %w", err)
	}
	return &catalog{
		id:       id,
		self:     self,
		others:   map[sm.PeerID]Signed{},
		watchers: map[*func(Signed)]struct{}{},
	}, nil
}

func now() uint64 { return uint64(time.Now().UnixNano()) }

func (c *catalog) Self() Signed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.self
}

func (c *catalog) Update(change func(*Entry)) (Signed, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	return c.update(change, now())
}

// update is Update for a caller that holds changing. The new version is higher
// than the one before and not lower than atLeast.
func (c *catalog) update(change func(*Entry), atLeast uint64) (Signed, error) {
	old := c.Self()
	if old.Version == math.MaxUint64 {
		return old, fmt.Errorf("discovery: update the entry of peer %s: there is no higher version", old.Peer.Short())
	}
	e := old.Clone()
	change(&e)
	e.Peer, e.Network = old.Peer, old.Network
	e.Version = max(old.Version+1, atLeast)
	self, err := Sign(c.id, e)
	if err != nil {
		return old, fmt.Errorf("discovery: update the entry of peer %s: %w", old.Peer.Short(), err)
	}
	c.mu.Lock()
	c.self = self
	c.mu.Unlock()
	c.tell(self)
	return self, nil
}

func (c *catalog) Put(s Signed) bool {
	c.changing.Lock()
	defer c.changing.Unlock()
	if s.Peer == c.id.Peer() {
		c.overtake(s)
		return false
	}
	if !c.take(s) {
		return false
	}
	c.tell(s)
	return true
}

// take takes another peer's entry in when it is news and there is room.
func (c *catalog) take(s Signed) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, known := c.others[s.Peer]
	grown := c.bytes - len(old.raw) + len(s.raw)
	switch {
	case s.IsZero() || s.Network != c.self.Network:
		return false
	case known && s.Version <= old.Version:
		return false
	case !known && len(c.others) >= MaxPeers || grown > MaxCatalogBytes:
		return false
	}
	c.others[s.Peer] = s
	c.bytes = grown
	return true
}

// overtake signs our own entry anew when s, ours too, is newer: we signed it
// before a restart, when our clock was ahead, and others would go on preferring
// it.
func (c *catalog) overtake(s Signed) {
	self := c.Self()
	if s.Network != self.Network || s.Version <= self.Version || c.overtakes == maxOvertakes || s.Version == math.MaxUint64 {
		return
	}
	c.overtakes++
	// The entry itself is unchanged and keeps the rules.
	_, _ = c.update(func(*Entry) {}, s.Version+1)
}

func (c *catalog) Get(peer sm.PeerID) (Signed, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.others[peer]
	return s, ok
}

func (c *catalog) All() []Signed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.others), func(a, b Signed) int { return a.Peer.Compare(b.Peer) })
}

func (c *catalog) Watch(f func(Signed)) (cancel func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := &f
	c.watchers[key] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watchers, key)
	}
}

func (c *catalog) Forget(peer sm.PeerID) {
	c.changing.Lock()
	defer c.changing.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes -= len(c.others[peer].raw)
	delete(c.others, peer)
}

// tell calls the watchers. The caller holds changing, not mu.
func (c *catalog) tell(s Signed) {
	c.mu.Lock()
	watchers := slices.Collect(maps.Keys(c.watchers))
	c.mu.Unlock()
	for _, f := range watchers {
		c.mu.Lock()
		_, still := c.watchers[f]
		c.mu.Unlock()
		if still {
			(*f)(s)
		}
	}
}
