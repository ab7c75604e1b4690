package codec

import (
	"bytes"
	"fmt"
	"slices"
)

// entryOverhead is what a map takes for each entry beside key and value, as a
// factor: its tables are never full.
const entryOverhead = 2

// mapKeys collects the keys of one map to find those that come twice: texts or
// numbers, signed ones in two's complement.
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
		if err := s.mapKey(n.key, &keys); err != nil {
			return within(err, "[key]")
		}
		if err := s.value(n.elem); err != nil {
			return within(err, keys.segment(n.key, keys.len()-1))
		}
	}
	if i := keys.duplicate(); i >= 0 {
		return within(s.fail(at, ErrDuplicate, "the key comes twice"), keys.segment(n.key, i))
	}
	s.depth--
	return nil
}

// mapKey scans a key and adds it to keys.
func (s *scanner) mapKey(key *node, keys *mapKeys) *Error {
	at := s.off
	h, err := s.header()
	if err != nil {
		return err
	}
	if h.kind == kindNil {
		return s.fail(at, ErrNil, "nil, where %s is wanted", key.wants())
	}
	if key.form != formString {
		if err := s.integer(at, key, h); err != nil {
			return err
		}
		keys.addNumber(h.num)
		return nil
	}
	if h.kind != kindString {
		return s.fail(at, ErrType, "%s, where %s is wanted", h.kind, key.wants())
	}
	text, err := s.text(at, h.num)
	if err != nil {
		return err
	}
	keys.addText(text)
	return nil
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

func (k *mapKeys) len() int { return len(k.texts) + len(k.numbers) }

// duplicate sorts the keys unless they are and returns the index of one that
// comes twice, -1 for none.
func (k *mapKeys) duplicate() int {
	if !k.unsorted {
		return -1
	}
	slices.SortFunc(k.texts, bytes.Compare)
	for i := 1; i < len(k.texts); i++ {
		if bytes.Equal(k.texts[i-1], k.texts[i]) {
			return i
		}
	}
	slices.Sort(k.numbers)
	for i := 1; i < len(k.numbers); i++ {
		if k.numbers[i-1] == k.numbers[i] {
			return i
		}
	}
	return -1
}

// segment returns the path segment of the i-th key, of type key.
func (k *mapKeys) segment(key *node, i int) string {
	switch key.form {
	case formString:
		return "[" + quote(k.texts[i]) + "]"
	case formInt:
		return fmt.Sprintf("[%d]", int64(k.numbers[i]))
	}
	return fmt.Sprintf("[%d]", k.numbers[i])
}
