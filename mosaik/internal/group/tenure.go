package group

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"
)

// orderOf returns the part of an incarnation that all those of one process share.
func orderOf(i Incarnation) (o [6]byte) {
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
func (t Tenure) resumes() bool { return orderOf(t.Incarnation) != t.order() }

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
