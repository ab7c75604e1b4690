package good

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

type Get struct{ Key string }

func (q Get) Query(m *Machine) ([]byte, error) { return bytes.Clone(m.values[q.Key]), nil }

type Text struct{ Key string }

func (q Text) Query(m *Machine) (string, error) { return string(m.values[q.Key]), nil }

type Entries struct{}

func (Entries) Query(m *Machine) ([]string, error) {
	out := make([]string, 0, len(m.entries))
	for _, e := range m.entries {
		e.name += "!" // of a copy
		out = append(out, e.name)
	}
	sort.Strings(out)
	return out, nil
}

type CopiedAll struct{}

func (CopiedAll) Query(m *Machine) (map[string]time.Time, error) {
	all := m.until
	all = maps.Clone(all)
	delete(all, "")
	return all, nil
}

type Appended struct{}

func (Appended) Query(m *Machine) ([]int64, error) {
	return append([]int64(nil), m.n), nil
}

type Cached struct{ Key string }

func (q Cached) Query(m *Machine) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n, ok := m.cache[q.Key]; ok {
		return n, nil
	}
	m.cache[q.Key] = len(q.Key) // not part of the state
	return len(q.Key), nil
}

type Clocked struct{ Key string }

func (q Clocked) Query(m *Machine) (bool, error) {
	return time.Now().After(m.until[q.Key]), nil // a query may read the clock
}

type First struct{}

func (First) Query(m *Machine) (string, error) {
	names := slices.Collect(maps.Keys(m.until))
	slices.Sort(names)
	return names[0], nil
}

type Summed struct{}

func (Summed) Query(m *Machine) (entry, error) {
	var total entry
	for _, e := range m.entries {
		total.name += e.name
	}
	total.tags = slices.Clone(total.tags)
	return total, nil
}

// ApplyBatch keeps the commands and not the batch.
func (m *Machine) ApplyBatch(batch []sm.Applying[[]byte]) {
	for i := range batch {
		c := &batch[i]
		m.values["last"] = c.Command
		c.Result = len(c.Command)
	}
}

func (m *Machine) Snapshot(w io.Writer) error {
	for _, name := range slices.Sorted(maps.Keys(m.until)) {
		if _, err := io.WriteString(w, name); err != nil {
			return err
		}
	}
	return nil
}

func (m *Machine) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	m.values = map[string][]byte{"all": b}
	return err
}

type Replace struct {
	Key   string
	Value []byte
}

func (c Replace) ApplyTo(m *Machine, _ sm.ApplyContext) ([]byte, error) {
	old := bytes.Clone(m.values[c.Key])
	m.values[c.Key] = c.Value
	return old, nil
}

type Pop struct{ Key string }

func (c Pop) ApplyTo(m *Machine, _ sm.ApplyContext) ([]byte, error) {
	v, ok := m.values[c.Key]
	if !ok {
		return nil, nil
	}
	delete(m.values, c.Key)
	return v, nil // which is no longer part of the state
}

type Drain struct{}

func (Drain) ApplyTo(m *Machine, _ sm.ApplyContext) ([]entry, error) {
	all := m.entries
	m.entries = nil
	return all, nil
}

type Shift struct{}

func (Shift) ApplyTo(m *Machine, _ sm.ApplyContext) (entry, error) {
	head := m.entries[0]
	m.entries = m.entries[1:]
	return head, nil
}

type Exchange struct {
	Key   string
	Value []byte
}

func (c Exchange) ApplyTo(m *Machine, _ sm.ApplyContext) ([]byte, error) {
	old := m.values[c.Key]
	m.values[c.Key] = c.Value
	return old, nil
}
