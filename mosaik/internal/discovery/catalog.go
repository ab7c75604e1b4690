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

// The bounds of a catalog. Anybody can make up peers. So entries of strangers and of members
// have separate rooms: strangers cannot fill the room of members, to which [Catalog.Keep]
// moves an entry. A newer entry of a peer replaces the older one in the same room.
const (
	MaxPeers        = 4096     // entries of strangers
	MaxCatalogBytes = 8 << 20  // bytes of them together
	MaxMembers      = 4096     // entries of members
	MaxMemberBytes  = 16 << 20 // bytes of them together
)

// maxScan bounds the changes that one call of [Catalog.Changes] visits, and so the time that
// it holds the lock.
const maxScan = 256

// maxOvertakes bounds how often in a row a catalog signs its own entry again because it
// received a newer one. A pause of overtakeRest ends a row. Without the bound, two live
// processes with one identity would outbid each other at full speed.
const (
	maxOvertakes = 16
	overtakeRest = time.Minute
)

// Catalog holds the newest entry of every known peer and this peer's own entry. Its methods
// may be called concurrently.
type Catalog interface {
	// Self returns this peer's own entry.
	Self() Signed
	// Update changes this peer's own entry. It signs what change makes of a copy, with a
	// higher version. Changes of peer, network and version are ignored. An entry that breaks
	// a rule is [ErrEntry], and nothing changes.
	Update(change func(*Entry)) (Signed, error)
	// Put adds another peer's entry. It is false, and the catalog is unchanged, unless the
	// entry is of this network, newer than the known entry of its peer, and fits into the
	// room. Entries of this peer itself are not added. A newer one makes the catalog sign
	// its own entry again.
	Put(Signed) bool
	// PutFrom is Put of an entry that was received on a connection. Changes omits it for the
	// same connection. Connections have numbers from 1.
	PutFrom(s Signed, source uint64) bool
	// Keep moves the peer's entry to the room for members, where it stays until Forget, and
	// replaces it by s if that is newer. It reports whether the peer's entry is in that room.
	Keep(s Signed) bool
	// Room reports whether an entry of the peer with that many bytes fits.
	Room(peer sm.PeerID, bytes int) bool
	// Crowded reports whether more than half of the room for strangers is taken.
	Crowded() bool
	// Changes returns entries of other peers that changed after the cursor, 0 for all, each
	// once and the oldest change first. Together they have at most limit bytes, unless the
	// first one alone has more. The entry of the reader and entries that came over the
	// reader's connection, source, are omitted. next is the cursor for the next call; more
	// reports whether that call may return entries now.
	Changes(cursor uint64, limit int, reader sm.PeerID, source uint64) (entries []Signed, next uint64, more bool)
	// Len returns the number of other peers' entries.
	Len() int
	// Get returns the entry of another peer.
	Get(sm.PeerID) (Signed, bool)
	// All returns the entries of all other peers, sorted by peer.
	All() []Signed
	// Watch has f called for each entry that changes, of other peers and of this one, with
	// the entry that it replaces, zero for none. Calls are in the order of the changes and
	// never overlap. f runs within Put, Keep and Update: it must not block and must not call
	// Put, Keep, Update or Forget. A call may be in flight when cancel returns; none begins
	// after it.
	Watch(f func(s, before Signed)) (cancel func())
	// Forget drops the entry of another peer. Watchers are not called.
	Forget(sm.PeerID)
}

// catalog implements Catalog.
type catalog struct {
	id    link.Identity
	clock func() time.Time

	// changing is held during a change and the calls of its watchers, which keeps those
	// calls in order. mu guards the fields below and is not held during calls of watchers.
	// changing is locked before mu. A watcher may lock what its owner holds while it calls
	// Get, Self or Changes, which lock only mu.
	changing sync.Mutex
	mu       sync.Mutex

	self      Signed
	overtakes int       // in a row; guarded by changing
	overtook  time.Time // the last of them; guarded by changing
	others    map[sm.PeerID]*known
	strangers room
	members   room
	changes   []change // by sequence; only the last one of each peer counts
	last      uint64   // sequence of the last change
	watchers  map[*func(s, before Signed)]struct{}
}

// known is another peer's entry.
type known struct {
	Signed
	room   *room
	seq    uint64 // of its last change
	source uint64 // number of the connection that it came over, 0 for none
}

// change records that the entry of a peer changed.
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

// NewCatalog returns a catalog that holds only this peer's own entry, e, whose network,
// addresses and so on the caller has set. The version of the entry is the clock's time in
// nanoseconds, so a restarted peer's entry is newer than its entries before. If it is not,
// because a clock was wrong, other peers send the newer one back and the catalog signs its
// own entry with a higher version.
func NewCatalog(id link.Identity, e Entry, clock func() time.Time) (Catalog, error) {
	e.Version = version(clock())
	self, err := Sign(id, e)
	if err != nil {
		return nil, fmt.Errorf("make catalog: %w", err)
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

// version returns the version of an entry that is signed at the time.
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

// update is Update for a caller that holds changing. The new version is higher than the one
// before and at least atLeast.
func (c *catalog) update(change func(*Entry), atLeast uint64) (Signed, error) {
	old := c.Self()
	if old.Version == math.MaxUint64 {
		return old, fmt.Errorf("update the entry of peer %s: version %d is the highest; use another identity", old.Peer.Short(), old.Version)
	}
	e := old.Clone()
	change(&e)
	e.Peer, e.Network = old.Peer, old.Network
	e.Version = max(old.Version+1, atLeast)
	self, err := Sign(c.id, e)
	if err != nil {
		return old, fmt.Errorf("update the entry of peer %s: %w", old.Peer.Short(), err)
	}
	c.mu.Lock()
	c.self = self
	c.mu.Unlock()
	c.notify(self, old)
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
	if !c.add(s, source) {
		return false
	}
	c.notify(s, before)
	return true
}

// add adds another peer's entry if it is news and fits.
func (c *catalog) add(s Signed, source uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isNews(s) || !c.fits(s.Peer, len(s.raw)) {
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

// isNews reports whether the entry is another peer's, of this network and newer than the
// known one. The caller holds mu, as for fits, set and counts.
func (c *catalog) isNews(s Signed) bool {
	k := c.others[s.Peer]
	return !s.IsZero() && s.Network == c.self.Network && s.Peer != c.self.Peer && (k == nil || s.Version > k.Version)
}

// fits reports whether an entry of the peer fits into its room.
func (c *catalog) fits(peer sm.PeerID, bytes int) bool {
	if k := c.others[peer]; k != nil {
		return k.room.fits(0, bytes-len(k.raw))
	}
	return c.strangers.fits(1, bytes)
}

// set replaces an entry and records the change.
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
		c.notify(s, before)
	}
	return kept
}

func (c *catalog) keep(s Signed) (kept, news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, news := c.others[s.Peer], c.isNews(s)
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

// overtake signs our own entry again if s, which is ours too, differs and is not older. An
// earlier process signed s while its clock was ahead, and other peers would keep preferring
// it. The caller holds changing.
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
	// The entry is unchanged but for its version, so it breaks no rule.
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

// notify calls the watchers. The caller holds changing and does not hold mu.
func (c *catalog) notify(s, before Signed) {
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
