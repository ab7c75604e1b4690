package wire

import (
	"bytes"
	"fmt"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/sm"
)

// dragonboat's decoders allocate what the bytes claim: two bytes make a message of 304
// bytes in memory. So the protobuf encoding is scanned first, without allocation, and
// bytes that no replica of mosaik writes are refused. Decoding what passes allocates at
// most maxExpansion bytes for each byte.
//
// dragonboat writes every field of a message, and an entry has an index and a term, or a
// key and a client. So both have a least size.
const (
	leastMessage = 48 // bytes of a message on the wire, without its header
	leastEntry   = 5  // bytes of an entry on the wire, without its header
	// maxParts bounds the messages of a batch, and their entries together. Cut makes
	// batches of at most cutSize bytes, by an estimate of 128 or more for each of them.
	maxParts = cutSize / 128
	// maxMembers bounds the replicas in the membership of a snapshot, the removed ones
	// included.
	maxMembers = 1 << 16
	// maxExpansion bounds what decoding allocates, in bytes for each byte decoded.
	maxExpansion = 12
)

// emptySnapshot is the encoded snapshot in every message that members exchange.
var emptySnapshot = func() []byte {
	var s pb.Snapshot
	b, err := s.Marshal()
	if err != nil {
		panic(err)
	}
	return b
}()

var errScan = fmt.Errorf("%w: no replica of mosaik encodes messages like this", ErrBad)

// scanner splits bytes of the protobuf wire format into fields. After its first error it
// yields nothing.
type scanner struct {
	rest []byte
	bad  bool
}

// next reports whether there is another field.
func (s *scanner) next() bool { return !s.bad && len(s.rest) > 0 }

// byte returns the next byte.
func (s *scanner) byte() byte {
	if len(s.rest) == 0 {
		s.bad = true
		return 0
	}
	c := s.rest[0]
	s.rest = s.rest[1:]
	return c
}

// varint returns the next number.
func (s *scanner) varint() uint64 {
	if len(s.rest) > 0 && s.rest[0] < 0x80 { // the common case
		v := s.rest[0]
		s.rest = s.rest[1:]
		return uint64(v)
	}
	var v uint64
	for shift := uint(0); shift < 64; shift += 7 {
		if len(s.rest) == 0 {
			break
		}
		c := s.rest[0]
		s.rest = s.rest[1:]
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	s.bad = true
	return 0
}

// bytes returns the content of the next length-delimited field. It aliases the input.
func (s *scanner) bytes() []byte {
	n := s.varint()
	if s.bad || n > uint64(len(s.rest)) {
		s.bad = true
		return nil
	}
	b := s.rest[:n]
	s.rest = s.rest[n:]
	return b
}

// A protobuf tag is the number of a field, shifted left by three, plus its wire type.
const (
	tagVarint = 0
	tagBytes  = 2
)

// scanBatch checks the encoding of a batch of messages. It reads the same fields as
// dragonboat's decoder, in any order. Messages must be adjacent, as must the entries of a
// message: at the first one the decoder allocates for all that directly follow.
func scanBatch(b []byte) error {
	s := scanner{rest: b}
	var last byte
	messages, entries := 0, 0
	for s.next() {
		tag := s.byte()
		switch tag {
		case 1<<3 | tagBytes: // a message
			if messages++; messages > 1 && last != tag || messages > maxParts {
				return fmt.Errorf("%w: more than %d messages, or messages that are not adjacent", errScan, maxParts)
			}
			n := scanMessage(s.bytes())
			if entries += n; n < 0 || entries > maxParts {
				return fmt.Errorf("%w: message %d of a batch, or more than %d entries", errScan, messages, maxParts)
			}
		case 3<<3 | tagBytes: // the sender's address, which mosaik leaves empty
			if len(s.bytes()) > 2*len(sm.PeerID{}) {
				s.bad = true
			}
		case 2<<3 | tagVarint, 4<<3 | tagVarint:
			s.varint()
		default:
			s.bad = true
		}
		last = tag
	}
	if s.bad {
		return errScan
	}
	return nil
}

// scanMessage checks the encoding of a message. It returns the number of its entries, -1
// for a message that no replica of mosaik writes.
func scanMessage(b []byte) int {
	if len(b) < leastMessage {
		return -1
	}
	var last byte
	entries := 0
	for i := 0; i < len(b); {
		tag := b[i]
		i++
		if tag&7 == tagVarint && tag > 0 && tag <= 13<<3 { // the common case, faster without a scanner
			n := i
			for n < len(b) && b[n] >= 0x80 {
				n++
			}
			if n == len(b) || n-i >= 10 {
				return -1
			}
			i, last = n+1, tag
			continue
		}
		s := scanner{rest: b[i:]}
		content := s.bytes()
		switch {
		case s.bad:
			return -1
		case tag == 11<<3|tagBytes: // an entry
			if entries++; entries > 1 && last != tag || len(content) < leastEntry {
				return -1
			}
		case tag != 12<<3|tagBytes || !bytes.Equal(content, emptySnapshot):
			return -1
		}
		i, last = len(b)-len(s.rest), tag
	}
	return entries
}

// scanChunk checks the encoding of a chunk of a snapshot.
func scanChunk(b []byte) error {
	s := scanner{rest: b}
	data, path, members := false, false, false
	once := func(seen *bool) {
		if *seen {
			s.bad = true // the decoder would copy each
		}
		*seen = true
	}
	for s.next() {
		switch tag := s.varint(); tag {
		case 7<<3 | tagBytes:
			once(&data)
			s.bytes()
		case 12<<3 | tagBytes:
			once(&path)
			s.bytes()
		case 10<<3 | tagBytes:
			once(&members)
			if !scanMembership(s.bytes()) {
				return fmt.Errorf("%w: membership in a chunk", errScan)
			}
		case 18<<3 | tagBytes: // an extra file, which mosaik's snapshots do not have
			if len(s.bytes()) > len(emptySnapshot) {
				s.bad = true
			}
		default:
			if tag&7 != tagVarint || tag>>3 == 0 || tag>>3 > 21 {
				return errScan
			}
			s.varint()
		}
	}
	if s.bad {
		return errScan
	}
	return nil
}

// scanMembership checks the encoding of the membership of a snapshot, from which the
// decoder makes a map for each kind of replica.
func scanMembership(b []byte) bool {
	const target = 2 * len(sm.PeerID{}) // the text form of a peer id
	s := scanner{rest: b}
	for members := 0; s.next(); {
		tag := s.byte()
		if tag == 1<<3|tagVarint {
			s.varint()
			continue
		}
		if members++; members > maxMembers {
			return false
		}
		pair := scanner{rest: s.bytes()}
		if pair.byte() != 1<<3|tagVarint {
			return false
		}
		pair.varint()
		switch tag {
		case 2<<3 | tagBytes, 4<<3 | tagBytes: // voters, non-voting
			if pair.byte() != 2<<3|tagBytes || len(pair.bytes()) != target {
				return false
			}
		case 3<<3 | tagBytes: // removed
			if pair.byte() != 2<<3|tagVarint {
				return false
			}
			pair.varint()
		default:
			return false
		}
		if pair.bad || len(pair.rest) > 0 {
			return false
		}
	}
	return !s.bad
}
