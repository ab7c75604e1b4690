package mosaik

import (
	"fmt"
	"strings"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/sm"
)

// Mismatch reports that connected peers are in other groups than this process, and that none of
// them is in this group. Often they differ in one of the things from which a [GroupID] is
// derived. It is no error: the peers may be in other groups on purpose.
type Mismatch struct {
	Peers  int       // connected peers in groups that this process has not joined
	Groups []GroupID // these groups, ascending, at most 16
}

// mayDiffer names everything from which a group's id is derived, for people.
const mayDiffer = "the group key, the machine (name, version, commands, snapshots), " +
	"the heartbeat settings of the consensus config, or the ticket validators and their order"

// String describes the mismatch for people, and names what may differ.
func (m Mismatch) String() string {
	groups := make([]string, len(m.Groups))
	for i, g := range m.Groups {
		groups[i] = g.Short()
	}
	return fmt.Sprintf("%d connected peers announce other groups (%s) and none announces this one; what may differ: %s",
		m.Peers, strings.Join(groups, ", "), mayDiffer)
}

// mismatched logs the mismatch of a group. The bonds call it once for each join.
func (n *Network) mismatched(group sm.Digest, m bond.Mismatch) {
	groups := make([]string, len(m.Groups))
	for i, g := range m.Groups {
		groups[i] = g.Short()
	}
	n.log.Warn("connected peers announce other groups and none announces this one",
		"group", group.Short(), "peers", m.Peers, "groups", groups, "may_differ", mayDiffer)
}

// mismatch returns the mismatch of the group, nil for none.
func (j *joined) mismatch() *Mismatch {
	m := j.core.Mismatch()
	if m.Peers == 0 {
		return nil
	}
	return &Mismatch{Peers: m.Peers, Groups: m.Groups}
}
