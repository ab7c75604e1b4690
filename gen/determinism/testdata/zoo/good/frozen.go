package good

import "github.com/mosaik-go/mosaik/sm"

// Frozen keeps its state in containers of package sm.
type Frozen struct {
	plain map[string]int64
	keys  sm.Set[string]
	byKey sm.Map[string, int64]
	last  chapter
}

type chapter struct{ values sm.List[int64] }

type FillFrozen struct{}

func (FillFrozen) ApplyTo(m *Frozen, _ sm.ApplyContext) (int, error) {
	for k, v := range m.plain {
		m.keys.Add(k)
		m.byKey.Set(k, v)
	}
	for k, v := range m.plain {
		m.byKey.Update(k, func(old int64) int64 { return old + v })
	}
	for k := range m.plain {
		m.byKey.Delete(k)
		m.keys.Delete(k)
	}
	return 0, nil
}

type ReturnFrozen struct{}

func (ReturnFrozen) ApplyTo(m *Frozen, _ sm.ApplyContext) (sm.Map[string, int64], error) {
	return m.byKey, nil
}

type AskFrozen struct{}

func (AskFrozen) Query(m *Frozen) (chapter, error) {
	copied := m.byKey
	copied.Set("of the copy", 1)
	return m.last, nil
}
