package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik/internal/engine/wire"
	"github.com/mosaik-go/mosaik/sm"
)

// replicaLog is one replica's log as dragonboat sees it. It remembers all but
// the entries itself, so that nothing but reading entries can fail, and that
// dragonboat's picture stays whole after the log has failed.
type replicaLog struct {
	key    raftio.NodeInfo
	log    logstore.Log
	failed func(error)
	// levelOf returns the level to which an entry may raise the schema, 0 for none;
	// nil for none ever.
	levelOf func(data []byte) uint32
	silent  atomic.Bool // the log has failed, or was abandoned
	terms   termTable
	cuts    cuts

	// What dragonboat last saved, for those who receive messages: its own may be later.
	term, commit atomic.Uint64
	members      members

	mu       sync.Mutex // held by the one who writes; guards what follows
	meta     metadata
	hard     pb.State
	kept     pb.State // what the log holds of hard
	snapshot logstore.Snapshot

	buf []logstore.Entry // save's own, used again
}

// maxBuf is the most entries that a replica keeps room for.
const maxBuf = 1024

// openReplicaLog reads log and checks that dragonboat can go on from it.
func openReplicaLog(key raftio.NodeInfo, log logstore.Log, failed func(error)) (*replicaLog, error) {
	l := &replicaLog{key: key, log: log, failed: failed}
	err := guard(func() error {
		st, err := log.State()
		if err != nil {
			return err
		}
		if err := l.restore(st); err != nil {
			return err
		}
		if err := l.terms.load(log, st); err != nil {
			return err
		}
		return l.readChanges(st)
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (l *replicaLog) restore(st logstore.State) error {
	snapshot, err := fromRecord(st.Snapshot)
	if err != nil {
		return err
	}
	meta := &metadata{id: Identity{Shard: l.key.ShardID, Replica: l.key.ReplicaID}}
	if st.Meta != nil {
		if meta, err = parseMetadata(st.Meta); err != nil {
			return err
		}
	}
	used := st.Last.Index > 0 || st.Hard != logstore.HardState{} || snapshot.Index > 0
	switch {
	case meta.id.Shard != l.key.ShardID || meta.id.Replica != l.key.ReplicaID:
		return fmt.Errorf("it is the log of replica %d of shard %d", meta.id.Replica, meta.id.Shard)
	case used && meta.boot == nil:
		return errors.New("the log is used but lacks bootstrap info")
	case st.Pruned.Index > sm.Index(snapshot.Index):
		return fmt.Errorf("the log is pruned through %d, which its snapshot at %d does not cover", st.Pruned.Index, snapshot.Index)
	case st.Last.Index < sm.Index(snapshot.Index):
		return fmt.Errorf("the log ends at %d, before its snapshot at %d", st.Last.Index, snapshot.Index)
	case st.Hard.Commit > st.Last.Index:
		return fmt.Errorf("the log ends at %d, before its commit index %d", st.Last.Index, st.Hard.Commit)
	}
	l.meta, l.kept, l.snapshot = *meta, fromHard(st.Hard), st.Snapshot
	l.setHard(fromHard(st.Hard))
	if snapshot.Index > 0 {
		l.members.restore(&snapshot.Membership)
	}
	return nil
}

// readChanges reads the changes of the membership that the log holds and that may be
// committed later. dragonboat tells those that are, from the snapshot on.
func (l *replicaLog) readChanges(st logstore.State) error {
	if st.Hard.Commit >= st.Last.Index {
		return nil
	}
	for e, err := range l.log.Entries(max(st.Hard.Commit, st.Pruned.Index)+1, st.Last.Index+1) {
		if err != nil {
			return err
		}
		restored, err := fromLog(&e)
		if err != nil {
			return err
		}
		l.members.append([]pb.Entry{restored})
	}
	return nil
}

// guard runs f and makes an error of its panic: a log is not ours.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the log panicked: %v", r)
		}
	}()
	return f()
}

// write lets build note a change and saves it, unless the log has failed: what
// the replica remembers changes in any case.
func (l *replicaLog) write(doing string, build func(*logstore.Batch) error) error {
	l.mu.Lock()
	var b logstore.Batch
	err := build(&b)
	if err == nil && !l.silent.Load() && !isEmpty(&b) {
		err = guard(func() error { return l.log.Save(b) })
	}
	return l.leave(doing, err)
}

// setHard notes what dragonboat saves beside entries.
func (l *replicaLog) setHard(s pb.State) {
	l.hard = s
	l.term.Store(s.Term)
	l.commit.Store(s.Commit)
}

