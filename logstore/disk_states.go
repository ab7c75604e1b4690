package logstore

import (
	"encoding/binary"
	"errors"

	"github.com/mosaik-go/mosaik/sm"
)

// The payload of a segment's first frame is the state of each log at that point, without
// its entries. So only the entries of older segments are needed. An empty log is left
// out. Integers are little-endian.
//
//	offset  size  content
//	     0     4  length of the state
//	     4     4  number of the log
//	     8    32  group id
//	    40    24  hard state: term, vote, commit
//	    64    16  snapshot: term, index
//	    80    16  pruned: term, index
//	    96    16  last: term, index
//	   112     1  1 if there are metadata, otherwise 0
//	   113     4  length of the record, then the record of the snapshot
//	     -     4  length of the metadata, then the metadata
//	     -     -  up to the end of the state: the term (8 bytes) and the index (8
//	              bytes) of each entry whose term is not that of the one before
//	              it, and of the first
var errState = errors.New("a log's state is malformed")

// logState is the state of a log in such a payload.
type logState struct {
	number uint32
	id     sm.Digest
	state  State
	terms  termRuns
}

// appendTo appends the state to b.
func (s *logState) appendTo(b []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, s.number)
	b = append(b, s.id[:]...)
	b = appendHard(b, s.state.Hard)
	b = appendCursor(b, s.state.Snapshot.Cursor)
	b = appendCursor(b, s.state.Pruned)
	b = appendCursor(b, s.state.Last)
	if s.state.Meta != nil {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = appendBytes(b, s.state.Snapshot.Record)
	b = appendBytes(b, s.state.Meta)
	for _, c := range s.terms {
		b = appendCursor(b, c)
	}
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// parseState parses the state at the start of b and returns its length. The state does
// not alias b.
func parseState(b []byte) (s logState, n int, err error) {
	p := parser{b: b}
	length := p.uint32()
	if p.bad || length < 4 || uint64(length) > uint64(len(b)) {
		return logState{}, 0, errState
	}
	n = int(length)
	p.b = b[4:n]
	s.number, s.id = p.uint32(), p.digest()
	s.state.Hard = p.hard()
	s.state.Snapshot.Cursor = p.cursor()
	s.state.Pruned, s.state.Last = p.cursor(), p.cursor()
	meta := p.take(1, zeroField[:])[0]
	s.state.Snapshot.Record = append([]byte(nil), p.bytes()...)
	if data := p.bytes(); meta == 1 {
		s.state.Meta = append([]byte{}, data...)
	} else if meta != 0 || len(data) > 0 {
		return logState{}, 0, errState
	}
	for len(p.b) > 0 {
		s.terms = append(s.terms, p.cursor())
	}
	if p.bad || !s.consistent() {
		return logState{}, 0, errState
	}
	return s, n, nil
}

// consistent reports whether the terms and the cursors fit together.
func (s *logState) consistent() bool {
	first, last := s.state.Pruned, s.state.Last
	if last.Index < first.Index || last.Index+1 == 0 {
		return false
	}
	if last.Index == first.Index {
		return len(s.terms) == 0 && last == first
	}
	if len(s.terms) == 0 || s.terms[0].Index != first.Index+1 || s.terms[0].Term < first.Term {
		return false
	}
	for i, c := range s.terms[1:] {
		if c.Index <= s.terms[i].Index || c.Term <= s.terms[i].Term {
			return false
		}
	}
	end := s.terms[len(s.terms)-1]
	return end.Index <= last.Index && end.Term == last.Term
}
