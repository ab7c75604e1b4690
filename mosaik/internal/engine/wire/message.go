package wire

import (
	"fmt"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

const (
	// MaxIndex and MaxTerm bound indices and terms, so that no sum of them overflows. A
	// group that applies a million entries a second reaches MaxIndex after 2,000 years.
	MaxIndex = 1 << 56
	MaxTerm  = 1 << 62
)

// travels holds the types of messages that members exchange. dragonboat uses the others
// within a process only.
var travels = map[pb.MessageType]bool{
	pb.NoOP: true, pb.Propose: true, pb.Replicate: true, pb.ReplicateResp: true,
	pb.RequestVote: true, pb.RequestVoteResp: true, pb.RequestPreVote: true, pb.RequestPreVoteResp: true,
	pb.Heartbeat: true, pb.HeartbeatResp: true, pb.ReadIndex: true, pb.ReadIndexResp: true,
	pb.SnapshotReceived: true, pb.LeaderTransfer: true, pb.TimeoutNow: true,
}

// termless holds the types that carry no term. Raft takes any other message without a
// term for one of this process.
var termless = map[pb.MessageType]bool{
	pb.Propose: true, pb.ReadIndex: true, pb.LeaderTransfer: true, pb.SnapshotReceived: true,
}

// Travels reports whether members exchange messages of the type.
func Travels(t pb.MessageType) bool { return travels[t] }

// IsTermless reports whether messages of the type carry no term.
func IsTermless(t pb.MessageType) bool { return termless[t] }

// DecodeBatch decodes a batch of messages and checks everything that can be checked
// without knowing the sender. It returns a batch whose form does not make dragonboat
// panic, or [ErrBad].
func DecodeBatch(b []byte) (batch pb.MessageBatch, err error) {
	if err := scanBatch(b); err != nil {
		return pb.MessageBatch{}, err
	}
	if err := Unmarshal(&batch, b); err != nil {
		return pb.MessageBatch{}, err
	}
	if batch.BinVer != raftio.TransportBinVersion {
		return pb.MessageBatch{}, fmt.Errorf("%w: transport version %d, want %d",
			ErrBad, batch.BinVer, raftio.TransportBinVersion)
	}
	for i := range batch.Requests {
		if err := checkMessage(&batch.Requests[i]); err != nil {
			return pb.MessageBatch{}, err
		}
	}
	return batch, nil
}

func checkMessage(m *pb.Message) error {
	switch {
	case !travels[m.Type]:
		return fmt.Errorf("%w: members exchange no messages of type %d", ErrBad, m.Type)
	case m.From == 0 || m.To == 0 || m.From == m.To:
		return fmt.Errorf("%w: %s from replica %d to %d", ErrBad, m.Type, m.From, m.To)
	case m.Term == 0 && !termless[m.Type]:
		return fmt.Errorf("%w: %s without a term", ErrBad, m.Type)
	case m.Term != 0 && termless[m.Type]:
		return fmt.Errorf("%w: %s with a term", ErrBad, m.Type)
	case m.Term > MaxTerm || m.LogTerm > MaxTerm || m.Term != 0 && m.LogTerm > m.Term:
		return fmt.Errorf("%w: %s of term %d with an entry of term %d", ErrBad, m.Type, m.Term, m.LogTerm)
	case m.LogIndex > MaxIndex || m.Commit > MaxIndex || m.Type == pb.ReplicateResp && m.Hint > MaxIndex:
		return fmt.Errorf("%w: %s with index %d, commit %d, hint %d; the largest index is %d",
			ErrBad, m.Type, m.LogIndex, m.Commit, m.Hint, uint64(MaxIndex))
	case m.Type == pb.LeaderTransfer && m.Hint == 0:
		return fmt.Errorf("%w: %s to replica 0", ErrBad, m.Type)
	case !pb.IsEmptySnapshot(m.Snapshot):
		return fmt.Errorf("%w: %s with a snapshot", ErrBad, m.Type)
	}
	switch m.Type {
	case pb.Replicate:
		return checkAppend(m)
	case pb.Propose:
		return checkProposals(m.Entries)
	}
	if len(m.Entries) > 0 {
		return fmt.Errorf("%w: %s with entries", ErrBad, m.Type)
	}
	return nil
}

// checkAppend checks that the entries continue the log behind LogIndex without a gap, in
// terms that never decrease.
func checkAppend(m *pb.Message) error {
	term := m.LogTerm
	// Raft finds an entry of term 0 in any log that ends before LogIndex.
	if (m.LogIndex == 0) != (term == 0) {
		return fmt.Errorf("%w: entries behind %d of term %d", ErrBad, m.LogIndex, term)
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		if e.Index != m.LogIndex+1+uint64(i) || e.Term == 0 || e.Term < term || e.Term > m.Term {
			return fmt.Errorf("%w: entry %d of term %d does not follow %d of term %d",
				ErrBad, e.Index, e.Term, m.LogIndex+uint64(i), term)
		}
		term = e.Term
		if err := checkEntry(e); err != nil {
			return err
		}
	}
	return nil
}

func checkProposals(entries []pb.Entry) error {
	if len(entries) == 0 {
		return fmt.Errorf("%w: a proposal without entries", ErrBad)
	}
	for i := range entries {
		e := &entries[i]
		if e.Type == pb.ApplicationEntry && e.ClientID == 0 {
			return fmt.Errorf("%w: a proposal without a client", ErrBad)
		}
		if err := checkEntry(e); err != nil {
			return err
		}
	}
	return nil
}
