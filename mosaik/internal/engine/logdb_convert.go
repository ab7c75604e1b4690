package engine

import (
	"fmt"

	"github.com/lni/dragonboat/v4/client"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// proposed is the bit of [logstore.Entry.Kind] that says that the entry is a
// proposal, whose client is wire.ProposalClient. The other bits are dragonboat's
// type of the entry.
//
// dragonboat notices its own proposals by key, client and series when it
// applies them; the client must therefore come back as it was, also on another
// member that was sent an entry from this log. Proposals have no dragonboat
// session, so their series is 0.
const proposed = 1 << 7

// toLog converts an entry. It fails on one that could not be restored, which
// none of ours writes.
func toLog(e *pb.Entry) (logstore.Entry, error) {
	kind := uint8(e.Type)
	if e.ClientID != client.NotSessionManagedClientID {
		kind |= proposed
	}
	out := logstore.Entry{Index: sm.Index(e.Index), Term: sm.Term(e.Term), Kind: kind, Key: e.Key, Data: e.Cmd}
	back, err := fromLog(&out)
	if err != nil || back.Type != e.Type || back.ClientID != e.ClientID || back.SeriesID != e.SeriesID || back.RespondedTo != e.RespondedTo {
		return logstore.Entry{}, fmt.Errorf("entry %d is of type %d, client %d, series %d: no replica of mosaik writes such", e.Index, e.Type, e.ClientID, e.SeriesID)
	}
	return out, nil
}

// fromLog restores an entry.
func fromLog(e *logstore.Entry) (pb.Entry, error) {
	out := pb.Entry{Index: uint64(e.Index), Term: uint64(e.Term), Type: pb.EntryType(e.Kind &^ proposed), Key: e.Key, Cmd: e.Data}
	if e.Kind&proposed != 0 {
		out.ClientID = wire.ProposalClient
	}
	if out.Type > pb.MetadataEntry {
		return pb.Entry{}, fmt.Errorf("entry %d is of the unknown kind %d", e.Index, e.Kind)
	}
	return out, nil
}

// blank returns an entry without effect that stands for one which cannot be read.
func blank(i sm.Index, term sm.Term) pb.Entry {
	return pb.Entry{Index: uint64(i), Term: uint64(term), Type: pb.ApplicationEntry}
}

func toHard(s pb.State) logstore.HardState {
	return logstore.HardState{Term: sm.Term(s.Term), Vote: s.Vote, Commit: sm.Index(s.Commit)}
}

func fromHard(h logstore.HardState) pb.State {
	return pb.State{Term: uint64(h.Term), Vote: h.Vote, Commit: uint64(h.Commit)}
}

// toRecord converts what describes a snapshot, all but its reference count.
func toRecord(s *pb.Snapshot) (logstore.Snapshot, error) {
	record, err := s.Marshal()
	if err != nil {
		return logstore.Snapshot{}, fmt.Errorf("marshal the record of snapshot %d: %w", s.Index, err)
	}
	return logstore.Snapshot{Cursor: sm.Cursor{Term: sm.Term(s.Term), Index: sm.Index(s.Index)}, Record: record}, nil
}

// fromRecord restores what describes a snapshot. Each call returns one that
// shares nothing with the others, as dragonboat counts references in it.
func fromRecord(s logstore.Snapshot) (out pb.Snapshot, err error) {
	if s.Cursor.Index == 0 {
		return pb.Snapshot{}, nil
	}
	if err := wire.Unmarshal(&out, s.Record); err != nil {
		return pb.Snapshot{}, fmt.Errorf("unmarshal the record of snapshot %d: %w", s.Cursor.Index, err)
	}
	if out.Index != uint64(s.Cursor.Index) || out.Term != uint64(s.Cursor.Term) {
		return pb.Snapshot{}, fmt.Errorf("the record of snapshot %v describes %d of term %d", s.Cursor, out.Index, out.Term)
	}
	return out, nil
}
