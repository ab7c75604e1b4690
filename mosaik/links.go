package mosaik

import (
	"fmt"
	"strings"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/group"
)

// links returns what is wrong with the connections to the peers that this member has a
// bond with. Bonds have a connection of their own, so a member can be bonded and yet not
// be reached by Raft.
func (j *joined) links(s group.Status) map[PeerID]string {
	troubles := j.net.engine.Troubles(group.ShardOf(j.id, s.Epoch))
	obstacles := j.net.bonds.Obstacles()
	var links map[PeerID]string
	for _, b := range j.core.Bonds() {
		var problems []string
		if t := troubles[b.Peer]; t.Failures > 0 {
			problems = append(problems, fmt.Sprintf("sending to it has failed %d times in a row since %s: %v",
				t.Failures, t.Since.Format(time.RFC3339), t.Err))
		}
		if o := obstacles[b.Peer]; o.Dial != nil {
			problems = append(problems, fmt.Sprintf("it cannot be dialled at the addresses that it advertises, "+
				"so it is asked to connect itself; check WithAdvertise there: %v", o.Dial))
		}
		if obstacles[b.Peer].Blamed {
			problems = append(problems, "it cannot dial this member at the addresses that this one advertises, "+
				"so this member connects instead; check WithAdvertise here")
		}
		if len(problems) == 0 {
			continue
		}
		if links == nil {
			links = map[PeerID]string{}
		}
		links[b.Peer] = strings.Join(problems, "; ")
	}
	return links
}
