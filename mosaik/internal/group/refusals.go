package group

import (
	"maps"
	"slices"
	"sync"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// maxRefusals bounds the peers whose refusals are remembered: anybody can be
// refused under any number of identities.
const maxRefusals = 32

// refusals are the peers that have no bond because one side refused it, with the
// last reason. Its methods may be called concurrently.
type refusals struct {
	mu    sync.Mutex
	codes map[sm.PeerID]link.Code
}

// note remembers a refusal and reports whether it was news. Whom there is no
// room for takes the place of anyone else.
func (r *refusals) note(peer sm.PeerID, code link.Code) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.codes[peer] == code {
		return false
	}
	if r.codes == nil {
		r.codes = map[sm.PeerID]link.Code{}
	}
	for other := range r.codes {
		if len(r.codes) < maxRefusals {
			break
		}
		delete(r.codes, other)
	}
	r.codes[peer] = code
	return true
}

func (r *refusals) forget(peer sm.PeerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.codes, peer)
}

// list returns all that are remembered, in the order of their peers.
func (r *refusals) list() []link.RefusedError {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []link.RefusedError
	for _, peer := range slices.SortedFunc(maps.Keys(r.codes), sm.PeerID.Compare) {
		list = append(list, link.RefusedError{Peer: peer, Code: r.codes[peer]})
	}
	return list
}

// final reports whether a bond that ended with the code ended because a side
// does not want it.
func final(code link.Code) bool {
	switch code {
	case link.CodeCancelled, link.CodeUnexpectedClose, link.CodeTimeout:
		return false
	}
	return true
}
