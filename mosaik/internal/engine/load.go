package engine

import (
	"errors"

	"github.com/lni/dragonboat/v4"

	"github.com/mosaik-go/mosaik/sm"
)

// load counts what a replica has applied since its last snapshot, and decides when the next one
// is due. dragonboat itself counts entries only, and keeps a number of them behind a snapshot,
// however large they are. The applier's goroutine owns it.
type load struct {
	entries, bytes uint64 // the bounds that make a snapshot due, 0 for none

	from   sm.Index // where the last snapshot was taken or tried, 0 if not known
	last   sm.Index // the last entry that was applied
	size   uint64   // of the entries between them, in bytes
	middle sm.Index // the entry with which half of a bound was last used up
	due    uint64   // the load at which to ask for a snapshot, in quarters
}

// full is the load that makes a snapshot due, in quarters.
const full = 4

// add counts an entry. When a snapshot is due it returns the index through which the log may be
// pruned then: the younger half of either bound stays, for replicas that lag a little. A busy
// replica may ignore the request, so it is repeated as the load grows.
func (l *load) add(index sm.Index, size int) (through sm.Index, due bool) {
	if l.from == 0 {
		l.from, l.last = index-1, index-1
	}
	entries, bytes := l.used()
	l.last = index
	l.size += uint64(size)
	moreEntries, moreBytes := l.used()
	if entries < full/2 && moreEntries >= full/2 || bytes < full/2 && moreBytes >= full/2 {
		l.middle = index
	}
	now := max(moreEntries, moreBytes)
	if now < max(full, l.due) {
		return 0, false
	}
	l.due = now + 1
	return min(l.middle, index-1), true
}

// used returns how much of either bound is used up, in quarters.
func (l *load) used() (entries, bytes uint64) {
	if l.entries > 0 {
		entries = full * uint64(l.last-l.from) / l.entries
	}
	if l.bytes > 0 {
		bytes = full * l.size / l.bytes
	}
	return entries, bytes
}

// restart begins to count from the last entry, at which a snapshot was taken or tried.
func (l *load) restart() {
	l.from, l.size, l.middle, l.due = l.last, 0, 0, 0
}

// snapshotDue asks dragonboat for a snapshot. It does so on the dispatcher's goroutine, because a
// worker of dragonboat must not wait for the engine's gate.
type snapshotDue struct {
	replica *Replica
	through sm.Index
}

func (e snapshotDue) notify(Events) { e.replica.requestSnapshot(e.through) }

func (r *Replica) requestSnapshot(through sm.Index) {
	if !r.engine.enter() {
		return
	}
	defer r.engine.leave()
	if r.ended() != nil {
		return
	}
	_, err := r.engine.host.RequestSnapshot(r.shard, dragonboat.SnapshotOption{
		OverrideCompactionOverhead: true,
		CompactionIndex:            uint64(through),
	}, maxWait)
	if err != nil && !errors.Is(err, dragonboat.ErrSystemBusy) { // busy with a snapshot
		r.engine.log.Warn("engine: snapshot not requested", "shard", r.shard, "replica", r.id, "error", err)
	}
}
