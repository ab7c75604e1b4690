package raftlog

import (
	"fmt"

	"github.com/lni/dragonboat/v4/client"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// proposed is the bit of [logstore.Entry.Kind] of proposals, whose client is
// wire.ProposalClient. The other bits are dragonboat's type of the entry.
//
// dragonboat recognizes its own proposals by key, client and series when it applies them.
// So the client must be restored, also on a member that receives the entry from this log.
// Proposals have no dragonboat session, so their series is 0.
const proposed = 1 << 7

// toStored converts an entry to the form in which storages keep it. It fails on an entry
// that could not be restored, which no replica of mosaik writes.
func toStored(e *pb.Entry) (logstore.Entry, error) {
	kind := uint8(e.Type)
	if e.ClientID != client.NotSessionManagedClientID {
		kind |= proposed
	}
	out := logstore.Entry{Index: sm.Index(e.Index), Term: sm.Term(e.Term), Kind: kind, Key: e.Key, Data: e.Cmd}
	back, err := fromStored(&out)
	if err != nil || back.Type != e.Type || back.ClientID != e.ClientID || back.SeriesID != e.SeriesID || back.RespondedTo != e.RespondedTo {
		return logstore.Entry{}, fmt.Errorf("entry %d: no replica of mosaik writes type %d of client %d, series %d",
			e.Index, e.Type, e.ClientID, e.SeriesID)
	}
	return out, nil
}

// fromStored restores an entry.
func fromStored(e *logstore.Entry) (pb.Entry, error) {
	out := pb.Entry{Index: uint64(e.Index), Term: uint64(e.Term), Type: pb.EntryType(e.Kind &^ proposed), Key: e.Key, Cmd: e.Data}
	if e.Kind&proposed != 0 {
		out.ClientID = wire.ProposalClient
	}
	if out.Type > pb.MetadataEntry {
		return pb.Entry{}, fmt.Errorf("entry %d is of the unknown kind %d", e.Index, e.Kind)
	}
	return out, nil
}

// blank returns an entry without effect in place of one that cannot be read.
func blank(i sm.Index, term sm.Term) pb.Entry {
	return pb.Entry{Index: uint64(i), Term: uint64(term), Type: pb.ApplicationEntry}
}

func toHard(s pb.State) logstore.HardState {
	return logstore.HardState{Term: sm.Term(s.Term), Vote: s.Vote, Commit: sm.Index(s.Commit)}
}

func fromHard(h logstore.HardState) pb.State {
	return pb.State{Term: uint64(h.Term), Vote: h.Vote, Commit: uint64(h.Commit)}
}

// toRecord converts the description of a snapshot, without its reference count.
func toRecord(s *pb.Snapshot) (logstore.Snapshot, error) {
	record, err := s.Marshal()
	if err != nil {
		return logstore.Snapshot{}, fmt.Errorf("marshal the record of snapshot %d: %w", s.Index, err)
	}
	return logstore.Snapshot{Cursor: sm.Cursor{Term: sm.Term(s.Term), Index: sm.Index(s.Index)}, Record: record}, nil
}

// fromRecord restores the description of a snapshot. The results of two calls share
// nothing, because dragonboat counts references in them.
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
