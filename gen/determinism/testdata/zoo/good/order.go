// Package good holds deterministic machines that look suspicious. None is reported.
package good

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"

	"github.com/mosaik-go/mosaik/gen/determinism/testdata/zoo/lib"
	"github.com/mosaik-go/mosaik/sm"
)

// Accounts ranges over maps in ways in which the order does not count.
type Accounts struct {
	balances map[string]int64
	order    []string
	sum      int64
	floats   map[string]float64
	members  map[string]map[string]bool
	items    map[string]*item
	byID     map[int64]*item
	owned    map[string][]string
	counts   map[string]int
	live     sync.Map
	counter  lib.Counter
	encoded  []byte
}

type item struct {
	id    int64
	name  string
	count int
	tags  []string
}

type Sorted struct{}

func (Sorted) ApplyTo(m *Accounts, _ sm.ApplyContext) ([]string, error) {
	names := make([]string, 0, len(m.balances))
	for name := range m.balances {
		names = append(names, name)
	}
	sort.Strings(names)
	return names, nil
}

type SortedByFunc struct{}

func (SortedByFunc) ApplyTo(m *Accounts, _ sm.ApplyContext) (string, error) {
	var all []item
	for _, i := range m.items {
		all = append(all, *i)
	}
	slices.SortFunc(all, func(a, b item) int { return cmp.Compare(a.id, b.id) })
	return fmt.Sprint(len(all)), nil
}

type SortedKeys struct{}

func (SortedKeys) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for _, name := range slices.Sorted(maps.Keys(m.balances)) {
		m.order = append(m.order, name)
	}
	return true, nil
}

type CollectedAndSorted struct{}

func (CollectedAndSorted) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	names := slices.Collect(maps.Keys(m.balances))
	slices.Sort(names)
	m.order = names
	return true, nil
}

type SortedIndirectly struct{}

type byName []string

func (b byName) Len() int           { return len(b) }
func (b byName) Less(i, j int) bool { return b[i] < b[j] }
func (b byName) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }

func (SortedIndirectly) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	m.order = m.order[:0]
	for name := range m.balances {
		m.order = append(m.order, name)
	}
	sort.Sort(sort.Reverse(byName(m.order)))
	return true, nil
}

type SortedByHelper struct{}

func (SortedByHelper) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	m.order = lib.SortedKeys(m.balances)
	return true, nil
}

type SortedByCaller struct{}

func (SortedByCaller) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	names := m.names()
	sort.Strings(names)
	m.order = names
	return true, nil
}

func (m *Accounts) names() (out []string) {
	for name := range m.balances {
		out = append(out, name)
	}
	return out
}

type Sum struct{}

func (Sum) ApplyTo(m *Accounts, _ sm.ApplyContext) (int64, error) {
	m.sum = 0
	for _, n := range m.balances {
		m.sum += n
	}
	return m.sum, nil
}

type CountIf struct{}

func (CountIf) ApplyTo(m *Accounts, _ sm.ApplyContext) (int, error) {
	n := 0
	for _, b := range m.balances {
		if b > 0 {
			n++
		}
	}
	return n, nil
}

type Largest struct{}

func (Largest) ApplyTo(m *Accounts, _ sm.ApplyContext) (int64, error) {
	var top int64
	for _, b := range m.balances {
		top = max(top, b)
	}
	low := top
	for _, b := range m.balances {
		if b < low {
			low = b
		}
	}
	return top - low, nil
}

type Richest struct{}

func (Richest) ApplyTo(m *Accounts, _ sm.ApplyContext) (string, error) {
	var best int64
	var name string
	for n, b := range m.balances {
		if b > best || b == best && n < name {
			best, name = b, n
		}
	}
	return name, nil
}

type Exists struct{ Min int64 }

func (c Exists) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	found := false
	for _, b := range m.balances {
		if b >= c.Min {
			found = true
			break
		}
	}
	for _, b := range m.balances {
		if b < 0 {
			return false, errNegative
		}
	}
	return found, nil
}

