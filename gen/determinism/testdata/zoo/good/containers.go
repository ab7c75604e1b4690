package good

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"sort"
	"time"
	"unsafe"

	"github.com/mosaik-go/mosaik/gen/determinism/testdata/zoo/lib"
	"github.com/mosaik-go/mosaik/sm"
)

// Containers fills containers in the order of a map, which do not keep that order.
type Containers struct {
	balances   map[string]int64
	items      map[string]*item
	tree       lib.Tree
	persistent *lib.Persistent
	stats      applyStats
	order      []string
}

type applyStats struct{ took []time.Duration }

func (s *applyStats) observe(d time.Duration) { s.took = append(s.took, d) }

type Fill struct{}

func (Fill) ApplyTo(m *Containers, _ sm.ApplyContext) (int, error) {
	for name, n := range m.balances {
		m.tree.Put(name, n)
	}
	for name, n := range m.balances {
		m.persistent = m.persistent.Set(name, n)
	}
	return 0, nil
}

type Pick struct{}

func (Pick) ApplyTo(m *Containers, _ sm.ApplyContext) (string, error) {
	var best *item
	for _, i := range m.items {
		if best == nil || i.count > best.count || i.count == best.count && i.id < best.id {
			best = i
		}
	}
	if best == nil {
		return "", nil
	}
	return best.name, nil
}

type Checked struct{}

func (Checked) ApplyTo(m *Containers, _ sm.ApplyContext) (map[string]int64, error) {
	out := make(map[string]int64)
	for name, n := range m.balances {
		if n < 0 {
			return nil, errNegative // what out holds then is dropped
		}
		out[name] = n
	}
	return out, nil
}

type Indexed struct{}

func (Indexed) ApplyTo(m *Containers, _ sm.ApplyContext) (bool, error) {
	names := make([]string, len(m.balances))
	i := 0
	for name := range m.balances {
		names[i] = name
		i++
	}
	sort.Strings(names)
	m.order = names
	return true, nil
}

type Collected struct{}

func (Collected) ApplyTo(m *Containers, _ sm.ApplyContext) (int, error) {
	all := maps.Collect(maps.All(m.balances))
	maps.Insert(all, maps.All(m.balances))
	m.order = slices.Sorted(maps.Keys(all))
	return len(all), nil
}

type Printed struct{}

func (Printed) ApplyTo(m *Containers, _ sm.ApplyContext) (int, error) {
	start := time.Now()
	defer func() { m.stats.observe(time.Since(start)) }()
	for name := range m.balances {
		fmt.Fprintln(os.Stderr, name)
	}
	return len(m.balances), nil
}

type Overlap struct{ A, B []byte }

func (c Overlap) ApplyTo(*Containers, sm.ApplyContext) (bool, error) {
	return uintptr(unsafe.Pointer(unsafe.SliceData(c.A))) == uintptr(unsafe.Pointer(unsafe.SliceData(c.B))), nil
}
