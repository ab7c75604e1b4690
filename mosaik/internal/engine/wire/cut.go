package wire

import pb "github.com/lni/dragonboat/v4/raftpb"

// cutSize is the size in bytes at which Cut ends a piece. dragonboat's batches grow to
// 64 MB; heartbeats behind one such frame would arrive too late.
const cutSize = 4 << 20

// Cut calls send with the batch in pieces of about 4 MiB, in order, until send fails. A
// larger message is cut between its entries, which Raft allows: each piece is an append
// that follows the one before.
func Cut(batch pb.MessageBatch, send func(pb.MessageBatch) error) error {
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
		if size+n > cutSize {
			if err := flush(i); err != nil {
				return err
			}
		}
		if n <= cutSize || len(m.Entries) < 2 {
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

// cutMessage cuts a message with entries into messages of about cutSize bytes.
func cutMessage(m *pb.Message) []pb.Message {
	var parts []pb.Message
	for rest := *m; len(rest.Entries) > 0; {
		var part pb.Message
		part, rest = Split(rest, cutSize)
		parts = append(parts, part)
	}
	return parts
}

// Split cuts a message between its entries. The first part has at least one entry and,
// beyond that, at most about size bytes; the rest has no entries if the first part holds
// them all. Both alias the message.
func Split(m pb.Message, size int) (part, rest pb.Message) {
	part, rest = m, m
	n := min(1, len(m.Entries))
	for total := 0; n < len(m.Entries); n++ {
		total += m.Entries[n-1].SizeUpperLimit()
		if total+m.Entries[n].SizeUpperLimit() > size {
			break
		}
	}
	part.Entries, rest.Entries = m.Entries[:n:n], m.Entries[n:]
	if n > 0 && m.Type == pb.Replicate {
		rest.LogIndex, rest.LogTerm = m.Entries[n-1].Index, m.Entries[n-1].Term
	}
	return part, rest
}
