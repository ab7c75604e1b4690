package discovery

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// The bounds of a catalog. Anybody can make up peers, so their entries have a
// room of their own; those of members, for which [Catalog.Keep] is called, have
// another that strangers cannot fill. Known peers' entries are replaced within
// the room that they are in.
const (
	MaxPeers        = 4096     // entries of strangers
	MaxCatalogBytes = 8 << 20  // bytes of them together
	MaxMembers      = 4096     // entries of members
	MaxMemberBytes  = 16 << 20 // bytes of them together
)

// maxScan bounds the changes that one call of [Catalog.Changes] looks at.
const maxScan = 256

// maxOvertakes bounds how often in a row a catalog signs its own entry again because
// a newer one of its own turned up, and overtakeRest is the pause that ends a row: two
// live processes with one identity must not outbid each other at full speed.
const (
	maxOvertakes = 16
	overtakeRest = time.Minute
)

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
	// this network and newer than what was known of its peer, with room for it.
	// Entries of this peer itself are never taken in.
	Put(Signed) bool
	// PutFrom is Put of an entry that came over a connection, which Changes for
	// the connection leaves out. Connections have numbers from 1.
	PutFrom(s Signed, source uint64) bool
	// Keep moves the peer's entry to the room for members, where it stays until
	// Forget, and puts s, which may be the entry that is known, there. It reports
	// whether the entry is in that room.
	Keep(s Signed) bool
	// Room reports whether an entry of the peer with that many bytes fits in.
	Room(peer sm.PeerID, bytes int) bool
	// Crowded reports whether more than half of the room for strangers is taken.
	Crowded() bool
	// Changes returns entries of other peers that changed after the cursor, 0
	// for all, each once, the oldest change first: as many as have at most limit
	// bytes together, but one at least if there is one. Left out are the entry
	// of the reader and what came over the reader's connection. It returns the
	// cursor behind them and whether there is more.
	Changes(cursor uint64, limit int, reader sm.PeerID, source uint64) (entries []Signed, next uint64, more bool)
	// Len returns the number of other peers' entries.
	Len() int
	// Get returns the entry of another peer.
	Get(sm.PeerID) (Signed, bool)
	// All returns the entries of all other peers, sorted by peer.
	All() []Signed
	// Watch has f called with each new entry from now on, others' and own, and with
	// the entry that it replaces, zero for none, one call at a time and in the order
	// of the changes. f runs within Put and Update: it must not block and must not
	// call Put, Keep, Update or Forget. A call may be in flight when cancel returns;
	// none begins after it.
	Watch(f func(s, before Signed)) (cancel func())
	// Forget drops the entry of another peer. Watchers are not told.
	Forget(sm.PeerID)
}

// catalog is the Catalog that NewCatalog makes.
type catalog struct {
	id    link.Identity
	clock func() time.Time

	// changing is held through a change and the calls of its watchers, which
	// keeps those in order; mu only while the fields are touched.
	changing sync.Mutex
	mu       sync.Mutex

	self      Signed
	overtakes int       // in a row
	overtook  time.Time // when the last of them was
	others    map[sm.PeerID]*known
	strangers room
	members   room
	changes   []change // ascending; only a peer's last one counts
	last      uint64   // sequence of the last change
	watchers  map[*func(s, before Signed)]struct{}
}

// known is another peer's entry.
type known struct {
	Signed
	room   *room
	seq    uint64 // of its last change
	source uint64 // connection that it came over
}

// change says whose entry changed.
type change struct {
	seq  uint64
	peer sm.PeerID
}

// room is a bounded share of the catalog.
type room struct {
	peers, bytes       int
	maxPeers, maxBytes int
}

func (r *room) fits(peers, bytes int) bool {
	return (peers <= 0 || r.peers+peers <= r.maxPeers) && (bytes <= 0 || r.bytes+bytes <= r.maxBytes)
}

func (r *room) add(peers, bytes int) {
	r.peers += peers
	r.bytes += bytes
}

// NewCatalog returns a catalog that knows only this peer's own entry, e, whose
// network, addresses and so on the caller has set. Its version is the clock's time in
// nanoseconds, so that a restarted peer's entry is newer than those before. Where it
// is not, because a clock was wrong, others send the newer one back and the catalog
// overtakes it.
func NewCatalog(id link.Identity, e Entry, clock func() time.Time) (Catalog, error) {
	e.Version = version(clock())
	self, err := Sign(id, e)
	if err != nil {
		return nil, fmt.Errorf("discovery: make catalog: %w", err)
	}
	return &catalog{
		id:        id,
		clock:     clock,
		self:      self,
		others:    map[sm.PeerID]*known{},
		strangers: room{maxPeers: MaxPeers, maxBytes: MaxCatalogBytes},
		members:   room{maxPeers: MaxMembers, maxBytes: MaxMemberBytes},
		watchers:  map[*func(s, before Signed)]struct{}{},
	}, nil
}

// version returns the version of an entry that is signed at a time.
func version(at time.Time) uint64 { return uint64(max(0, at.UnixNano())) }

func (c *catalog) Self() Signed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.self
}

func (c *catalog) Update(change func(*Entry)) (Signed, error) {
	c.changing.Lock()
	defer c.changing.Unlock()
	return c.update(change, version(c.clock()))
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
	c.tell(self, old)
	return self, nil
}

func (c *catalog) Put(s Signed) bool { return c.PutFrom(s, 0) }

func (c *catalog) PutFrom(s Signed, source uint64) bool {
	c.changing.Lock()
	defer c.changing.Unlock()
	if s.Peer == c.id.Peer() {
		c.overtake(s)
		return false
	}
	before, _ := c.Get(s.Peer)
	if !c.take(s, source) {
		return false
	}
	c.tell(s, before)
	return true
}