var errNegative = errors.New("good: a balance is negative")

type Or struct{}

func (Or) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	var flags int64
	some := false
	for _, b := range m.balances {
		flags |= b
		some = some || b == 3
	}
	return some && flags != 0, nil
}

type Expire struct{}

func (Expire) ApplyTo(m *Accounts, _ sm.ApplyContext) (int, error) {
	for name, b := range m.balances {
		if b == 0 {
			delete(m.balances, name)
			delete(m.items, name)
		}
	}
	return len(m.balances), nil
}

type ExpireInTwoSteps struct{}

func (ExpireInTwoSteps) ApplyTo(m *Accounts, _ sm.ApplyContext) (int, error) {
	var gone []string
	for name, b := range m.balances {
		if b == 0 {
			gone = append(gone, name)
		}
	}
	for _, name := range gone {
		delete(m.balances, name)
	}
	return len(gone), nil
}

type CopyAll struct{}

func (CopyAll) ApplyTo(m *Accounts, _ sm.ApplyContext) (map[string]int64, error) {
	out := make(map[string]int64, len(m.balances))
	for name, b := range m.balances {
		out[name] = b * 2
	}
	return out, nil
}

type Rebuild struct{}

func (Rebuild) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	clear(m.byID)
	for _, i := range m.items {
		m.byID[i.id] = i
	}
	return true, nil
}

type Touch struct{}

func (Touch) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for _, i := range m.items {
		i.count++
		i.tags = append(i.tags, "touched")
	}
	return true, nil
}

type Join struct{ Name string }

func (c Join) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for _, members := range m.members {
		members[c.Name] = true
	}
	return true, nil
}

type Union struct{}

func (Union) ApplyTo(m *Accounts, _ sm.ApplyContext) (int, error) {
	all := make(map[string]bool)
	for _, members := range m.members {
		for name := range members {
			all[name] = true
		}
	}
	return len(all), nil
}

type Histogram struct{}

func (Histogram) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	clear(m.counts)
	for name := range m.balances {
		m.counts[name[:1]]++
	}
	return true, nil
}

type Grouped struct{}

func (Grouped) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for name, i := range m.items {
		m.owned[name] = append(m.owned[name], i.tags...)
	}
	return true, nil
}

type Synced struct{}

func (Synced) ApplyTo(m *Accounts, _ sm.ApplyContext) (int, error) {
	n := 0
	m.live.Range(func(k, _ any) bool {
		m.counts[k.(string)] = 1
		n++
		return true
	})
	return n, nil
}

type Counted struct{}

func (Counted) ApplyTo(m *Accounts, _ sm.ApplyContext) (int64, error) {
	for _, b := range m.balances {
		m.counter.Add(b)
	}
	lib.Each(m.balances, func(_ string, n int64) { m.sum += n })
	return m.counter.Sum(), nil
}

type Only struct{}

func (Only) ApplyTo(m *Accounts, _ sm.ApplyContext) (string, error) {
	if len(m.balances) == 1 {
		for name := range m.balances {
			return name, nil
		}
	}
	return "", nil
}

type Copied struct{}

func (Copied) ApplyTo(m *Accounts, _ sm.ApplyContext) (map[string]int64, error) {
	out := maps.Clone(m.balances)
	maps.Copy(out, map[string]int64{"": 0})
	maps.DeleteFunc(out, func(_ string, n int64) bool { return n == 0 })
	return out, nil
}

type JSON struct{}

func (JSON) ApplyTo(m *Accounts, _ sm.ApplyContext) (string, error) {
	b, err := json.Marshal(m.balances) // sorts keys
	m.encoded = b
	return fmt.Sprint(m.balances), err // and so does fmt
}

type Buffered struct{}

func (Buffered) ApplyTo(m *Accounts, _ sm.ApplyContext) (int, error) {
	var b bytes.Buffer
	for name, i := range m.items {
		b.Reset()
		b.WriteString(name)
		i.name = b.String()
	}
	return 0, nil
}
