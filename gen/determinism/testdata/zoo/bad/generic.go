package bad

import (
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// Store is generic.
type Store[V any] struct {
	values map[string]V
	order  []string
	last   time.Time
}

func (s *Store[V]) put(key string, v V) {
	s.values[key] = v
	s.last = time.Now() // want `time.Now reads the clock of this member; use at.Now\(\) \(in Put.ApplyTo → Store.put\)`
}

func (s *Store[V]) keys() []string { return anyKeys(s.values) }

func anyKeys[K comparable, V any](m map[K]V) (out []K) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

type Put[V any] struct {
	Key   string
	Value V
}

func (p Put[V]) ApplyTo(s *Store[V], _ sm.ApplyContext) (int, error) {
	s.put(p.Key, p.Value)
	return len(s.values), nil
}

// PriceList is an instance of Store.
type PriceList struct{ Store[int64] }

type Ordered struct{}

func (Ordered) ApplyTo(m *PriceList, _ sm.ApplyContext) (int, error) {
	m.order = m.keys() // want `m.keys\(\) is in the random order of a map`
	return len(m.order), nil
}
