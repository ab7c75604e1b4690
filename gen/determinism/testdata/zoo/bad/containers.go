package bad

import "github.com/mosaik-go/mosaik/sm"

// Frozen keeps its state in containers of package sm.
type Frozen struct {
	plain map[string]int64
	list  sm.List[string]
	byKey sm.Map[string, int64]
	byVal sm.Map[int64, string]
}

type FillList struct{}

func (FillList) ApplyTo(m *Frozen, _ sm.ApplyContext) (int, error) {
	for k := range m.plain { // want `List.Append changes m.list in it`
		m.list.Append(k)
	}
	return 0, nil
}

type FillByValue struct{}

func (FillByValue) ApplyTo(m *Frozen, _ sm.ApplyContext) (int, error) {
	for k, v := range m.plain { // want `Map.Set changes m.byVal in it`
		m.byVal.Set(v, k)
	}
	return 0, nil
}

type WriteFrozen struct{}

func (WriteFrozen) Query(m *Frozen) (int, error) {
	m.byKey.Set("read", 1) // want `changes`
	return m.byKey.Len(), nil
}
