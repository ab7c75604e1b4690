package raftlog

import (
	"fmt"

	"github.com/mosaik-go/mosaik/logstore"
)

// Claim empties a log and makes it that of the replica id. The claim survives restarts of
// the replica, and no other replica can start with the log. The level is one to which the
// replica's entries raise the schema at least, 0 if that is not known.
func Claim(log logstore.Log, id Identity, level uint32) error {
	b, err := (&metadata{id: id, level: level}).marshal()
	if err != nil {
		return err
	}
	return log.Save(logstore.Batch{Clear: true, Meta: b})
}

// Disclaim empties a log, so that it belongs to no replica.
func Disclaim(log logstore.Log) error { return log.Save(logstore.Batch{Clear: true}) }

// Past is what a log tells about the replica that it belongs to.
type Past struct {
	Identity
	// Used reports that the replica ran with the log and left something in it: it may
	// have made promises to other members.
	Used bool
	// Bootstrap reports that the replica bootstrapped its shard.
	Bootstrap bool
	// Level is the highest level to which the log's entries, present or past, may raise
	// the schema.
	Level uint32
}

// ReadPast returns what a log tells about its replica; ok is false if it belongs to none.
func ReadPast(log logstore.Log) (p Past, ok bool, err error) {
	st, err := log.State()
	if err != nil {
		return Past{}, false, fmt.Errorf("engine: read the past of a replica: %w", err)
	}
	if st.Meta == nil {
		return Past{}, false, nil
	}
	m, err := parseMetadata(st.Meta)
	if err != nil {
		return Past{}, false, fmt.Errorf("engine: read the past of a replica: %w", err)
	}
	p.Identity, p.Level = m.id, m.level
	if m.boot != nil {
		p.Used = st.Hard != logstore.HardState{} || st.Snapshot.Cursor.Index > 0 || st.Last.Index > 0
		p.Bootstrap = !m.boot.Join
	}
	return p, true, nil
}
