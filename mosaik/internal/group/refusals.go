package group

import (
	"maps"
	"slices"
	"sync"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// maxRefusals bounds the peers whose refusals are remembered: anybody can be
// refused under any number of identities.
const maxRefusals = 32

// refusals are the peers that have no bond because one side refused it, with the
// last reason. Its methods may be called concurrently.
type refusals struct {
	mu    sync.Mutex
	codes map[sm.PeerID]consensus.CloseCode
}

// note remembers a refusal and reports whether it was news. Whom there is no
// room for takes the place of anyone else.
func (r *refusals) note(peer sm.PeerID, code consensus.CloseCode) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.codes[peer] == code {
		return false
	}
	if r.codes == nil {
		r.codes = map[sm.PeerID]consensus.CloseCode{}
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
func (r *refusals) list() []consensus.RefusedError {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []consensus.RefusedError
	for _, peer := range slices.SortedFunc(maps.Keys(r.codes), sm.PeerID.Compare) {
		list = append(list, consensus.RefusedError{Peer: peer, Code: r.codes[peer]})
	}
	return list
}

// final reports whether a bond that ended with the code ended because a side
// does not want it.
func final(code consensus.CloseCode) bool {
	switch code {
	case consensus.CodeCancelled, consensus.CodeUnexpectedClose, consensus.CodeTimeout:
		return false
	}
	return true
}
