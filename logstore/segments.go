package logstore

import (
	"slices"

	"github.com/mosaik-go/mosaik/sm"
)

// segmentLen is the highest number of entries in a piece of [segments].
const segmentLen = 256

// segments holds consecutive entries, or information about them, in pieces of
// segmentLen, so that neither growth nor pruning moves the entries that stay.
//
// A slot is written only once: to remove a suffix or a part of a piece replaces the
// piece by a copy. So a view can be read without a lock while the segments change.
type segments[T any] struct {
	first  sm.Index // index of the first entry, or of the next one if there is none
	count  int      // the number of entries
	skip   int      // empty slots of the first piece before the first entry
	pieces [][]T    // all are full except the last
	blank  []T      // a piece of zero slots that extend shares
}

// end returns the index after the last entry.
func (s *segments[T]) end() sm.Index { return s.first + sm.Index(s.count) }

// at returns the entry at index i, which must be in [first, end).
func (s *segments[T]) at(i sm.Index) *T {
	slot := int(i-s.first) + s.skip
	return &s.pieces[slot/segmentLen][slot%segmentLen]
}

// reset removes all entries. The next one has index first.
func (s *segments[T]) reset(first sm.Index) { *s = segments[T]{first: first} }

// append adds entries after the last one.
func (s *segments[T]) append(entries []T) {
	s.count += len(entries)
	for len(entries) > 0 {
		last := len(s.pieces) - 1
		if last < 0 || len(s.pieces[last]) == segmentLen {
			s.pieces = append(s.pieces, nil)
			last++
		}
		n := min(len(entries), segmentLen-len(s.pieces[last]))
		s.pieces[last] = append(s.pieces[last], entries[:n]...)
		entries = entries[n:]
	}
}

// extend adds n zero slots after the last entry, for [segments.set]. Until they are set,
// segmentLen of them take 24 bytes.
func (s *segments[T]) extend(n int) {
	if last := len(s.pieces) - 1; last >= 0 && len(s.pieces[last]) < segmentLen {
		fill := min(n, segmentLen-len(s.pieces[last]))
		s.append(make([]T, fill))
		n -= fill
	}
	if s.blank == nil && n > 0 {
		s.blank = make([]T, segmentLen)
	}
	s.count += n
	s.pieces = slices.Grow(s.pieces, (n+segmentLen-1)/segmentLen)
	for ; n > 0; n -= segmentLen {
		s.pieces = append(s.pieces, s.blank[:min(n, segmentLen):min(n, segmentLen)])
	}
}

// set replaces the entry at index i, which must be in [first, end). There must be no
// concurrent reader.
func (s *segments[T]) set(i sm.Index, entry T) {
	slot := int(i-s.first) + s.skip
	piece := &s.pieces[slot/segmentLen]
	if s.blank != nil && &(*piece)[0] == &s.blank[0] {
		*piece = slices.Clone(*piece)
	}
	(*piece)[slot%segmentLen] = entry
}

// truncate removes the entries with indices in [from, ∞), s.first < from < s.end().
func (s *segments[T]) truncate(from sm.Index) {
	s.count = int(from - s.first)
	slots := s.count + s.skip
	full, rest := slots/segmentLen, slots%segmentLen
	keep := full
	if rest > 0 {
		s.pieces[full] = slices.Clone(s.pieces[full][:rest])
		keep++
	}
	clear(s.pieces[keep:])
	s.pieces = s.pieces[:keep]
}

// prune removes the entries with indices in [s.first, to), to ≤ s.end().
func (s *segments[T]) prune(to sm.Index) {
	if to == s.end() {
		s.reset(to)
		return
	}
	slots := int(to-s.first) + s.skip
	drop := slots / segmentLen
	clear(s.pieces[:drop])
	s.pieces = s.pieces[drop:]
	s.count -= int(to - s.first)
	s.first = to
	s.skip = slots % segmentLen
	if s.skip > 0 {
		// The copy releases the data of the pruned entries.
		piece := make([]T, len(s.pieces[0]))
		copy(piece[s.skip:], s.pieces[0][s.skip:])
		s.pieces[0] = piece
	}
}

// view returns the entries with indices in [lo, hi), which must be in [first, end).
func (s *segments[T]) view(lo, hi sm.Index) [][]T {
	if lo >= hi {
		return nil
	}
	from, to := int(lo-s.first)+s.skip, int(hi-s.first)+s.skip
	a, b := from/segmentLen, (to-1)/segmentLen
	view := slices.Clone(s.pieces[a : b+1])
	view[b-a] = view[b-a][:to-b*segmentLen]
	view[0] = view[0][from-a*segmentLen:]
	return view
}
