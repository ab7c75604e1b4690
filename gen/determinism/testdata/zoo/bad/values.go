package bad

import (
	"fmt"
	"math"
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/mosaik-go/mosaik/sm"
)

type node struct {
	id   int64
	next *node
}

// Addresses keeps texts and numbers that contain addresses.
type Addresses struct {
	head *node
	text string
	key  uintptr
}

type Pointer struct{}

func (Pointer) ApplyTo(m *Addresses, _ sm.ApplyContext) (bool, error) {
	m.text = fmt.Sprintf("%p", m.head) // want `the text contains an address, of m.head`
	return true, nil
}

type Value struct{}

func (Value) ApplyTo(m *Addresses, _ sm.ApplyContext) (bool, error) {
	m.text = fmt.Sprint(m.head) // want `the text contains an address, of m.head`
	return true, nil
}

type Callback struct{}

func (Callback) ApplyTo(m *Addresses, _ sm.ApplyContext) (bool, error) {
	return false, fmt.Errorf("cannot call %v", m.visit) // want `the text contains an address, of m.visit`
}

func (m *Addresses) visit() {}

type Identity struct{}

func (Identity) ApplyTo(m *Addresses, _ sm.ApplyContext) (bool, error) {
	m.key = uintptr(unsafe.Pointer(m.head)) // want `an address differs between processes`
	return true, nil
}

type Reflective struct{}

func (Reflective) ApplyTo(m *Addresses, _ sm.ApplyContext) (bool, error) {
	m.key = reflect.ValueOf(m.head).Pointer() // want `reflect.Value.Pointer returns an address`
	return true, nil
}

// Prices computes with floats.
type Prices struct{ price, rate, fee float64 }

type Fused struct{ Amount float64 }

func (c Fused) ApplyTo(m *Prices, _ sm.ApplyContext) (float64, error) {
	m.price = c.Amount*m.rate + m.fee // want `the compiler may fuse this multiplication and addition`
	return m.price, nil
}

type Accumulated struct{ Amount float64 }

func (c Accumulated) ApplyTo(m *Prices, _ sm.ApplyContext) (float64, error) {
	m.price += c.Amount * m.rate // want `the compiler may fuse`
	return m.price, nil
}

type Split2 struct{ Amount float64 }

func (c Split2) ApplyTo(m *Prices, _ sm.ApplyContext) (float64, error) {
	gross := c.Amount * m.rate
	m.price = m.fee - gross // want `the compiler may fuse`
	return m.price, nil
}

type Interest struct{ Years float64 }

func (c Interest) ApplyTo(m *Prices, _ sm.ApplyContext) (float64, error) {
	m.price = math.Pow(m.rate, c.Years) // want `math.Pow has different results on different platforms`
	return m.price, nil
}

// Sequence numbers commands with variables of the package.
type Sequence struct{ last int64 }

var (
	sequence int64
	applied  atomic.Int64
	names    = map[string]int{}
	verbose  bool
)

// SetVerbose is called by the program at any time.
func SetVerbose(on bool) { verbose = on }

type Next struct{}

func (Next) ApplyTo(m *Sequence, _ sm.ApplyContext) (int64, error) {
	sequence++ // want `package variable sequence is not part of the state`
	m.last = sequence
	return m.last, nil
}

type Count struct{}

func (Count) ApplyTo(m *Sequence, _ sm.ApplyContext) (int64, error) {
	m.last = applied.Add(1) // want `package variable applied is not part of the state`
	return m.last, nil
}

type Intern struct{ Name string }

func (c Intern) ApplyTo(m *Sequence, _ sm.ApplyContext) (int64, error) {
	names[c.Name] = len(names) // want `package variable names is not part of the state`
	return 0, nil
}

type Verbose struct{}

func (Verbose) ApplyTo(m *Sequence, _ sm.ApplyContext) (string, error) {
	if verbose { // want `package variable verbose changes while the process runs`
		return fmt.Sprintf("at %d", m.last), nil
	}
	return "", nil
}
