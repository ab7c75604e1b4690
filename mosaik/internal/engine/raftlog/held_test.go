package raftlog

import (
	"slices"
	"testing"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/sm"
)

// TestHeldMembership reads the membership from a log with uncommitted changes.
func TestHeldMembership(t *testing.T) {
	a, b := sm.PeerID{1}, sm.PeerID{2}
	var m tracker
	if h, _, ok := m.held(); ok {
		t.Errorf("without a log: %+v", h)
	}
	entry := func(index uint64, c pb.ConfigChange) pb.Entry {
		cmd, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return pb.Entry{Index: index, Term: 1, Type: pb.ConfigChangeEntry, Cmd: cmd}
	}
	save := func(committed bool, e pb.Entry) {
		u := pb.Update{EntriesToSave: []pb.Entry{e}}
		m.note(&u)
		if committed {
			m.note(&pb.Update{CommittedEntries: []pb.Entry{e}})
		}
	}
	check := func(what string, voters, promoted []uint64, change, last uint64) {
		t.Helper()
		h, at, ok := m.held()
		var got []uint64
		for r := range h.Voters {
			got = append(got, r)
		}
		slices.Sort(got)
		if !ok || !slices.Equal(got, voters) || !slices.Equal(h.Promoted, promoted) || h.ChangeID != change || at != last {
			t.Errorf("%s: voters %v, promoted %v, change %d, last %d, %v; want %v, %v, %d, %d", what, got, h.Promoted, h.ChangeID, at, ok, voters, promoted, change, last)
		}
	}
	save(true, entry(1, pb.ConfigChange{Type: pb.AddNode, ReplicaID: 1, Address: a.String(), Initialize: true}))
	check("the bootstrap", []uint64{1}, nil, 1, 1)
	save(true, entry(2, pb.ConfigChange{Type: pb.AddNonVoting, ReplicaID: 2, Address: b.String(), ConfigChangeId: 1}))
	check("a spare", []uint64{1}, nil, 2, 2)
	promotion := entry(3, pb.ConfigChange{Type: pb.AddNode, ReplicaID: 2, Address: b.String(), ConfigChangeId: 2})
	save(false, promotion)
	check("a promotion that may be committed", []uint64{1}, []uint64{2}, 2, 3)
	m.note(&pb.Update{CommittedEntries: []pb.Entry{promotion}})
	check("the promotion committed", []uint64{1, 2}, nil, 3, 3)
	removal := entry(4, pb.ConfigChange{Type: pb.RemoveNode, ReplicaID: 2, ConfigChangeId: 3})
	save(false, removal)
	check("a removal that may be committed", []uint64{1, 2}, nil, 3, 4)
	m.note(&pb.Update{EntriesToSave: []pb.Entry{{Index: 4, Term: 2}}})
	check("the removal replaced", []uint64{1, 2}, nil, 3, 3)
}
