package engine

import (
	"errors"
	"fmt"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
	"github.com/mosaik-go/mosaik/sm"
)

// The kinds of the frames on raft and snapshot connections. Others are those of a
// newer program, and ignored: what has to be understood needs another ALPN.
const (
	frameBatch uint8 = 1
	frameChunk uint8 = 2
	frameDone  uint8 = 3 // answers the last chunk of a snapshot: all of it arrived
	frameWatch uint8 = 4 // asks for acknowledgments of what arrives (stream.go)
	frameAck   uint8 = 5 // is one
)

// isKnown reports whether frames of the kind mean something here.
func isKnown(kind uint8) bool { return kind >= frameBatch && kind <= frameAck }

const (
	// batchAim is where a batch of messages is cut, in bytes: dragonboat's own
	// go up to 64 MB and would hold up heartbeats.
	batchAim = 4 << 20
	// maxBatch is the largest frame accepted: a batch just short of its aim,
	// the largest proposal, and room for what surrounds them.
	maxBatch = 32 << 20
)

// errBad reports bytes on which dragonboat would panic, or that no peer of ours sends.
var errBad = errors.New("engine: bad message")

// travels holds the types of messages that peers exchange. All others are
// dragonboat's own within a process.
var travels = map[pb.MessageType]bool{
	pb.NoOP: true, pb.Propose: true, pb.Replicate: true, pb.ReplicateResp: true,
	pb.RequestVote: true, pb.RequestVoteResp: true, pb.RequestPreVote: true, pb.RequestPreVoteResp: true,
	pb.Heartbeat: true, pb.HeartbeatResp: true, pb.ReadIndex: true, pb.ReadIndexResp: true,
	pb.SnapshotReceived: true, pb.LeaderTransfer: true, pb.TimeoutNow: true,
}

// termless holds the types that carry no term. Raft takes any other message
// without one for its own.
var termless = map[pb.MessageType]bool{
	pb.Propose: true, pb.ReadIndex: true, pb.LeaderTransfer: true, pb.SnapshotReceived: true,
}

// decodeBatch decodes a batch of messages and checks all that can be checked
// without knowing who sent it. Whatever the bytes, the result is a batch that
// does not make dragonboat panic by its form, or errBad.
func decodeBatch(b []byte) (batch pb.MessageBatch, err error) {
	if err := scanBatch(b); err != nil {
		return pb.MessageBatch{}, err
	}
	if err := unmarshal(&batch, b); err != nil {
		return pb.MessageBatch{}, err
	}
	if batch.BinVer != raftio.TransportBinVersion {
		return pb.MessageBatch{}, fmt.Errorf("%w: transport version %d, want %d", errBad, batch.BinVer, raftio.TransportBinVersion)
	}
	for i := range batch.Requests {
		if err := checkMessage(&batch.Requests[i]); err != nil {
			return pb.MessageBatch{}, err
		}
	}
	return batch, nil
}

// unmarshal decodes b into m. dragonboat's decoders panic on some bytes.
func unmarshal(m interface{ Unmarshal([]byte) error }, b []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: decode %T: %v", errBad, m, r)
		}
	}()
	if err := m.Unmarshal(b); err != nil {
		return fmt.Errorf("%w: decode %T: %w", errBad, m, err)
	}
	return nil
}

func checkMessage(m *pb.Message) error {
	switch {
	case !travels[m.Type]:
		return fmt.Errorf("%w: a message of type %d does not travel", errBad, m.Type)
	case m.From == 0 || m.To == 0 || m.From == m.To:
		return fmt.Errorf("%w: %s from replica %d to %d", errBad, m.Type, m.From, m.To)
	case m.Term == 0 && !termless[m.Type]:
		return fmt.Errorf("%w: %s without a term", errBad, m.Type)
	case m.Term != 0 && termless[m.Type]:
		return fmt.Errorf("%w: %s with a term", errBad, m.Type)
	case m.Term > maxTerm || m.LogTerm > maxTerm || m.Term != 0 && m.LogTerm > m.Term:
		return fmt.Errorf("%w: %s of term %d with an entry of term %d", errBad, m.Type, m.Term, m.LogTerm)
	case m.LogIndex > maxIndex || m.Commit > maxIndex || m.Type == pb.ReplicateResp && m.Hint > maxIndex:
		return fmt.Errorf("%w: %s with index %d, commit %d, hint %d", errBad, m.Type, m.LogIndex, m.Commit, m.Hint)
	case m.Type == pb.LeaderTransfer && m.Hint == 0:
		return fmt.Errorf("%w: %s to replica 0", errBad, m.Type)
	case !pb.IsEmptySnapshot(m.Snapshot):
		return fmt.Errorf("%w: %s with a snapshot", errBad, m.Type)
	}
	switch m.Type {
	case pb.Replicate:
		return checkLog(m)
	case pb.Propose:
		return checkProposals(m.Entries)
	}
	if len(m.Entries) > 0 {
		return fmt.Errorf("%w: %s with entries", errBad, m.Type)
	}
	return nil
}

