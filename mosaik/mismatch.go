package mosaik

import (
	"fmt"
	"strings"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/sm"
)

// Mismatch says that connected peers are in other groups than this process, and
// none of them is in this group. Often one of the things differs that a group's id
// is made of; see [GroupID]. It is no error: the peers may be in other groups on
// purpose.
type Mismatch struct {
	Peers  int       // connected peers in groups that this process has not joined
	Groups []GroupID // these groups, ascending, at most 16
}

// mayDiffer names all that a group's id is made of, for people.
const mayDiffer = "the group key, the machine (name, version, commands, snapshots), " +
	"the heartbeat settings of the consensus config, or the ticket validators and their order"

// String returns the mismatch in words, with what may differ.
func (m Mismatch) String() string {
	groups := make([]string, len(m.Groups))
	for i, g := range m.Groups {
		groups[i] = g.Short()
	}
	return fmt.Sprintf("%d connected peers announce other groups (%s) and none announces this one; what may differ: %s",
		m.Peers, strings.Join(groups, ", "), mayDiffer)
}

// mismatched logs the mismatch of a group. It is called once for each join.
func (n *Network) mismatched(group sm.Digest, m bond.Mismatch) {
	groups := make([]string, len(m.Groups))
	for i, g := range m.Groups {
		groups[i] = g.Short()
	}
	n.log.Warn("connected peers announce other groups and none announces this one",
		"group", group.Short(), "peers", m.Peers, "groups", groups, "may_differ", mayDiffer)
}

// mismatch returns what connected peers announce in place of the group, nil if
// there is no mismatch.
func (j *joined) mismatch() *Mismatch {
	m := j.core.Mismatch()
	if m.Peers == 0 {
		return nil
	}
	return &Mismatch{Peers: m.Peers, Groups: m.Groups}
}
