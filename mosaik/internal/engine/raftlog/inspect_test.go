package raftlog

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/enginetest"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// logOf returns a log that holds the entries, numbered from 1.
func logOf(t *testing.T, entries ...pb.Entry) logstore.Log {
	t.Helper()
	log := enginetest.MemoryLog(t)
	var b logstore.Batch
	for i, e := range entries {
		e.Index, e.Term = uint64(i+1), 1
		stored, err := toStored(&e)
		if err != nil {
			t.Fatal(err)
		}
		b.Entries = append(b.Entries, stored)
	}
	if err := log.Save(b); err != nil {
		t.Fatal(err)
	}
	return log
}

func changeOf(t *testing.T, kind pb.ConfigChangeType, replica uint64) pb.Entry {
	t.Helper()
	c := pb.ConfigChange{Type: kind, ReplicaID: replica, Address: "somewhere"}
	cmd, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return pb.Entry{Type: pb.ConfigChangeEntry, Cmd: cmd}
}

func proposalOf(text string) pb.Entry {
	return pb.Entry{Type: pb.EncodedEntry, ClientID: wire.ProposalClient, Cmd: []byte("\x00" + text)}
}

func TestIndispensable(t *testing.T) {
	t.Parallel()
	const a, b, c = 1, 2, 3
	add := func(r uint64) pb.Entry { return changeOf(t, pb.AddNode, r) }
	spare := func(r uint64) pb.Entry { return changeOf(t, pb.AddNonVoting, r) }
	remove := func(r uint64) pb.Entry { return changeOf(t, pb.RemoveNode, r) }
	for _, tc := range []struct {
		name    string
		entries []pb.Entry
		want    bool
		mayVote bool
	}{
		{"an empty log", nil, false, false},
		{"the only voter", []pb.Entry{add(b)}, true, true},
		{"a spare", []pb.Entry{add(a), spare(b)}, false, false},
		{"one of two voters", []pb.Entry{add(a), spare(b), {}, add(b), proposalOf("x")}, true, true},
		{"one of three", []pb.Entry{add(a), add(b), spare(c), add(c)}, false, true},
		{"one of two with a spare", []pb.Entry{add(a), add(b), spare(c)}, true, true},
		{"the third made two again", []pb.Entry{add(a), add(b), add(c), remove(a)}, false, true},
		{"the last of three, before it voted", []pb.Entry{add(a), add(c), remove(c), add(b)}, true, true},
		{"removed", []pb.Entry{add(a), add(b), remove(b)}, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			log := logOf(t, tc.entries...)
			if got, err := Indispensable(log, b); got != tc.want || err != nil {
				t.Errorf("Indispensable = %v, error %v; want %v", got, err, tc.want)
			}
			if got, err := MayVote(log, b); got != tc.mayVote || err != nil {
				t.Errorf("MayVote = %v, error %v; want %v", got, err, tc.mayVote)
			}
		})
	}
	t.Run("a pruned log", func(t *testing.T) {
		t.Parallel()
		log := logOf(t, add(b), proposalOf("x"))
		if err := log.Prune(1); err != nil {
			t.Fatal(err)
		}
		if got, err := Indispensable(log, b); got || err != nil {
			t.Errorf("Indispensable = %v, error %v; want false", got, err)
		}
		if got, err := MayVote(log, c); !got || err != nil {
			t.Errorf("MayVote = %v, error %v; want true: who knows", got, err)
		}
	})
	t.Run("damage", func(t *testing.T) {
		t.Parallel()
		log := logOf(t, pb.Entry{Type: pb.ConfigChangeEntry, Cmd: []byte{0xff}})
		if got, err := Indispensable(log, b); got || err == nil {
			t.Errorf("Indispensable = %v, error %v; want an error", got, err)
		}
		if got, err := MayVote(log, b); got || err == nil {
			t.Errorf("MayVote = %v, error %v; want an error", got, err)
		}
	})
}

func TestProposals(t *testing.T) {
	t.Parallel()
	empty := pb.Entry{ClientID: wire.ProposalClient}
	log := logOf(t, changeOf(t, pb.AddNode, 1), pb.Entry{}, proposalOf("one"), empty, proposalOf("two"), proposalOf("beyond"))
	var got []Entry
	for e, err := range Proposals(log, 5) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	want := []Entry{{Index: 3, Term: 1, Data: []byte("one")}, {Index: 4, Term: 1}, {Index: 5, Term: 1, Data: []byte("two")}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("proposals (-want +got):\n%s", diff)
	}
	for _, bad := range []pb.Entry{
		{Type: pb.EncodedEntry, ClientID: wire.ProposalClient, Cmd: []byte("\x02compressed")},
		{Type: pb.EncodedEntry, ClientID: wire.ProposalClient},
	} {
		for e, err := range Proposals(logOf(t, bad), sm.Index(1)) {
			if err == nil {
				t.Errorf("%+v was read as %q", bad, e.Data)
			}
		}
	}
}
