package group

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math"
	"sync/atomic"
	"time"
)

// Incarnation names one life of a peer in a group. A life continues in later
// processes if its log outlives them.
//
//	offset  size  content
//	     0     6  of a peer with a directory, 1<<47 plus the number of the start
//	              of the directory at which the incarnation began; otherwise
//	              the first 6 bytes of the time at which its process started,
//	              in nanoseconds
//	     6     4  number of the incarnation in its process, from 1
//	    10     6  random, so that a peer that lost its memory does not draw an
//	              old one again
//
// Later incarnations of a process or of a directory compare higher. Before
// directories had ids, incarnations in them began with a time, too; those compare
// lower.
type Incarnation [16]byte

// String returns the incarnation as 32 hexadecimal digits.
func (i Incarnation) String() string { return hex.EncodeToString(i[:]) }

// MarshalText implements [encoding.TextMarshaler] with what String returns.
func (i Incarnation) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (i *Incarnation) UnmarshalText(text []byte) error {
	return unmarshalHex("incarnation", i[:], text)
}

// Compare orders incarnations of one process, or of one directory, by their age:
// -1, 0 or +1.
func (i Incarnation) Compare(o Incarnation) int { return bytes.Compare(i[:], o[:]) }

// order returns the part of the incarnation that all those of one process share.
func (i Incarnation) order() (o [6]byte) {
	copy(o[:], i[:])
	return o
}

// Process names one process: 8 bytes number of the start of its directory, 0
// without one, and 8 random bytes, so that copies of a directory differ that were
// opened as often.
type Process [16]byte

// newProcess returns that of the given start of a directory, 0 without one.
func newProcess(start uint64) Process {
	var p Process
	binary.BigEndian.PutUint64(p[:8], start)
	rand.Read(p[8:])
	return p
}

// start returns the number of the start of the process's directory.
func (p Process) start() uint64 { return binary.BigEndian.Uint64(p[:8]) }

// Directory names a network's directory, or that of a log where the network has none;
// copies have the same name. It is zero for a process without either.
type Directory [16]byte

// Tenure tells apart the processes that have the identity of one peer.
type Tenure struct {
	Incarnation Incarnation
	Process     Process
	Directory   Directory
	Started     uint64 // when the process started, by its clock, in Unix nanoseconds
}

// order returns the first bytes of the incarnations that begin in the process.
func (t Tenure) order() (o [6]byte) {
	n := t.Started
	if t.Directory != (Directory{}) {
		n = 1<<63 | t.Process.start()<<16
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	copy(o[:], b[:])
	return o
}

// resumes reports whether the incarnation began in an earlier process, so that it
// may have voted and acknowledged entries that a copy of its log lacks.
func (t Tenure) resumes() bool { return t.Incarnation.order() != t.order() }

// Origin makes the incarnations of this process, in all groups that it joins, or in one
// where only the log counts the starts. It is safe for concurrent use.
type Origin struct {
	process Tenure // without an incarnation
	lives   atomic.Uint64
}

// NewOrigin returns the origin of a process with the given start, from 1, of a
// directory, or with neither. now is the time of the process's clock.
func NewOrigin(start uint64, directory Directory, now time.Time) *Origin {
	return &Origin{process: Tenure{
		Process: newProcess(start), Directory: directory, Started: uint64(max(0, now.UnixNano())),
	}}
}

// begin returns the tenure of a new incarnation, which compares higher than last,
// the one before it.
func (o *Origin) begin(last Incarnation) Tenure {
	t := o.process
	order := t.order()
	copy(t.Incarnation[:], order[:])
	binary.BigEndian.PutUint32(t.Incarnation[6:], uint32(min(o.lives.Add(1), math.MaxUint32)))
	rand.Read(t.Incarnation[10:])
	if t.Incarnation.Compare(last) <= 0 { // the clock went back since a log without a directory
		be := binary.BigEndian
		be.PutUint32(t.Incarnation[2:], be.Uint32(last[2:])+1)
		copy(t.Incarnation[:2], last[:2])
	}
	return t
}

// resume returns the tenure of an incarnation that began in an earlier process.
func (o *Origin) resume(i Incarnation) Tenure {
	t := o.process
	t.Incarnation = i
	return t
}
