package codec

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/mosaik-go/mosaik/codec/internal/wire"
)

// mapKeys collects the keys of one map to find duplicates. The keys are all texts or
// all numbers; negative numbers are in two's complement.
type mapKeys struct {
	texts    [][]byte
	numbers  []uint64
	unsorted bool // a key is not above the one before it
}

// entries scans the entries of a map.
func (s *scanner) entries(at int, n *node, count uint64) *wire.Fault {
	if fault := s.enter(at); fault != nil {
		return fault
	}
	if fault := s.charge(at, int64(count)*wire.EntryOverhead*(n.key.size+n.elem.size)); fault != nil {
		return fault
	}
	var keys mapKeys
	for range count {
		if fault := s.mapKey(n.key, &keys); fault != nil {
			return fault.In("[key]")
		}
		if fault := s.value(n.elem); fault != nil {
			return fault.In(keys.segment(n.key, keys.len()-1))
		}
	}
	if i := keys.duplicate(); i >= 0 {
		return s.Fail(at, ErrDuplicate, "the key comes twice").In(keys.segment(n.key, i))
	}
	s.depth--
	return nil
}

// mapKey scans a key and adds it to keys.
func (s *scanner) mapKey(key *node, keys *mapKeys) *wire.Fault {
	at := s.Off
	h, fault := s.Header()
	if fault != nil {
		return fault
	}
	if h.Kind == wire.KindNil {
		return s.Fail(at, ErrNil, "nil, where %s is wanted", key.wants())
	}
	if key.form != formString {
		if fault := s.integer(at, key, h); fault != nil {
			return fault
		}
		keys.addNumber(h.Num)
		return nil
	}
	if h.Kind != wire.KindString {
		return s.Fail(at, ErrType, "%s, where %s is wanted", h.Kind, key.wants())
	}
	text, fault := s.Text(at, h.Num)
	if fault != nil {
		return fault
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

// duplicate returns the index of a key that occurs twice, or -1. It may sort the
// keys.
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

// segment returns the path segment of the key at index i; key is its type.
func (k *mapKeys) segment(key *node, i int) string {
	switch key.form {
	case formString:
		return "[" + wire.Quote(k.texts[i]) + "]"
	case formInt:
		return fmt.Sprintf("[%d]", int64(k.numbers[i]))
	}
	return fmt.Sprintf("[%d]", k.numbers[i])
}