// checkLog checks that entries continue the log where the message says.
func checkLog(m *pb.Message) error {
	term := m.LogTerm
	if (m.LogIndex == 0) != (term == 0) { // Raft would find that in any log that ends before
		return fmt.Errorf("%w: entries behind %d of term %d", errBad, m.LogIndex, term)
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		if e.Index != m.LogIndex+1+uint64(i) || e.Term == 0 || e.Term < term || e.Term > m.Term {
			return fmt.Errorf("%w: entry %d of term %d does not follow %d of term %d", errBad, e.Index, e.Term, m.LogIndex+uint64(i), term)
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
		return fmt.Errorf("%w: a proposal of nothing", errBad)
	}
	for i := range entries {
		e := &entries[i]
		if e.Type == pb.ApplicationEntry && e.ClientID == 0 {
			return fmt.Errorf("%w: a proposal of nobody", errBad)
		}
		if err := checkEntry(e); err != nil {
			return err
		}
	}
	return nil
}

// checkEntry accepts what our own replicas write: proposals, the empty entry
// of a new leader, membership changes.
func checkEntry(e *pb.Entry) error {
	switch {
	case e.Type == pb.ConfigChangeEntry && (e.ClientID != 0 || e.SeriesID != 0 || e.RespondedTo != 0):
		return fmt.Errorf("%w: membership change of client %d, series %d", errBad, e.ClientID, e.SeriesID)
	case e.Type == pb.ConfigChangeEntry:
		var change pb.ConfigChange
		if err := unmarshal(&change, e.Cmd); err != nil {
			return err
		}
		return checkChange(&change)
	case e.Type == pb.ApplicationEntry && len(e.Cmd) == 0 && e.ClientID == 0 && e.SeriesID == 0 && e.RespondedTo == 0:
		return nil
	case e.ClientID != proposalClient || e.SeriesID != 0 || e.RespondedTo != 0 || e.Key == 0:
		return fmt.Errorf("%w: entry of client %d, series %d", errBad, e.ClientID, e.SeriesID)
	case e.Type == pb.ApplicationEntry && len(e.Cmd) == 0:
		return nil
	case e.Type == pb.EncodedEntry && len(e.Cmd) > 1 && e.Cmd[0] == plainPayload:
		return nil
	}
	return fmt.Errorf("%w: entry of type %d with %d bytes", errBad, e.Type, len(e.Cmd))
}

// plainPayload is the first byte of an entry that holds a payload in
// dragonboat's encoding: version 0, not compressed, no session.
const plainPayload = 0

func checkChange(c *pb.ConfigChange) error {
	if c.ReplicaID == 0 {
		return fmt.Errorf("%w: a membership change of replica 0", errBad)
	}
	switch c.Type {
	case pb.RemoveNode:
		return nil
	case pb.AddNode, pb.AddNonVoting:
		if validTarget(c.Address) {
			return nil
		}
	}
	return fmt.Errorf("%w: membership change of type %d at %q", errBad, c.Type, c.Address)
}

// validTarget reports whether s is a target as we write it: the text form of a
// peer id. dragonboat asks for each message that it receives.
func validTarget(s string) bool {
	if len(s) != 2*len(sm.PeerID{}) {
		return false
	}
	isZero := true
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
		isZero = isZero && c == '0'
	}
	return !isZero
}

// cut yields the batch in pieces of about batchAim bytes, in order. A message
// that is larger by itself is cut between its entries, which Raft allows: each
// piece is an append that follows the one before.
func cut(batch pb.MessageBatch, send func(pb.MessageBatch) error) error {
	piece, size := batch, 0
	piece.Requests = nil
	start := 0
	flush := func(end int) error {
		if start == end {
			return nil
		}
		piece.Requests = batch.Requests[start:end]
		start, size = end, 0
		return send(piece)
	}
	for i := range batch.Requests {
		m := &batch.Requests[i]
		n := m.SizeUpperLimit()
		if size+n > batchAim {
			if err := flush(i); err != nil {
				return err
			}
		}
		if n <= batchAim || len(m.Entries) < 2 {
			size += n
			continue
		}
		for _, part := range cutMessage(m) {
			piece.Requests = []pb.Message{part}
			if err := send(piece); err != nil {
				return err
			}
		}
		start = i + 1
	}
	return flush(len(batch.Requests))
}

// cutMessage cuts a message with entries into messages of about batchAim bytes.
func cutMessage(m *pb.Message) []pb.Message {
	var parts []pb.Message
	for rest := *m; len(rest.Entries) > 0; {
		var part pb.Message
		part, rest = split(rest, batchAim)
		parts = append(parts, part)
	}
	return parts
}

// split cuts a message between its entries, so that the first part has one entry and
// otherwise about aim bytes at most. The rest has no entries if that is all of it.
func split(m pb.Message, aim int) (part, rest pb.Message) {
	part, rest = m, m
	n := min(1, len(m.Entries))
	for size := 0; n < len(m.Entries); n++ {
		size += m.Entries[n-1].SizeUpperLimit()
		if size+m.Entries[n].SizeUpperLimit() > aim {
			break
		}
	}
	part.Entries, rest.Entries = m.Entries[:n:n], m.Entries[n:]
	if n > 0 && m.Type == pb.Replicate {
		rest.LogIndex, rest.LogTerm = m.Entries[n-1].Index, m.Entries[n-1].Term
	}
	return part, rest
}
