package mosaik

import (
	"fmt"
	"strings"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/group"
	"github.com/mosaik-go/mosaik/sm"
)

// linkErrors returns what is wrong with the connections to the peers that have a bond with this
// member, nil for nothing. Bonds have a connection of their own, so Raft may fail to reach a
// peer that is bonded.
func (j *joined) linkErrors(s group.Status) map[sm.PeerID]string {
	troubles := j.net.engine.Troubles(group.ShardOf(j.id, s.Epoch))
	obstacles := j.net.bonds.Obstacles()
	var links map[sm.PeerID]string
	for _, b := range j.core.Bonds() {
		var problems []string
		if t := troubles[b.Peer]; t.Failures > 0 {
			problems = append(problems, fmt.Sprintf("sending to it has failed %d times in a row since %s: %v",
				t.Failures, t.Since.Format(time.RFC3339), t.Err))
		}
		if o := obstacles[b.Peer]; o.Dial != nil {
			problems = append(problems, fmt.Sprintf("it cannot be dialled at the addresses that it advertises, "+
				"so it opens the connections when asked to; check WithAdvertise there: %v", o.Dial))
		}
		if obstacles[b.Peer].Blamed {
			problems = append(problems, "it cannot dial this member at the addresses that this member advertises, "+
				"so this member opens the connections; check WithAdvertise here")
		}
		if len(problems) == 0 {
			continue
		}
		if links == nil {
			links = map[sm.PeerID]string{}
		}
		links[b.Peer] = strings.Join(problems, "; ")
	}
	return links
}
