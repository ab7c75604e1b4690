package mosaik

import (
	"fmt"
	"slices"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/discovery"
	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/sm"
)

// Status returns what this member knows about the group now. Of a handle that was closed it
// says only Ended. [When.Until] waits for a status.
func (g *Group[C, M]) Status() consensus.Status { return g.joined.describe(g.status()) }

// describe returns a status of the caller's own, with what the network knows about the members.
func (j *joined) describe(s group.Status) consensus.Status {
	out := s.Status
	out.Diverged, out.Ghosts, out.Refused = slices.Clone(s.Diverged), slices.Clone(s.Ghosts), slices.Clone(s.Refused)
	out.Members, out.SlowCalls = slices.Clone(s.Members), slices.Clone(s.SlowCalls)
	out.Poisoned, out.SnapshotError = j.named(s.Poisoned), j.named(s.SnapshotError)
	out.Outdated, out.Ended = j.named(s.Outdated), j.named(s.Ended)
	out.LinkErrors, out.Mismatch = j.linkErrors(s), j.mismatch()
	if out.Mismatch != nil && out.Waits != "" {
		out.Waits += "; " + out.Mismatch.String()
	}
	for i := range out.SlowCalls {
		out.SlowCalls[i].For = time.Since(out.SlowCalls[i].Since)
	}
	rtts := map[sm.PeerID]time.Duration{}
	for _, b := range j.core.Bonds() {
		rtts[b.Peer] = b.RTT
	}
	for i := range out.Members {
		m := &out.Members[i]
		m.RTT, m.Addrs = rtts[m.Peer], slices.Clone(j.net.entry(m.Peer).Addrs)
	}
	return out
}

// named returns an error of the group with its name, nil for none.
func (j *joined) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mosaik: group %s: %w", j.id.Short(), err)
}

// entry returns what is known of a peer, this one included.
func (n *Network) entry(peer sm.PeerID) discovery.Signed {
	if self := n.catalog.Self(); self.Peer == peer {
		return self
	}
	e, _ := n.bonds.Entry(peer)
	return e
}
