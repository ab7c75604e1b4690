package bad

import (
	"bufio"
	"io"
	"slices"
	"sort"

	"github.com/mosaik-go/mosaik/gen/determinism/testdata/zoo/lib"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
)

// Shared returns parts of its state.
type Shared struct {
	items   map[string][]byte
	list    []string
	best    *node
	nodes   map[string]*node
	log     lib.Log
	reads   int
	cache   map[string]int
	batch   []sm.Applying[string]
	reader  *bufio.Reader
	group   *mosaik.Group[struct{}, sm.NoOp]
	records []record
}

type record struct{ tags []string }

type All struct{}

func (All) ApplyTo(m *Shared, _ sm.ApplyContext) (map[string][]byte, error) {
	return m.items, nil // want `the result m.items shares memory with the state, which later commands change; return a copy \(in All.ApplyTo\)`
}

type Read struct{ Key string }

func (q Read) Query(m *Shared) ([]byte, error) {
	return m.items[q.Key], nil // want `the result m.items\[q.Key\] shares memory with the state`
}

type Best struct{}

func (Best) Query(m *Shared) (*node, error) {
	best := m.best
	return best, nil // want `the result best shares memory with the state`
}

type Listed struct{}

func (Listed) Query(m *Shared) ([]string, error) {
	return m.log.Entries(), nil // want `the result m.log.Entries\(\) shares memory with the state`
}

type Page struct {
	Names []string
	More  bool
}

type Paged struct{}

func (Paged) Query(m *Shared) (Page, error) {
	return Page{Names: m.list[:1], More: true}, nil // want `shares memory with the state`
}

type Counted struct{}

func (Counted) Query(m *Shared) (int, error) {
	m.reads++ // want `the query writes to the state: m.reads; write in a command, or copy it first \(in Counted.Query\)`
	return m.reads, nil
}

type Memoized struct{ Key string }

func (q Memoized) Query(m *Shared) (int, error) {
	m.cache[q.Key]++ // want `the query writes to the state: m.cache\[q.Key\]`
	return m.cache[q.Key], nil
}

type Arranged struct{}

func (Arranged) Query(m *Shared) (string, error) {
	names := m.list
	sort.Strings(names) // want `the query changes names of the state with sort.Strings`
	return names[0], nil
}

type Deep struct{ Key string }

func (q Deep) Query(m *Shared) (int64, error) {
	n := m.nodes[q.Key]
	n.id++ // want `the query writes to the state: n.id`
	return n.id, nil
}

type Cleared struct{}

func (Cleared) Query(m *Shared) (int, error) {
	m.reset() // want `the query changes m of the state with m.reset`
	return 0, nil
}

func (m *Shared) reset() { clear(m.items) }

type Asked struct{}

func (Asked) Query(m *Shared) (sm.Index, error) {
	return m.group.AppliedIndex(), nil // want `mosaik.Group.AppliedIndex calls a group from inside of it`
}

type Popped struct{}

func (Popped) ApplyTo(m *Shared, _ sm.ApplyContext) (record, error) {
	return m.records[0], nil // want `shares memory with the state`
}

type Create struct {
	ID    int64
	Value []byte
}

func (c Create) ApplyTo(m *Shared, _ sm.ApplyContext) (*node, error) {
	n := &node{id: c.ID}
	m.nodes["last"] = n
	return n, nil // want `the result n shares memory with the state`
}

type Grow struct{ Name string }

func (c Grow) ApplyTo(m *Shared, _ sm.ApplyContext) ([]string, error) {
	all := m.list
	m.list = append(m.list, c.Name)
	return all, nil // want `the result all shares memory with the state`
}

type Swap struct{ Value []byte }

func (c Swap) ApplyTo(m *Shared, _ sm.ApplyContext) ([]byte, error) {
	m.items["last"] = c.Value
	return c.Value, nil // want `the result c.Value shares memory with the state`
}

// ApplyBatch keeps the batch, and returns parts of the state.
func (m *Shared) ApplyBatch(batch []sm.Applying[string]) {
	m.batch = batch // want `the state keeps batch, which belongs to the group once ApplyBatch returns`
	for i := range batch {
		c := &batch[i]
		m.list = append(m.list, c.Command)
		c.Result = m.list // want `the result m.list shares memory with the state`
	}
}

func (m *Shared) Snapshot(w io.Writer) error { return nil }

func (m *Shared) Restore(r io.Reader) error {
	m.reader = bufio.NewReader(r) // want `the state keeps the reader of the snapshot`
	return nil
}

// codec decodes values that share memory with the bytes.
type codec struct{}

func (codec) Append(dst []byte, v []byte) ([]byte, error) { return append(dst, v...), nil }

func (codec) Decode(src []byte) ([]byte, error) {
	return src[1:], nil // want `the result src\[1:\] shares memory with the encoded bytes`
}

var _ = slices.Clone[[]int]
