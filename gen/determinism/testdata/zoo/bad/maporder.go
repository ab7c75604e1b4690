package bad

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/mosaik-go/mosaik/gen/determinism/testdata/zoo/lib"
	"github.com/mosaik-go/mosaik/sm"
)

// Accounts returns lists in the order of its map.
type Accounts struct {
	balances map[string]int64
	order    []string
	total    float64
	rates    map[string]float64
	first    string
	byValue  map[int64]string
	tokens   map[string][]string
	index    map[string]int
	live     sync.Map
	log      lib.Log
	encoded  []byte
}

type List struct{}

func (List) ApplyTo(m *Accounts, _ sm.ApplyContext) (string, error) {
	for name := range m.balances { // want `the order of map m.balances is random: m.order gets its elements in it; range over slices.Sorted\(maps.Keys\(m\)\), or sort what the loop collects \(in List.ApplyTo\)`
		m.order = append(m.order, name)
	}
	return "", nil
}

type Report struct{}

func (Report) ApplyTo(m *Accounts, _ sm.ApplyContext) ([]string, error) {
	var out []string
	for name := range m.balances {
		out = append(out, name) // want `the order of map m.balances is random: out has its elements in it`
	}
	return out, nil
}

type Text struct{}

func (Text) ApplyTo(m *Accounts, _ sm.ApplyContext) (string, error) {
	text := ""
	for name, n := range m.balances { // want `text is built in it`
		text += fmt.Sprintf("%s=%d ", name, n)
	}
	return text, nil
}

type Built struct{}

func (Built) ApplyTo(m *Accounts, _ sm.ApplyContext) (string, error) {
	var b strings.Builder
	for name := range m.balances { // want `b is written in it`
		b.WriteString(name)
	}
	return b.String(), nil
}

type Total struct{}

func (Total) ApplyTo(m *Accounts, _ sm.ApplyContext) (float64, error) {
	for _, r := range m.rates { // want `the sum of floats in m.total depends on it`
		m.total += r
	}
	return m.total, nil
}

type Any struct{}

func (Any) ApplyTo(m *Accounts, _ sm.ApplyContext) (string, error) {
	for name, n := range m.balances { // want `the first element that is reached decides the result name`
		if n > 0 {
			return name, nil
		}
	}
	return "", nil
}

type Evict struct{}

func (Evict) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for name := range m.balances { // want `the loop ends at an element that depends on it`
		if len(m.balances) <= 10 {
			break
		}
		delete(m.balances, name)
	}
	return true, nil
}

type Last struct{}

func (Last) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for name := range m.balances { // want `m.first keeps the value of the last element`
		m.first = name
	}
	return true, nil
}

type Richest struct{}

func (Richest) ApplyTo(m *Accounts, _ sm.ApplyContext) (string, error) {
	var best int64
	var who string
	for name, n := range m.balances { // want `who keeps the value of the last element`
		if n > best {
			best = n
			who = name
		}
	}
	return who, nil
}

type Invert struct{}

func (Invert) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for name, n := range m.balances { // want `m.byValue\[n\] keeps the value of the last element`
		m.byValue[n] = name
	}
	return true, nil
}

type Number struct{}

func (Number) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	next := 0
	for name := range m.balances { // want `next numbers the elements`
		m.index[name] = next
		next++
	}
	return true, nil
}

type Keyed struct{}

func (Keyed) ApplyTo(m *Accounts, _ sm.ApplyContext) (int, error) {
	m.order = slices.Collect(maps.Keys(m.balances)) // want `slices.Collect\(maps.Keys\(m.balances\)\) is in the random order of a map; sort it`
	return len(m.order), nil
}

type Iterated struct{}

func (Iterated) ApplyTo(m *Accounts, _ sm.ApplyContext) (int, error) {
	for name := range maps.Keys(m.balances) { // want `the order of maps.Keys\(m.balances\) is random: m.order gets its elements in it`
		m.order = append(m.order, name)
	}
	return len(m.order), nil
}

type Helped struct{}

func (Helped) ApplyTo(m *Accounts, _ sm.ApplyContext) (int, error) {
	m.order = lib.Keys(m.balances) // want `lib.Keys\(m.balances\) is in the random order of a map`
	return len(m.order), nil
}

type Visited struct{}

func (Visited) ApplyTo(m *Accounts, _ sm.ApplyContext) (int, error) {
	lib.Each(m.balances, func(name string, _ int64) { // want `the order of lib.Each is random: m.order gets its elements in it`
		m.order = append(m.order, name)
	})
	return len(m.order), nil
}

type Synced struct{}

func (Synced) ApplyTo(m *Accounts, _ sm.ApplyContext) (int, error) {
	m.live.Range(func(k, _ any) bool { // want `the order of m.live.Range is random: m.order gets its elements in it`
		m.order = append(m.order, k.(string))
		return true
	})
	return len(m.order), nil
}

type Effects struct{}

func (Effects) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for name := range m.balances { // want `Log.Add changes m.log in it`
		m.log.Add(name)
	}
	return true, nil
}

type Grouped struct{}

func (Grouped) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for name := range m.balances { // want `m.tokens\["all"\] gets its elements in it`
		m.tokens["all"] = append(m.tokens["all"], name)
	}
	return true, nil
}

type Reflected struct{}

func (Reflected) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for _, k := range reflect.ValueOf(m.balances).MapKeys() { // want `is random: m.order gets its elements in it`
		m.order = append(m.order, k.String())
	}
	return true, nil
}

type Gob struct{}

func (Gob) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(m.balances) // want `gob.Encoder.Encode writes maps in a random order`
	m.encoded = b.Bytes()
	return err == nil, err
}

// Refused returns the error of the first bad account.
type Refused struct{}

func (Refused) ApplyTo(m *Accounts, _ sm.ApplyContext) (bool, error) {
	for name, n := range m.balances { // want `the first element that is reached decides the result fmt.Errorf`
		if n < 0 {
			return false, fmt.Errorf("account %s is overdrawn", name)
		}
	}
	return true, nil
}
