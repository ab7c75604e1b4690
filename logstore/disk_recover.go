package logstore

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mosaik-go/mosaik/logstore/internal/wal"
	"github.com/mosaik-go/mosaik/sm"
)

// openStore opens the log in a directory and rebuilds the groups from it.
func openStore(cfg diskConfig, dir string, network sm.Digest) (*diskStore, error) {
	s := &diskStore{
		cfg: cfg, dir: dir, network: network,
		groups:   map[sm.Digest]*diskGroup{},
		numbers:  map[uint32]*diskGroup{},
		turn:     make(chan struct{}, 1),
		watchers: map[*diskGroup]func(error){},
		use:      &usage{live: map[uint32]int64{}},
	}
	r := recovery{diskStore: s}
	var err error
	s.wal, err = wal.Open(wal.Config{
		FS: cfg.fs, Dir: dir, Network: network, SegmentSize: cfg.segment, ID: cfg.id,
		Begin:  s.states,
		Found:  func(bytes int64) { r.most = bytes / entryHead },
		Replay: r.replay,
	})
	if err != nil {
		return nil, err
	}
	s.room = nil
	if err := r.finish(); err != nil {
		return nil, errors.Join(err, s.wal.Close())
	}
	return s, nil
}

// recovery replays a log.
type recovery struct {
	*diskStore
	begun bool
	most  int64 // how many more entries the files can hold
}

// replay applies one frame, whose payload is at a place.
func (r *recovery) replay(at wal.Place, kind wal.Kind, payload []byte) error {
	if kind == wal.Begin {
		if r.begun {
			return r.compare(payload)
		}
		r.begun = true
		return r.begin(payload)
	}
	for base := 0; base < len(payload); {
		rec, n, entries, err := parseRecord(payload[base:], r.room)
		if err != nil {
			return err
		}
		first := wal.Place{Segment: at.Segment, Offset: at.Offset + uint32(base+entries)}
		if err := r.change(&rec, first); err != nil {
			return err
		}
		clear(rec.batch.Entries)
		r.room = rec.batch.Entries[:0]
		base += n
	}
	return nil
}

// begin sets the groups from the first frame of the oldest segment.
func (r *recovery) begin(payload []byte) error {
	for len(payload) > 0 {
		st, n, err := parseState(payload)
		if err != nil {
			return err
		}
		payload = payload[n:]
		g, err := r.name(st.number, st.id)
		if err != nil {
			return err
		}
		missing := uint64(st.state.Last.Index - st.state.Pruned.Index)
		if r.most -= int64(min(missing, 1<<62)); r.most < 0 {
			return fmt.Errorf("%w: it holds more entries than the files", errState)
		}
		g.state, g.terms = st.state, st.terms
		g.refs.reset(st.state.Pruned.Index + 1)
		g.refs.extend(int(missing))
	}
	return nil
}

// compare checks that the states in the first frame of a segment are the result of the
// segments before it.
func (r *recovery) compare(payload []byte) error {
	seen := map[uint32]bool{}
	for len(payload) > 0 {
		st, n, err := parseState(payload)
		if err != nil {
			return err
		}
		payload = payload[n:]
		g, err := r.name(st.number, st.id)
		if err != nil {
			return err
		}
		seen[st.number] = true
		if g.prune(st.state.Pruned.Index) { // the prune itself was not written yet
			g.forget(st.state.Pruned.Index, r.use)
		}
		if now, _ := g.logState(); !now.equal(&st) {
			return fmt.Errorf("%w: it differs from the state of group %s before it", errState, st.id.Short())
		}
	}
	for number, g := range r.numbers {
		if seen[number] {
			continue
		}
		if _, empty := g.logState(); !empty {
			return fmt.Errorf("%w: the state of group %s is missing", errState, g.id.Short())
		}
		delete(r.numbers, number)
		g.number, g.named = 0, false
	}
	return nil
}

func (s *logState) equal(o *logState) bool {
	return s.state.Hard == o.state.Hard && s.state.Pruned == o.state.Pruned && s.state.Last == o.state.Last &&
		s.state.Snapshot.Cursor == o.state.Snapshot.Cursor && string(s.state.Snapshot.Record) == string(o.state.Snapshot.Record) &&
		string(s.state.Meta) == string(o.state.Meta) && (s.state.Meta == nil) == (o.state.Meta == nil) && slices.Equal(s.terms, o.terms)
}

// name assigns a number to a group and returns the group.
func (r *recovery) name(number uint32, id sm.Digest) (*diskGroup, error) {
	g := r.groups[id]
	if g == nil {
		g = newDiskGroup(id)
		r.groups[id] = g
	}
	if other := r.numbers[number]; number == 0 || other != nil && other != g || g.number != 0 && g.number != number {
		return nil, fmt.Errorf("%w: number %d does not belong to group %s", errChange, number, id.Short())
	}
	g.number, g.named = number, true
	r.numbers[number] = g
	r.next = max(r.next, number)
	return g, nil
}

// change applies a change, whose first entry is at first.
func (r *recovery) change(rec *record, first wal.Place) error {
	if rec.names != nil {
		if _, err := r.name(rec.number, *rec.names); err != nil {
			return err
		}
	}
	g := r.numbers[rec.number]
	if g == nil {
		return fmt.Errorf("%w: no group has number %d", errChange, rec.number)
	}
	if rec.moved {
		r.moved(g, rec.batch.Entries, first)
		return nil
	}
	next, err := plan(g.state, rec.batch, g)
	if err != nil {
		return fmt.Errorf("%w: %w", errChange, err)
	}
	if next.state.Last.Index+1 == 0 {
		return errChange
	}
	g.apply(next, rec.batch.Entries, first, r.use)
	if g.prune(rec.prune) {
		g.forget(rec.prune, r.use)
	}
	return nil
}

// moved sets the new places of entries.
func (r *recovery) moved(g *diskGroup, entries []Entry, at wal.Place) {
	for i := range entries {
		here := ref{uint32(at.Segment), at.Offset, uint32(entryHead + len(entries[i].Data))}
		at.Offset += here.length
		e := &entries[i]
		if before, ok := g.at(e.Index); ok && g.terms.at(e.Index) == e.Term {
			g.move(e.Index, before, here, r.use)
		}
	}
}

// finish checks that the place of every entry is known.
func (r *recovery) finish() error {
	for _, g := range r.groups {
		for i := g.refs.first; i < g.refs.end(); i++ {
			if g.refs.at(i).length == 0 {
				return fmt.Errorf("%w: %s holds no entry %d of group %s", ErrCorrupt, r.dir, i, g.id.Short())
			}
		}
	}
	return nil
}
