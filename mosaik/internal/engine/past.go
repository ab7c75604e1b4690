package engine

import (
	"fmt"

	"github.com/mosaik-go/mosaik/logstore"
)

// Claim makes a log that of the replica id, and forgets all that it held. The
// claim survives restarts of the replica, and no other replica can be started
// with the log. The level is that to which what the replica will write raises the
// schema at least, 0 if that is not known.
func Claim(log logstore.Log, id Identity, level uint32) error {
	b, err := (&metadata{id: id, level: level}).marshal()
	if err == nil {
		err = empty(log, logstore.Batch{Clear: true, Meta: b})
	}
	if err != nil {
		return fmt.Errorf("%w: claim it for replica %d of shard %d: %w", ErrStorage, id.Replica, id.Shard, err)
	}
	return nil
}

// Disclaim forgets all that a log held, and whose it was.
func Disclaim(log logstore.Log) error {
	if err := empty(log, logstore.Batch{Clear: true}); err != nil {
		return fmt.Errorf("%w: clear it: %w", ErrStorage, err)
	}
	return nil
}

// empty saves a batch that clears the log, and then removes its snapshots.
func empty(log logstore.Log, b logstore.Batch) error {
	if err := log.Save(b); err != nil {
		return err
	}
	if files, ok := logstore.FilesOf(log); ok {
		return removeAllSnapshots(files)
	}
	return nil
}

// Past is what a log tells about the replica whose it is.
type Past struct {
	Identity
	// Used says that the replica ran with the log, and left something in it: it
	// may have promised something to others.
	Used bool
	// Bootstrap says that the replica made its shard.
	Bootstrap bool
	// Level is the highest level to which what the log has held may raise the schema.
	Level uint32
}

// ReadPast returns what a log tells about its replica; ok is false if it is
// nobody's.
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
