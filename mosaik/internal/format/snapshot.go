package format

import (
	"encoding/binary"
	"fmt"
)

// Snapshot container v1: what mosaik keeps beside a machine, then the machine's
// own bytes, as one stream. Integers are little endian.
//
//	offset  size  field
//	     0     7  magic "MSKSNAP"
//	     7     1  version, 1
//	     8     4  flags: bit 0 opened, bit 1 sealed, bit 2 token base, others 0
//	    12     4  level of the schema, 0 if it is not known, as it was before
//	              level entries were written
//	    16     8  dense command count
//	    24     8  Raft index of the last applied entry
//	    32     8  Raft term of the last applied entry
//	    40     8  last time, Unix nanoseconds, signed
//	    48     4  number of sessions s, at most 65536
//	    52     4  number of ancestors a, at most 1024
//	    56     4  check
//	    60  40·s  sessions, least recently used first:
//	                16 bytes id
//	                 8 bytes last sequence
//	                 8 bytes dense index of the last entry's first command,
//	                         0 when that entry applied none
//	                 8 bytes Raft index of the last use
//	     -  16·a  ancestors: the epochs that this one continues, oldest first
//	     -     8  token base, 1 to 1<<62, only with flag bit 2
//	     -     4  check
//	     -     -  chunks of the machine's bytes:
//	                 4 bytes length, 1 to 65536
//	                 as many bytes
//	                 4 bytes check
//	     -     4  0, the end of the chunks
//	     -    16  the first 16 bytes of the BLAKE3 hash of everything before
//
// A check is the CRC-32C of everything before it, from the first byte of the
// stream on, except earlier checks (with those, a CRC would forget all that they
// cover). It stands behind each part, so that no byte is used, and none reaches
// the machine, before it was checked in its place; a chunk that is missing,
// doubled or moved fails as well. The hash at the end is what makes the whole
// believable: 32 bits would let one in four billion damaged streams pass. It is
// a hash and not a CRC-64, which is linear like the checks that it would back
// up; it costs more (0.8 against 1.4 GB/s where this was measured), which is
// little beside moving the bytes. Neither protects against somebody who means
// harm: streams come from authenticated members.
//
// A snapshot of another version, or with another flag, is that of a newer program
// and stops the replica, and so does one of a level above the supported one.

const (
	snapshotMagic   = "MSKSNAP"
	snapshotVersion = 1

	snapshotHeaderSize = 56
	sessionSize        = 40
	ancestorSize       = 16
	checkSize          = 4
	sumSize            = 16

	flagOpened = 1 << 0
	flagSealed = 1 << 1
	flagTokens = 1 << 2
	tokensSize = 8

	// MaxSessions bounds the session table of a snapshot.
	MaxSessions = 1 << 16
	// MaxAncestors bounds the list of epochs that a snapshot's epoch continues.
	MaxAncestors = 1024
	// maxChunk bounds a chunk of the machine's bytes.
	maxChunk = 1 << 16
)

// Snapshot is the part of a snapshot that belongs to mosaik: everything but the machine's bytes.
type Snapshot struct {
	Opened   bool
	Sealed   bool
	Level    uint32 // of the schema, 0 if unknown
	Commands uint64 // dense command count
	Index    uint64 // Raft index of the last applied entry
	Term     uint64 // Raft term of the last applied entry
	Time     int64  // last time in Unix nanoseconds
	Sessions []Session
	// Ancestors are the epochs that this one continues, oldest first.
	Ancestors [][16]byte
	TokenBase uint64 // the base of fencing tokens, to which the leader's term is added; 0 for none
}

// Session is one entry of the session table.
type Session struct {
	ID       SessionID
	Sequence uint64 // the last sequence that was applied
	First    uint64 // dense index of the first command of that entry, 0 for none
	Used     uint64 // Raft index of the last entry of the session
}

// append appends the fixed header without its check.
func (s *Snapshot) append(dst []byte) []byte {
	var flags uint32
	if s.Opened {
		flags |= flagOpened
	}
	if s.Sealed {
		flags |= flagSealed
	}
	if s.TokenBase != 0 {
		flags |= flagTokens
	}
	le := binary.LittleEndian
	dst = append(dst, snapshotMagic...)
	dst = append(dst, snapshotVersion)
	dst = le.AppendUint32(dst, flags)
	dst = le.AppendUint32(dst, s.Level)
	dst = le.AppendUint64(dst, s.Commands)
	dst = le.AppendUint64(dst, s.Index)
	dst = le.AppendUint64(dst, s.Term)
	dst = le.AppendUint64(dst, uint64(s.Time))
	dst = le.AppendUint32(dst, uint32(len(s.Sessions)))
	return le.AppendUint32(dst, uint32(len(s.Ancestors)))
}

// parse decodes the fixed header and returns the number of sessions and of ancestors. It sets
// TokenBase to 1 if a token base follows.
func (s *Snapshot) parse(b []byte) (sessions, ancestors int, err error) {
	le := binary.LittleEndian
	flags := le.Uint32(b[8:])
	if flags&^(flagOpened|flagSealed|flagTokens) != 0 {
		return 0, 0, fmt.Errorf("%w: snapshot flags %#x", ErrVersion, flags)
	}
	*s = Snapshot{
		Opened:   flags&flagOpened != 0,
		Sealed:   flags&flagSealed != 0,
		Level:    le.Uint32(b[12:]),
		Commands: le.Uint64(b[16:]),
		Index:    le.Uint64(b[24:]),
		Term:     le.Uint64(b[32:]),
		Time:     int64(le.Uint64(b[40:])),
	}
	if flags&flagTokens != 0 {
		s.TokenBase = 1
	}
	n, a := le.Uint32(b[48:]), le.Uint32(b[52:])
	switch {
	case n > MaxSessions:
		return 0, 0, fmt.Errorf("%w: snapshot with %d sessions, at most %d are allowed", ErrMalformed, n, MaxSessions)
	case a > MaxAncestors:
		return 0, 0, fmt.Errorf("%w: snapshot with %d ancestors, at most %d are allowed", ErrMalformed, a, MaxAncestors)
	}
	return int(n), int(a), nil
}

func (s *Session) append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, s.ID[:]...)
	dst = le.AppendUint64(dst, s.Sequence)
	dst = le.AppendUint64(dst, s.First)
	return le.AppendUint64(dst, s.Used)
}

func (s *Session) parse(b []byte) {
	le := binary.LittleEndian
	copy(s.ID[:], b)
	s.Sequence = le.Uint64(b[16:])
	s.First = le.Uint64(b[24:])
	s.Used = le.Uint64(b[32:])
}
