package group

import (
	"maps"
	"slices"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// maxRefusals is the limit of peers whose refusals are remembered: a process can be refused
// under any number of identities.
const maxRefusals = 32

// refusals are the peers that have no bond because one side refused it, with the last reason.
type refusals struct {
	codes map[sm.PeerID]consensus.CloseCode
}

// note records a refusal and reports whether it is new for the peer. At the limit it replaces an
// arbitrary peer.
func (r *refusals) note(peer sm.PeerID, code consensus.CloseCode) bool {
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
	delete(r.codes, peer)
}

// list returns the refusals, sorted by peer.
func (r *refusals) list() []consensus.RefusedError {
	var list []consensus.RefusedError
	for _, peer := range slices.SortedFunc(maps.Keys(r.codes), sm.PeerID.Compare) {
		list = append(list, consensus.RefusedError{Peer: peer, Code: r.codes[peer]})
	}
	return list
}

// isRefusal reports whether a bond that ended with the code was refused by one side, rather than
// lost.
func isRefusal(code consensus.CloseCode) bool {
	switch code {
	case consensus.CodeCancelled, consensus.CodeUnexpectedClose, consensus.CodeTimeout:
		return false
	}
	return true
}
