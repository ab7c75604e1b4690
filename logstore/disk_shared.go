package logstore

import (
	"fmt"
	"sync"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
	"github.com/mosaik-go/mosaik/sm"
)

// sharedStores holds the stores in use in this process.
var sharedStores = struct {
	sync.Mutex
	byPlace map[storePlace]*sharedStore
}{byPlace: map[storePlace]*sharedStore{}}

// storePlace identifies a store.
type storePlace struct {
	fs  vfs.FS
	dir string
}

// sharedStore is the store of a directory. It is open while it has users.
type sharedStore struct {
	place storePlace
	users int // guarded by sharedStores

	mu    sync.Mutex // held while the store is opened or closed
	store *diskStore // nil unless it is open
}

// acquire returns the store of a directory, and opens it if it has no users. The caller
// must release it.
func acquire(cfg diskConfig, dir string, network sm.Digest) (*sharedStore, error) {
	place := storePlace{cfg.fs, dir}
	sharedStores.Lock()
	s := sharedStores.byPlace[place]
	if s == nil {
		s = &sharedStore{place: place}
		sharedStores.byPlace[place] = s
	}
	s.users++
	sharedStores.Unlock()

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		store, err := openStore(cfg, dir, network)
		if err != nil {
			s.leave()
			return nil, err
		}
		s.store = store
	}
	if s.store.network != network {
		s.leave()
		return nil, fmt.Errorf("%w: %s belongs to network %s; use another directory", ErrForeign, dir, s.store.network)
	}
	return s, nil
}

// release ends one use of the store, and closes it after the last one.
func (s *sharedStore) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sharedStores.Lock()
	last := s.users == 1
	sharedStores.Unlock()
	var err error
	if last {
		// A concurrent acquire waits for s.mu and opens the store again.
		err = s.store.close()
		s.store = nil
	}
	s.leave()
	return err
}

// leave removes a user.
func (s *sharedStore) leave() {
	sharedStores.Lock()
	defer sharedStores.Unlock()
	if s.users--; s.users == 0 {
		delete(sharedStores.byPlace, s.place)
	}
}
