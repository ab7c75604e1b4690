package group

import (
	"crypto/rand"
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"
)

// orderOf returns the prefix that all incarnations of one process share.
func orderOf(i Incarnation) (o [6]byte) {
	copy(o[:], i[:])
	return o
}

// Process identifies one process: 8 bytes number of the start of its directory, 0 without one,
// and 8 random bytes. The random bytes distinguish copies of a directory that were opened
// equally often.
type Process [16]byte

// newProcess returns a new id for the process of a start, 0 for a process without a directory.
func newProcess(start uint64) Process {
	var p Process
	binary.BigEndian.PutUint64(p[:8], start)
	rand.Read(p[8:])
	return p
}

// start returns the number of the start of the process's directory.
func (p Process) start() uint64 { return binary.BigEndian.Uint64(p[:8]) }

// Directory identifies a network's directory, or that of a log if the network has none. Copies
// of a directory have the same id. It is zero for a process without either.
type Directory [16]byte

// ProcessInfo distinguishes the processes that have the identity of one peer.
type ProcessInfo struct {
	Incarnation Incarnation
	Process     Process
	Directory   Directory
	Started     uint64 // when the process started, by its clock, in Unix nanoseconds
}

// order returns the first bytes of the incarnations that begin in this process.
func (t ProcessInfo) order() (o [6]byte) {
	n := t.Started
	if t.Directory != (Directory{}) {
		n = 1<<63 | t.Process.start()<<16
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	copy(o[:], b[:])
	return o
}

// resumes reports whether the incarnation began in an earlier process. If so, it may have voted
// and acknowledged entries that a copy of its log lacks.
func (t ProcessInfo) resumes() bool { return orderOf(t.Incarnation) != t.order() }

// Origin makes the incarnations of this process. It serves all groups that the process joins, or
// a single one if only that group's log counts the starts. It is safe for concurrent use.
type Origin struct {
	process      ProcessInfo // its incarnation is zero
	incarnations atomic.Uint64
}

// NewOrigin returns the origin of a process. start is the number of the start of directory, from
// 1; both are zero for a process without a directory. now is the time by the process's clock.
func NewOrigin(start uint64, directory Directory, now time.Time) *Origin {
	return &Origin{process: ProcessInfo{
		Process: newProcess(start), Directory: directory, Started: uint64(max(0, now.UnixNano())),
	}}
}

// newIncarnation returns the process with a new incarnation, which compares higher than last, the
// previous one.
func (o *Origin) newIncarnation(last Incarnation) ProcessInfo {
	t := o.process
	order := t.order()
	copy(t.Incarnation[:], order[:])
	binary.BigEndian.PutUint32(t.Incarnation[6:], uint32(min(o.incarnations.Add(1), math.MaxUint32)))
	rand.Read(t.Incarnation[10:])
	if t.Incarnation.Compare(last) <= 0 { // the clock was set back, and the log had no directory
		be := binary.BigEndian
		be.PutUint32(t.Incarnation[2:], be.Uint32(last[2:])+1)
		copy(t.Incarnation[:2], last[:2])
	}
	return t
}

// resumeIncarnation returns the process with an incarnation that began in an earlier one.
func (o *Origin) resumeIncarnation(i Incarnation) ProcessInfo {
	t := o.process
	t.Incarnation = i
	return t
}