func isEmpty(b *logstore.Batch) bool {
	return !b.Clear && b.Reset == nil && len(b.Entries) == 0 && b.Hard == nil && b.Snapshot == nil && b.Meta == nil
}

// leave unlocks l.mu. If err says that the log failed just now it mutes the
// replica and tells the owner.
func (l *replicaLog) leave(doing string, err error) error {
	first := err != nil && !l.silent.Swap(true)
	l.mu.Unlock()
	if !first {
		return nil
	}
	err = fmt.Errorf("%w: %s the log of replica %d of shard %d: %w", ErrStorage, doing, l.key.ReplicaID, l.key.ShardID, err)
	l.failed(err)
	return err
}

// save makes durable what dragonboat has to remember. dragonboat never calls it
// twice at a time for one replica.
func (l *replicaLog) save(u *pb.Update) {
	l.members.note(u)
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
		// The commit index is no promise: whoever starts with an older one hears
		// the new one from the leader. So it does not reach the log on its own,
		// which would cost a sync for each command, but with what has to.
		promised := l.hard.Term != l.kept.Term || l.hard.Vote != l.kept.Vote
		if !pb.IsStateEqual(l.hard, l.kept) && (promised || len(u.EntriesToSave) > 0 || b.Snapshot != nil) {
			hard := toHard(l.hard)
			b.Hard, l.kept = &hard, l.hard
		}
		l.terms.append(u.EntriesToSave)
		b.Entries = l.buf[:0]
		for i := range u.EntriesToSave {
			e, err := toLog(&u.EntriesToSave[i])
			if err != nil {
				return err
			}
			b.Entries = append(b.Entries, e)
		}
		l.buf = b.Entries
		return l.noteLevel(b, l.highest(u.EntriesToSave))
	})
	clear(l.buf) // lets go of the data
	if l.buf = l.buf[:0]; cap(l.buf) > maxBuf {
		l.buf = nil
	}
}

