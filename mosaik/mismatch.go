package mosaik

import (
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// mismatched logs the mismatch of a group. The bonds call it once for each join.
func (n *Network) mismatched(group sm.Digest, m consensus.Mismatch) {
	n.log.Warn("connected peers announce other groups and none announces this one",
		"group", group.Short(), "peers", m.Peers, "mismatch", m.String())
}

// mismatch returns the mismatch of the group, nil for none.
func (j *joined) mismatch() *consensus.Mismatch {
	m := j.core.Mismatch()
	if m.Peers == 0 {
		return nil
	}
	return &m
}
