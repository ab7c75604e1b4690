package good

import (
	"cmp"
	"maps"
	"slices"

	"github.com/mosaik-go/mosaik/sm"
)

// Store is generic, as are the helpers of its commands.
type Store[V any] struct{ values map[string]V }

func (s *Store[V]) put(key string, v V) { s.values[key] = v }

func (s *Store[V]) keys() []string { return sortedKeys(s.values) }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Prices is an instance of Store.
type Prices struct{ Store[int64] }

type Put[V any] struct {
	Key   string
	Value V
}

func (p Put[V]) ApplyTo(s *Store[V], _ sm.ApplyContext) (int, error) {
	s.put(p.Key, p.Value)
	return len(s.keys()), nil
}

type PutPrice struct{ Put[int64] }

func (p PutPrice) ApplyTo(m *Prices, at sm.ApplyContext) (int, error) {
	return p.Put.ApplyTo(&m.Store, at)
}

type Merge struct{ Prices map[string]int64 }

func (c Merge) ApplyTo(m *Prices, _ sm.ApplyContext) ([]string, error) {
	for k, v := range c.Prices {
		m.put(k, v)
	}
	return slices.Sorted(maps.Keys(m.values)), nil
}
