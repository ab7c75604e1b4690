package discovery

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/sm"
)

var network = sm.ID("network")

func newTestCatalog(t *testing.T) Catalog {
	t.Helper()
	c, err := NewCatalog(identity(t, 1), Entry{Network: network, Addrs: []string{"self:1"}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// of returns an entry of the n-th identity.
func of(t *testing.T, n byte, version uint64, change ...func(*Entry)) Signed {
	t.Helper()
	e := Entry{Network: network, Version: version}
	for _, f := range change {
		f(&e)
	}
	s, err := Sign(identity(t, n), e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNewCatalog(t *testing.T) {
	t.Parallel()
	before := uint64(time.Now().UnixNano())
	c := newTestCatalog(t)
	self := c.Self()
	if self.Peer != identity(t, 1).Peer() || self.Version < before || self.Version > uint64(time.Now().UnixNano()) {
		t.Errorf("the own entry is %+v", self.Entry)
	}
	if _, err := Parse(self.Bytes()); err != nil {
		t.Error(err)
	}
	_, err := NewCatalog(identity(t, 1), Entry{}, time.Now)
	wantErr(t, "no network", err, "make catalog: ")
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	c := newTestCatalog(t)
	var told []Signed
	c.Watch(func(s, _ Signed) { told = append(told, s) })
	old := c.Self()
	group := sm.Digest{7}
	s, err := c.Update(func(e *Entry) {
		e.Peer, e.Network, e.Version = sm.PeerID{1}, sm.Digest{1}, 1
		e.Groups = append(e.Groups, group)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := old.Clone()
	want.Version, want.Groups = s.Version, []sm.Digest{group}
	if diff := cmp.Diff(want, s.Entry, emptyIsNil); diff != "" {
		t.Errorf("entries differ (-want +got):\n%s", diff)
	}
	if s.Version <= old.Version {
		t.Errorf("version %d does not grow from %d", s.Version, old.Version)
	}
	if diff := cmp.Diff(s.Bytes(), c.Self().Bytes()); diff != "" {
		t.Errorf("Self is not what Update returned:\n%s", diff)
	}
	if len(told) != 1 || told[0].Version != s.Version {
		t.Errorf("watchers were told %d entries", len(told))
	}

	_, err = c.Update(func(e *Entry) { e.Tags = []string{""} })
	wantErr(t, "a bad tag", err, "update the entry of peer")
	if got := c.Self().Version; got != s.Version || len(told) != 1 {
		t.Errorf("a failed update left version %d, want %d", got, s.Version)
	}
}

func TestPut(t *testing.T) {
	t.Parallel()
	c := newTestCatalog(t)
	var told []uint64
	c.Watch(func(s, _ Signed) { told = append(told, s.Version) })
	for i, step := range []struct {
		s    Signed
		want bool
	}{
		{of(t, 2, 5), true},
		{of(t, 2, 5), false},
		{of(t, 2, 4), false},
		{of(t, 2, 6), true},
		{of(t, 3, 1), true},
		{of(t, 4, 1, func(e *Entry) { e.Network = sm.ID("other") }), false},
		{of(t, 1, 1), false}, // self
		{Signed{}, false},
	} {
		if got := c.Put(step.s); got != step.want {
			t.Errorf("step %d: Put is %v, want %v", i, got, step.want)
		}
	}
	if diff := cmp.Diff([]uint64{5, 6, 1}, told); diff != "" {
		t.Errorf("watchers were told other versions (-want +got):\n%s", diff)
	}
	if s, ok := c.Get(identity(t, 2).Peer()); !ok || s.Version != 6 {
		t.Errorf("Get returns version %d, %v, want 6", s.Version, ok)
	}
	if _, ok := c.Get(identity(t, 1).Peer()); ok {
		t.Error("Get returns the own entry")
	}
	all := c.All()
	if len(all) != 2 || all[0].Peer.Compare(all[1].Peer) >= 0 {
		t.Errorf("All returns %d entries, want 2, sorted", len(all))
	}
	c.Forget(identity(t, 2).Peer())
	c.Forget(identity(t, 2).Peer())
	if _, ok := c.Get(identity(t, 2).Peer()); ok || len(c.All()) != 1 {
		t.Error("a forgotten entry is still there")
	}
	if !c.Put(of(t, 2, 1)) {
		t.Error("an entry of a forgotten peer is not news")
	}
}

// TestOvertake puts entries of the catalog's own peer, signed before a restart while the clock was
// ahead.
func TestOvertake(t *testing.T) {
	t.Parallel()
	c := newTestCatalog(t)
	var told int
	c.Watch(func(_, _ Signed) { told++ })
	version := c.Self().Version
	for i := range maxOvertakes {
		version += 1 << 50
		if c.Put(of(t, 1, version, func(e *Entry) { e.Tags = []string{"old"} })) {
			t.Fatal("an entry of this peer was taken in")
		}
		version++
		if got := c.Self(); got.Version != version || len(got.Tags) != 0 || told != i+1 {
			t.Fatalf("the own entry has version %d, tags %v, want %d and none", got.Version, got.Tags, version)
		}
	}
	c.Put(of(t, 1, version+1))
	if got := c.Self().Version; got != version {
		t.Errorf("version %d, want %d: this must end some time", got, version)
	}
	c.(*catalog).overtook = time.Now().Add(-overtakeRest)
	c.Put(of(t, 1, version+1))
	if got := c.Self().Version; got != version+2 {
		t.Errorf("version %d after a pause, want %d", got, version+2)
	}
}

// TestOvertakeOfTheSameAge puts a different entry of the catalog's own peer with the same version.
func TestOvertakeOfTheSameAge(t *testing.T) {
	t.Parallel()
	c := newTestCatalog(t)
	own := c.Self()
	c.Put(own)
	if got := c.Self().Version; got != own.Version {
		t.Errorf("version %d after its own entry came back, want %d", got, own.Version)
	}
	c.Put(of(t, 1, own.Version, func(e *Entry) { e.Tags = []string{"old"} }))
	if got := c.Self(); got.Version != own.Version+1 || len(got.Tags) != 0 {
		t.Errorf("the own entry has version %d, tags %v, want %d and none", got.Version, got.Tags, own.Version+1)
	}
}

func TestNoHigherVersion(t *testing.T) {
	t.Parallel()
	c := newTestCatalog(t)
	c.Put(of(t, 1, math.MaxUint64-1))
	if got := c.Self().Version; got != math.MaxUint64 {
		t.Fatalf("version %d, want the highest", got)
	}
	if _, err := c.Update(func(*Entry) {}); err == nil || c.Self().Version != math.MaxUint64 {
		t.Errorf("error %v, version %d", err, c.Self().Version)
	}
}

// fill uses up the room of strangers except for that many bytes.
func fill(c *catalog, bytes int) {
	c.strangers.bytes = c.strangers.maxBytes - bytes
}

func TestCatalogIsBounded(t *testing.T) {
	t.Parallel()
	c := newTestCatalog(t).(*catalog)
	c.strangers.peers = MaxPeers - 1
	if !c.Room(identity(t, 2).Peer(), 1) || !c.Put(of(t, 2, 1)) || !c.Put(of(t, 2, 2)) {
		t.Error("no room for the last peer")
	}
	if c.Room(identity(t, 3).Peer(), 1) || c.Put(of(t, 3, 1)) {
		t.Error("one peer too many was accepted")
	}
	c.Forget(identity(t, 2).Peer())
	if !c.Put(of(t, 3, 1)) {
		t.Error("no room after Forget")
	}

	c = newTestCatalog(t).(*catalog)
	size := len(of(t, 2, 1).Bytes())
	fill(c, size)
	if !c.Put(of(t, 2, 1)) || !c.Put(of(t, 2, 2)) {
		t.Error("no room for what fits")
	}
	if c.Room(identity(t, 2).Peer(), size+1) || c.Put(of(t, 2, 3, tagged)) || c.Put(of(t, 3, 1)) {
		t.Error("more bytes than allowed were accepted")
	}
	c.Forget(identity(t, 2).Peer())
	if !c.Put(of(t, 3, 1)) {
		t.Error("no room after Forget")
	}
}

func tagged(e *Entry) { e.Tags = []string{"t"} }

// TestMembersHaveRoom fills the room of strangers. A member's larger entry must still be added, and
// the entries of members must not use the room of strangers.
func TestMembersHaveRoom(t *testing.T) {
	t.Parallel()
	c := newTestCatalog(t).(*catalog)
	var told []uint64
	c.Watch(func(s, _ Signed) { told = append(told, s.Version) })
	c.Put(of(t, 2, 1))
	size := len(of(t, 2, 1).Bytes())
	fill(c, size)
	if c.Keep(Signed{}) || c.Keep(of(t, 3, 1, func(e *Entry) { e.Network = sm.ID("other") })) || c.Keep(of(t, 1, 1)) {
		t.Error("kept what is no entry of another peer of this network")
	}
	if !c.Keep(of(t, 2, 1)) || !c.Room(identity(t, 2).Peer(), size+1) || !c.Put(of(t, 2, 2, tagged)) || !c.Keep(of(t, 2, 3, tagged)) {
		t.Error("a member's larger entry was refused")
	}
	if !c.Keep(of(t, 2, 2)) { // an old one keeps the newer
		t.Error("the member is no longer kept")
	}
	fill(c, 0)
	if !c.Keep(of(t, 3, 7)) || c.Put(of(t, 4, 1)) { // not known before
		t.Error("a new member was refused or a stranger accepted")
	}
	if diff := cmp.Diff([]uint64{1, 2, 3, 7}, told); diff != "" {
		t.Errorf("watchers were told other versions (-want +got):\n%s", diff)
	}
	if s, _ := c.Get(identity(t, 2).Peer()); s.Version != 3 || c.Len() != 2 {
		t.Errorf("version %d of %d entries, want 3 of 2", s.Version, c.Len())
	}
	c.Forget(identity(t, 2).Peer())
	c.Forget(identity(t, 3).Peer())
	if c.members.peers != 0 || c.members.bytes != 0 || c.strangers.peers != 0 {
		t.Errorf("room taken after Forget: %+v and %+v", c.members, c.strangers)
	}

	c.members.peers = MaxMembers
	if c.Keep(of(t, 3, 8)) {
		t.Error("one member too many was accepted")
	}
	fill(c, size)
	c.Put(of(t, 4, 1))
	if c.Keep(of(t, 4, 2)) || c.strangers.peers != 1 || c.strangers.bytes != MaxCatalogBytes {
		t.Errorf("a stranger has moved to the full room of members: %+v", c.strangers)
	}
}

// TestChanges reads a catalog through a cursor.
func TestChanges(t *testing.T) {
	t.Parallel()
	c := newTestCatalog(t).(*catalog)
	reader := identity(t, 9).Peer()
	read := func(cursor uint64, limit int) (versions []uint64, next uint64, more bool) {
		entries, next, more := c.Changes(cursor, limit, reader, 77)
		for _, e := range entries {
			versions = append(versions, e.Version)
		}
		return versions, next, more
	}
	wants := func(what string, want []uint64, more bool, got []uint64, next uint64, gotMore bool) uint64 {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || more != gotMore {
			t.Errorf("%s: more %v, want %v; versions (-want +got):\n%s", what, gotMore, more, diff)
		}
		return next
	}
	with := func(what string, want []uint64, more bool, cursor uint64, limit int) uint64 {
		t.Helper()
		got, next, m := read(cursor, limit)
		return wants(what, want, more, got, next, m)
	}
	with("nothing", nil, false, 0, 1)
	c.Put(of(t, 2, 12))
	c.PutFrom(of(t, 3, 13), 5)
	c.PutFrom(of(t, 4, 14), 77) // came from the reader
	c.Put(of(t, 9, 19))         // its own
	c.Put(of(t, 5, 15))
	size := len(of(t, 2, 12).Bytes())
	cursor := with("the first", []uint64{12}, true, 0, 1)
	cursor = with("all but", []uint64{13, 15}, false, cursor, 2*size)
	with("no more", nil, false, cursor, 1)
	c.Put(of(t, 2, 22))
	c.Put(of(t, 2, 32))
	c.Put(of(t, 3, 33))
	c.Forget(identity(t, 3).Peer())
	c.Put(of(t, 4, 34))
	with("the newest of each", []uint64{32, 34}, false, cursor, MaxCatalogBytes)
	with("from the start", []uint64{15, 32, 34}, false, 0, MaxCatalogBytes)

	for v := range uint64(10 * maxScan) {
		c.Put(of(t, 2, 100+v))
	}
	if got, most := len(c.changes), 2*maxScan; got > most {
		t.Errorf("%d changes of %d entries are kept, want %d at most", got, c.Len(), most)
	}
	for v := range uint64(maxScan) {
		c.Put(of(t, 9, 10_000+v))
	}
	c.Put(of(t, 3, 1))
	var got []uint64
	for calls, more := 0, true; more; calls++ {
		var versions []uint64
		versions, cursor, more = read(cursor, MaxCatalogBytes)
		got = append(got, versions...)
		if calls > 10 {
			t.Fatal("there is no end")
		}
	}
	wants("behind many changes", []uint64{34, 100 + 10*maxScan - 1, 1}, false, got, 0, false)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	c := newTestCatalog(t)
	var calls int // unguarded: calls must not overlap
	var last uint64
	cancel := c.Watch(func(s, _ Signed) {
		calls++
		if s.Peer != c.Self().Peer { // a watcher may read the catalog
			return
		}
		if s.Version <= last {
			t.Errorf("version %d was told after %d", s.Version, last)
		}
		last = s.Version
	})
	var done sync.WaitGroup
	for i := range byte(4) {
		done.Go(func() {
			for range 50 {
				if _, err := c.Update(func(*Entry) {}); err != nil {
					t.Error(err)
				}
			}
		})
		entries := []Signed{of(t, i+2, 1), of(t, i+2, 2)}
		done.Go(func() {
			for _, s := range entries {
				c.Put(s)
			}
		})
	}
	done.Wait()
	if want := 4*50 + 4*2; calls != want {
		t.Errorf("%d calls, want %d", calls, want)
	}
	cancel()
	cancel()
	c.Put(of(t, 9, 1))
	if want := 4*50 + 4*2; calls != want {
		t.Error("called after cancel")
	}
	// A watcher may cancel itself and other watchers.
	var own func()
	own = c.Watch(func(_, _ Signed) { own() })
	c.Put(of(t, 9, 2))
}
