package logstore

import (
	"fmt"
	"sync"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
	"github.com/mosaik-go/mosaik/sm"
)

// sharedStores are the stores of this process that somebody uses.
var sharedStores = struct {
	sync.Mutex
	byPlace map[storePlace]*sharedStore
}{byPlace: map[storePlace]*sharedStore{}}

type storePlace struct {
	fs  vfs.FS
	dir string
}

// sharedStore is the store of a directory, open while somebody uses it.
type sharedStore struct {
	place storePlace
	users int // guarded by sharedStores

	mu    sync.Mutex // held while the store is opened or closed
	store *diskStore // nil while it is not open
}

// acquire returns the store of a directory, which it opens if nobody uses it.
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
		return nil, fmt.Errorf("%w: %s is of network %s", ErrForeign, dir, s.store.network)
	}
	return s, nil
}

// release closes the store if nobody else uses it.
func (s *sharedStore) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sharedStores.Lock()
	last := s.users == 1
	sharedStores.Unlock()
	var err error
	if last {
		// Who comes now waits for s.mu and opens it again.
		err = s.store.close()
		s.store = nil
	}
	s.leave()
	return err
}

// leave gives up one use.
func (s *sharedStore) leave() {
	sharedStores.Lock()
	defer sharedStores.Unlock()
	if s.users--; s.users == 0 {
		delete(sharedStores.byPlace, s.place)
	}
}
