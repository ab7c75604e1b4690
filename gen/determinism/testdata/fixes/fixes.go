// Package fixes holds findings that have a fix.
package fixes

import (
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

type Machine struct {
	until map[string]time.Time
	order []string
	price float64
}

type Touch struct{ Name string }

func (c Touch) ApplyTo(m *Machine, at sm.ApplyContext) (time.Duration, error) {
	m.until[c.Name] = time.Now() // want `time.Now reads the clock`
	return time.Second, nil
}

type List struct{}

func (List) ApplyTo(m *Machine, _ sm.ApplyContext) (int, error) {
	for name, t := range m.until { // want `is random`
		if !t.IsZero() {
			m.order = append(m.order, name)
		}
	}
	return len(m.order), nil
}

type Price struct{ Amount, Rate float64 }

func (c Price) ApplyTo(m *Machine, _ sm.ApplyContext) (float64, error) {
	m.price += c.Amount * c.Rate // want `may fuse`
	return m.price, nil
}

type Names struct{}

func (Names) Query(m *Machine) ([]string, error) {
	return m.order, nil // want `shares memory with the state`
}

type Idle struct{}

func (Idle) ApplyTo(m *Machine, _ sm.ApplyContext) (bool, error) {
	m.price = 0 //mosaik:allow nothing // want `silences nothing`
	return true, nil
}
