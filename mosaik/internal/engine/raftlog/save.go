package raftlog

import (
	"fmt"
	"maps"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// maxBuf is the most entries for which a log keeps scratch space.
const maxBuf = 1024

// setHard notes the state that dragonboat saves beside entries.
func (l *Log) setHard(s pb.State) {
	l.hard = s
	l.term.Store(s.Term)
	l.commit.Store(s.Commit)
}

// save makes an update durable. dragonboat never calls it twice at a time for one replica.
func (l *Log) save(u *pb.Update) {
	l.membership.note(u)
	_ = l.write("save to", func(b *logstore.Batch) error {
		if l.isNews(&u.Snapshot) {
			if err := l.supersede(b, &u.Snapshot); err != nil {
				return err
			}
			b.Reset = &b.Snapshot.Cursor
			l.terms.restart(b.Snapshot.Cursor)
		}
		if !pb.IsEmptyState(u.State) {
			l.setHard(u.State)
		}
		// The commit index is no promise: a replica that starts with an older one
		// receives the current one from its leader. Saving it alone would cost a sync
		// for each command, so it is saved with the next update that must be.
		promised := l.hard.Term != l.kept.Term || l.hard.Vote != l.kept.Vote
		if !pb.IsStateEqual(l.hard, l.kept) && (promised || len(u.EntriesToSave) > 0 || b.Snapshot != nil) {
			hard := toHard(l.hard)
			b.Hard, l.kept = &hard, l.hard
		}
		l.terms.append(u.EntriesToSave)
		b.Entries = l.buf[:0]
		for i := range u.EntriesToSave {
			e, err := toStored(&u.EntriesToSave[i])
			if err != nil {
				return err
			}
			b.Entries = append(b.Entries, e)
		}
		l.buf = b.Entries
		return l.noteLevel(b, l.highest(u.EntriesToSave))
	})
	clear(l.buf) // releases the data
	if l.buf = l.buf[:0]; cap(l.buf) > maxBuf {
		l.buf = nil
	}
}

// highest returns the highest level to which one of the entries may raise the schema.
func (l *Log) highest(entries []pb.Entry) (level uint32) {
	if l.levelOf == nil {
		return 0
	}
	for i := range entries {
		if entries[i].ClientID != wire.ProposalClient {
			continue
		}
		if data, err := wire.Payload(&entries[i]); err == nil {
			level = max(level, l.levelOf(data))
		}
	}
	return level
}

// noteLevel adds a level to the metadata if it is higher than theirs.
func (l *Log) noteLevel(b *logstore.Batch, level uint32) (err error) {
	if level > l.meta.level {
		l.meta.level = level
		b.Meta, err = l.meta.marshal()
	}
	return err
}

// isNews reports whether s is a snapshot that is later than the last one. A snapshot that
// was received may overtake one that was being taken.
func (l *Log) isNews(s *pb.Snapshot) bool {
	return !pb.IsEmptySnapshot(*s) && sm.Index(s.Index) > l.snapshot.Cursor.Index
}

// supersede replaces the record of the last snapshot.
func (l *Log) supersede(b *logstore.Batch, s *pb.Snapshot) error {
	record, err := toRecord(s)
	if err != nil {
		return err
	}
	l.snapshot, b.Snapshot = record, &record
	return nil
}

// saveSnapshot notes a snapshot that was taken here.
func (l *Log) saveSnapshot(s *pb.Snapshot) {
	_ = l.write("save a snapshot's record to", func(b *logstore.Batch) error {
		if !l.isNews(s) {
			return nil
		}
		return l.supersede(b, s)
	})
}

// saveBootstrap notes that the replica was started for the first time.
func (l *Log) saveBootstrap(boot pb.Bootstrap) {
	_ = l.write("save bootstrap info to", func(b *logstore.Batch) (err error) {
		boot.Addresses = maps.Clone(boot.Addresses)
		l.meta.boot = &boot
		b.Meta, err = l.meta.marshal()
		return err
	})
}

// bootstrap returns the bootstrap info; ok is false if there is none.
func (l *Log) bootstrap() (b pb.Bootstrap, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.meta.boot == nil {
		return pb.Bootstrap{}, false
	}
	b = *l.meta.boot
	b.Addresses = maps.Clone(b.Addresses)
	return b, true
}

// importSnapshot replaces the log by one that holds the snapshot alone.
func (l *Log) importSnapshot(s *pb.Snapshot) error {
	if l.fenced.Load() {
		return fmt.Errorf("engine: import a snapshot into the log of replica %d of shard %d: the log has failed",
			l.key.ReplicaID, l.key.ShardID)
	}
	return l.write("import a snapshot into", func(b *logstore.Batch) (err error) {
		if err := l.supersede(b, s); err != nil {
			return err
		}
		l.setHard(pb.State{Term: s.Term, Commit: s.Index})
		l.membership.restore(&s.Membership)
		hard := toHard(l.hard)
		l.kept = l.hard
		b.Clear, b.Reset, b.Hard = true, &b.Snapshot.Cursor, &hard
		l.terms.clear()
		l.terms.restart(b.Snapshot.Cursor)
		l.meta.boot = &pb.Bootstrap{Join: true, Type: s.Type}
		b.Meta, err = l.meta.marshal()
		return err
	})
}

// clear empties the log.
func (l *Log) clear() {
	_ = l.write("clear", func(b *logstore.Batch) error {
		b.Clear = true
		l.meta = metadata{id: Identity{Shard: l.key.ShardID, Replica: l.key.ReplicaID}}
		l.kept, l.snapshot = pb.State{}, logstore.Snapshot{}
		l.setHard(pb.State{})
		l.membership.clear()
		l.terms.clear()
		return nil
	})
}

// prune drops the entries through an index.
func (l *Log) prune(through sm.Index) {
	l.mu.Lock()
	var err error
	if !l.fenced.Load() {
		err = Guard(func() error { return l.storage.Prune(through) })
	}
	l.terms.prune(through)
	_ = l.unlock("prune", err)
}