// highest returns the highest level to which one of the entries may raise the schema.
func (l *replicaLog) highest(entries []pb.Entry) (level uint32) {
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

// noteLevel adds a level to the metadata if it is higher than that they have.
func (l *replicaLog) noteLevel(b *logstore.Batch, level uint32) (err error) {
	if level > l.meta.level {
		l.meta.level = level
		b.Meta, err = l.meta.marshal()
	}
	return err
}

// abandon notes a level in the log, and lets nothing follow: another program goes on
// from there.
func (l *replicaLog) abandon(level uint32) {
	_ = l.write("note the level in", func(b *logstore.Batch) error { return l.noteLevel(b, level) })
	l.silent.Store(true)
}

// isNews reports whether s is a snapshot, and later than the one that is known:
// one that was received may overtake one that was being taken.
func (l *replicaLog) isNews(s *pb.Snapshot) bool {
	return !pb.IsEmptySnapshot(*s) && sm.Index(s.Index) > l.snapshot.Cursor.Index
}

// supersede replaces the record of the last snapshot.
func (l *replicaLog) supersede(b *logstore.Batch, s *pb.Snapshot) error {
	record, err := toRecord(s)
	if err != nil {
		return err
	}
	l.snapshot, b.Snapshot = record, &record
	return nil
}

// saveSnapshot notes a snapshot that was taken here.
func (l *replicaLog) saveSnapshot(s *pb.Snapshot) {
	_ = l.write("save a snapshot's record to", func(b *logstore.Batch) error {
		if !l.isNews(s) {
			return nil
		}
		return l.supersede(b, s)
	})
}

// saveBootstrap notes that the replica was started for the first time.
func (l *replicaLog) saveBootstrap(boot pb.Bootstrap) {
	_ = l.write("save bootstrap info to", func(b *logstore.Batch) (err error) {
		boot.Addresses = maps.Clone(boot.Addresses)
		l.meta.boot = &boot
		b.Meta, err = l.meta.marshal()
		return err
	})
}

// bootstrap returns the bootstrap info; ok is false if there is none.
func (l *replicaLog) bootstrap() (b pb.Bootstrap, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.meta.boot == nil {
		return pb.Bootstrap{}, false
	}
	b = *l.meta.boot
	b.Addresses = maps.Clone(b.Addresses)
	return b, true
}

// importSnapshot makes the log one that holds the snapshot alone.
func (l *replicaLog) importSnapshot(s *pb.Snapshot) error {
	if l.silent.Load() {
		return fmt.Errorf("engine: import a snapshot into the log of replica %d of shard %d: the log has failed", l.key.ReplicaID, l.key.ShardID)
	}
	return l.write("import a snapshot into", func(b *logstore.Batch) (err error) {
		if err := l.supersede(b, s); err != nil {
			return err
		}
		l.setHard(pb.State{Term: s.Term, Commit: s.Index})
		l.members.restore(&s.Membership)
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

// clear forgets everything.
func (l *replicaLog) clear() {
	_ = l.write("clear", func(b *logstore.Batch) error {
		b.Clear = true
		l.meta = metadata{id: Identity{Shard: l.key.ShardID, Replica: l.key.ReplicaID}}
		l.kept, l.snapshot = pb.State{}, logstore.Snapshot{}
		l.setHard(pb.State{})
		l.members.seen.Store(nil)
		l.terms.clear()
		return nil
	})
}

// prune drops the entries through an index.
func (l *replicaLog) prune(through sm.Index) {
	l.mu.Lock()
	var err error
	if !l.silent.Load() {
		err = guard(func() error { return l.log.Prune(through) })
	}
	l.terms.prune(through)
	_ = l.leave("prune", err)
}

// lastSnapshot returns the record of the last snapshot, the zero one if there
// is none.
func (l *replicaLog) lastSnapshot() (pb.Snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fromRecord(l.snapshot)
}

// raftState returns what dragonboat starts from, of which the entries begin
// after the snapshot at index snapshot.
func (l *replicaLog) raftState(snapshot uint64) (raftio.RaftState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pb.IsEmptyState(l.hard) {
		return raftio.RaftState{}, raftio.ErrNoSavedLog
	}
	st := raftio.RaftState{State: l.hard}
	// dragonboat applies before it saves the commit index: a snapshot may
	// reach the log before the commit index that it stands for.
	st.State.Commit = max(st.State.Commit, snapshot)
	if _, last := l.terms.span(); snapshot < uint64(last) {
		st.FirstIndex, st.EntryCount = snapshot+1, uint64(last)-snapshot
	}
	return st, nil
}

// iterate appends the entries with indices in [low, high), as far as the log
// holds them, to out, whose size is size, until it exceeds a maxSize other than 0,
// or readAim. In both cases dragonboat is to see that it exceeds maxSize: it drops
// the last entry then, and asks for the rest later.
func (l *replicaLog) iterate(out []pb.Entry, size uint64, low, high sm.Index, maxSize uint64) ([]pb.Entry, uint64) {
	l.mu.Lock()
	first, last := l.terms.span()
	high = min(high, last+1)
	if low < first || low >= high {
		l.mu.Unlock()
		return out, size
	}
	var err error
	if !l.silent.Load() {
		c := collector{out: out, size: size, maxSize: min(maxSize, readAim)}
		if err = guard(func() error { return c.read(l.log, low, high) }); err == nil {
			l.mu.Unlock()
			if c.full() {
				l.cuts.add(c.out[max(0, len(c.out)-2)].Index)
				c.size = max(c.size, maxSize+1)
			}
			return c.out, c.size
		}
	}
	c := collector{out: out, size: size, maxSize: maxSize}
	for i := low; i < high && c.add(blank(i, l.terms.at(i))); i++ {
	}
	_ = l.leave("read from", err)
	return c.out, c.size
}

// collector gathers entries up to a size.
type collector struct {
	out           []pb.Entry
	size, maxSize uint64
}

// add reports whether there is room for more.
func (c *collector) add(e pb.Entry) bool {
	c.out = append(c.out, e)
	c.size += uint64(e.SizeUpperLimit())
	return !c.full()
}

func (c *collector) full() bool { return c.maxSize != 0 && c.size > c.maxSize }

// read adds the entries of log with indices in [low, high), all of which it holds.
func (c *collector) read(log logstore.Log, low, high sm.Index) error {
	next := low
	for e, err := range log.Entries(low, high) {
		if err != nil {
			return err
		}
		if e.Index != next {
			return fmt.Errorf("it yielded entry %d where %d comes next", e.Index, next)
		}
		restored, err := fromLog(&e)
		if err != nil {
			return err
		}
		if !c.add(restored) {
			return nil
		}
		next++
	}
	if next < high {
		return fmt.Errorf("it yielded no entry at %d, though it accepted entries through %d", next, high-1)
	}
	return nil
}

// cuts are the indices of the last entries of what was read lately and cut short.
type cuts struct {
	mu   sync.Mutex
	last [64]uint64
	next int
}

func (c *cuts) add(index uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[c.next%len(c.last)] = index
	c.next++
}

func (c *cuts) has(index uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.last[:], index)
}
