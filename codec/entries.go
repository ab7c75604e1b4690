package codec

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// entryOverhead is what a map takes for each entry beside key and value, as a
// factor: its tables are never full.
const entryOverhead = 2

// mapKeys collects the keys of one map to find those that come twice.
type mapKeys struct {
	texts    [][]byte
	numbers  []uint64
	unsorted bool // some key is not above the one before it
}

// entries scans the entries of a map.
func (s *scanner) entries(at int, n *node, count uint64) *Error {
	if err := s.enter(at); err != nil {
		return err
	}
	if err := s.charge(at, int64(count)*entryOverhead*(n.key.size+n.elem.size)); err != nil {
		return err
	}
	var keys mapKeys
	for range count {
		segment, err := s.mapKey(n, &keys)
		if err != nil {
			return within(err, "[key]")
		}
		if err := s.value(n.elem); err != nil {
			return within(err, segment())
		}
	}
	if segment, ok := keys.duplicate(n); ok {
		return within(s.fail(at, ErrDuplicate, "the key comes twice"), segment)
	}
	s.depth--
	return nil
}

// mapKey scans a key and returns what makes its path segment.
func (s *scanner) mapKey(n *node, keys *mapKeys) (segment func() string, err *Error) {
	at := s.off
	h, err := s.header()
	if err != nil {
		return nil, err
	}
	if n.key.form != formString {
		if h.kind == kindNil {
			return nil, s.fail(at, ErrNil, "nil, where %s is wanted", n.key.wants())
		}
		if err := s.integer(at, n.key, h); err != nil {
			return nil, err
		}
		keys.addNumber(h.num)
		return func() string { return numberSegment(n, h.num) }, nil
	}
	switch h.kind {
	case kindString:
	case kindNil:
		return nil, s.fail(at, ErrNil, "nil, where %s is wanted", n.key.wants())
	default:
		return nil, s.fail(at, ErrType, "%s, where %s is wanted", h.kind, n.key.wants())
	}
	text, err := s.text(at, h.num)
	if err != nil {
		return nil, err
	}
	if err := s.charge(at, int64(h.num)); err != nil {
		return nil, err
	}
	keys.addText(text)
	return func() string { return textSegment(text) }, nil
}

func (k *mapKeys) addText(t []byte) {
	if last := len(k.texts) - 1; last >= 0 && bytes.Compare(k.texts[last], t) >= 0 {
		k.unsorted = true
	}
	k.texts = append(k.texts, t)
}

func (k *mapKeys) addNumber(v uint64) {
	if last := len(k.numbers) - 1; last >= 0 && k.numbers[last] >= v {
		k.unsorted = true
	}
	k.numbers = append(k.numbers, v)
}

// duplicate returns the path segment of a key that comes twice.
func (k *mapKeys) duplicate(n *node) (segment string, ok bool) {
	if !k.unsorted {
		return "", false
	}
	slices.SortFunc(k.texts, bytes.Compare)
	for i := 1; i < len(k.texts); i++ {
		if bytes.Equal(k.texts[i-1], k.texts[i]) {
			return textSegment(k.texts[i]), true
		}
	}
	slices.Sort(k.numbers)
	for i := 1; i < len(k.numbers); i++ {
		if k.numbers[i-1] == k.numbers[i] {
			return numberSegment(n, k.numbers[i]), true
		}
	}
	return "", false
}

func textSegment(t []byte) string { return "[" + quote(t) + "]" }

// numberSegment returns the segment of an integer key; signed keys were kept in
// two's complement.
func numberSegment(n *node, v uint64) string {
	if n.key.form == formInt {
		return fmt.Sprintf("[%d]", int64(v))
	}
	return "[" + strconv.FormatUint(v, 10) + "]"
}
