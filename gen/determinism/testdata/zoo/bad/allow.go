package bad

import (
	"os"

	"github.com/mosaik-go/mosaik/sm"
)

// Allowed has comments that are wrong.
type Allowed struct{ n int }

type Useless struct{}

func (Useless) ApplyTo(m *Allowed, _ sm.ApplyContext) (int, error) {
	//mosaik:allow nothing to see here // want `//mosaik:allow silences nothing; remove it`
	m.n++
	return m.n, nil
}

type Reasonless struct{}

func (Reasonless) ApplyTo(m *Allowed, _ sm.ApplyContext) (int, error) {
	m.n = os.Getpid() //mosaik:allow // want `//mosaik:allow has no reason; write one behind it` `os.Getpid reads the environment`
	return m.n, nil
}

type Misspelled struct{}

func (Misspelled) ApplyTo(m *Allowed, _ sm.ApplyContext) (int, error) {
	// mosaik:allow this is an ordinary comment // want `this comment silences nothing because of its spelling`
	m.n = os.Getpid() // want `os.Getpid reads the environment`
	return m.n, nil
}