// take accepts another peer's entry when it is news and there is room.
func (c *catalog) take(s Signed, source uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.news(s) || !c.fits(s.Peer, len(s.raw)) {
		return false
	}
	k := c.others[s.Peer]
	if k == nil {
		k = &known{room: &c.strangers}
		c.others[s.Peer] = k
		k.room.add(1, 0)
	}
	c.set(k, s, source)
	return true
}

// news reports whether the entry is another peer's, of this network and newer
// than what is known. The caller holds mu, as for what follows.
func (c *catalog) news(s Signed) bool {
	k := c.others[s.Peer]
	return !s.IsZero() && s.Network == c.self.Network && s.Peer != c.self.Peer && (k == nil || s.Version > k.Version)
}

// fits reports whether there is room for an entry of the peer.
func (c *catalog) fits(peer sm.PeerID, bytes int) bool {
	if k := c.others[peer]; k != nil {
		return k.room.fits(0, bytes-len(k.raw))
	}
	return c.strangers.fits(1, bytes)
}

// set replaces an entry.
func (c *catalog) set(k *known, s Signed, source uint64) {
	k.room.add(0, len(s.raw)-len(k.raw))
	c.last++
	k.Signed, k.seq, k.source = s, c.last, source
	if len(c.changes) > 2*len(c.others)+maxScan {
		c.changes = slices.DeleteFunc(c.changes, func(x change) bool { return !c.counts(x) })
	}
	c.changes = append(c.changes, change{c.last, s.Peer})
}

// counts reports whether a change is the last one of its peer.
func (c *catalog) counts(x change) bool {
	k := c.others[x.peer]
	return k != nil && k.seq == x.seq
}

func (c *catalog) Keep(s Signed) bool {
	c.changing.Lock()
	defer c.changing.Unlock()
	before, _ := c.Get(s.Peer)
	kept, news := c.keep(s)
	if news {
		c.tell(s, before)
	}
	return kept
}

func (c *catalog) keep(s Signed) (kept, news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, news := c.others[s.Peer], c.news(s)
	switch {
	case k == nil && (!news || !c.members.fits(1, len(s.raw))):
		return false, false
	case k == nil:
		k = &known{room: &c.members}
		c.others[s.Peer] = k
		k.room.add(1, 0)
	case k.room == &c.strangers:
		size := len(k.raw)
		if news {
			size = max(size, len(s.raw))
		}
		if !c.members.fits(1, size) {
			return false, false
		}
		k.room.add(-1, -len(k.raw))
		k.room = &c.members
		k.room.add(1, len(k.raw))
	}
	if news = news && c.fits(s.Peer, len(s.raw)); news {
		c.set(k, s, 0)
	}
	return true, news
}

func (c *catalog) Room(peer sm.PeerID, bytes int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fits(peer, bytes)
}

func (c *catalog) Crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.strangers
	return r.peers > r.maxPeers/2 || r.bytes > r.maxBytes/2
}

func (c *catalog) Changes(cursor uint64, limit int, reader sm.PeerID, source uint64) (entries []Signed, next uint64, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from, _ := slices.BinarySearchFunc(c.changes, cursor+1, func(x change, seq uint64) int { return cmp.Compare(x.seq, seq) })
	size := 0
	for i, x := range c.changes[from:] {
		if i == maxScan {
			return entries, cursor, true
		}
		if k := c.others[x.peer]; c.counts(x) && x.peer != reader && (k.source == 0 || k.source != source) {
			if size += len(k.raw); len(entries) > 0 && size > limit {
				return entries, cursor, true
			}
			entries = append(entries, k.Signed)
		}
		cursor = x.seq
	}
	return entries, cursor, false
}

func (c *catalog) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.others)
}

// overtake signs our own entry again when s, ours too, is another one and not older:
// a process before this one signed it, whose clock was ahead, and others would keep
// preferring it.
func (c *catalog) overtake(s Signed) {
	self, now := c.Self(), time.Now()
	if now.Sub(c.overtook) >= overtakeRest {
		c.overtakes = 0
	}
	if s.Network != self.Network || s.Version < self.Version || bytes.Equal(s.raw, self.raw) || c.overtakes == maxOvertakes || s.Version == math.MaxUint64 {
		return
	}
	c.overtakes++
	c.overtook = now
	// The entry itself is unchanged and keeps the rules.
	_, _ = c.update(func(*Entry) {}, s.Version+1)
}

func (c *catalog) Get(peer sm.PeerID) (Signed, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.others[peer]; k != nil {
		return k.Signed, true
	}
	return Signed{}, false
}

func (c *catalog) All() []Signed {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Signed, 0, len(c.others))
	for _, k := range c.others {
		all = append(all, k.Signed)
	}
	slices.SortFunc(all, func(a, b Signed) int { return a.Peer.Compare(b.Peer) })
	return all
}

func (c *catalog) Watch(f func(s, before Signed)) (cancel func()) {
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
	if k := c.others[peer]; k != nil {
		k.room.add(-1, -len(k.raw))
		delete(c.others, peer)
	}
}

// tell calls the watchers. The caller holds changing, not mu.
func (c *catalog) tell(s, before Signed) {
	c.mu.Lock()
	watchers := slices.Collect(maps.Keys(c.watchers))
	c.mu.Unlock()
	for _, f := range watchers {
		c.mu.Lock()
		_, still := c.watchers[f]
		c.mu.Unlock()
		if still {
			(*f)(s, before)
		}
	}
}
