// Package bad holds machines that are not deterministic. Each is reported.
package bad

import (
	"context"
	"time"

	"github.com/mosaik-go/mosaik/gen/determinism/testdata/zoo/lib"
	"github.com/mosaik-go/mosaik/sm"
)

// Leases expires leases by the local clock.
type Leases struct{ until map[string]time.Time }

type Acquire struct{ Name string }

func (c Acquire) ApplyTo(m *Leases, at sm.ApplyContext) (bool, error) {
	if m.until[c.Name].After(time.Now()) { // want `time.Now reads the clock of this member; use at.Now\(\) \(in Acquire.ApplyTo\)`
		return false, nil
	}
	m.until[c.Name] = at.Now().Add(time.Minute)
	return true, nil
}

// Audit stamps entries in a helper of the package.
type Audit struct{ entries []int64 }

type Note struct{}

func (Note) ApplyTo(m *Audit, _ sm.ApplyContext) (int64, error) {
	m.add()
	return int64(len(m.entries)), nil
}

func (m *Audit) add() { m.entries = append(m.entries, stamp()) }

func stamp() int64 {
	return time.Now().Unix() // want `time.Now reads the clock of this member; use at.Now\(\) \(in Note.ApplyTo → Audit.add → stamp\)`
}

// Remote stamps entries in another package.
type Remote struct{ last int64 }

type Touch struct{}

func (Touch) ApplyTo(m *Remote, _ sm.ApplyContext) (int64, error) {
	m.last = lib.Stamp() // want `time.Now reads the clock of this member; use at.Now\(\) \(in Touch.ApplyTo → lib.Stamp → now at lib.go:15\)`
	return m.last, nil
}

// Age measures the age of an entry.
type Age struct{ born time.Time }

type HowOld struct{}

func (HowOld) ApplyTo(m *Age, _ sm.ApplyContext) (time.Duration, error) {
	return time.Since(m.born), nil // want `time.Since reads the clock`
}

// Slow waits for a timer.
type Slow struct{ n int64 }

type Wait struct{}

func (Wait) ApplyTo(m *Slow, _ sm.ApplyContext) (int64, error) {
	time.Sleep(time.Millisecond) // want `time.Sleep waits for the clock`
	m.n++
	return m.n, nil
}

// Deadline gives up work after a while.
type Deadline struct{ done bool }

type Work struct{}

func (Work) ApplyTo(m *Deadline, _ sm.ApplyContext) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second) // want `context.WithTimeout waits for the clock`
	defer cancel()
	m.done = ctx.Err() == nil // want `context.Context.Err depends on when the context ends`
	return m.done, nil
}

// Injected reads the clock through a field.
type Injected struct {
	now  func() time.Time
	last time.Time
}

func NewInjected() *Injected { return &Injected{now: time.Now} }

type Tick struct{}

func (Tick) ApplyTo(m *Injected, _ sm.ApplyContext) (bool, error) {
	m.last = m.now() // want `m.now holds time.Now, which reads the clock`
	return true, nil
}

// Clocked reads the clock through an interface.
type Clocked struct {
	clock Clock
	last  time.Time
}

type Clock interface{ Now() time.Time }

type wall struct{}

func (wall) Now() time.Time {
	return time.Now() // want `time.Now reads the clock of this member; use at.Now\(\) \(in Tock.ApplyTo → wall.Now\)`
}

type Tock struct{}

func (Tock) ApplyTo(m *Clocked, _ sm.ApplyContext) (bool, error) {
	m.last = m.clock.Now()
	return true, nil
}

// Handwritten applies commands in a switch.
type Handwritten struct{ at int64 }

func (m *Handwritten) Spec() sm.Spec[string] { return sm.Define[string]("handwritten", 1) }

func (m *Handwritten) Apply(at sm.ApplyContext, cmd string) (any, error) {
	switch cmd {
	case "touch":
		m.at = time.Now().UnixMilli() // want `time.Now reads the clock`
	}
	return m.at, nil
}

// Midnight compares local days.
type Midnight struct{ day int }

type Day struct{ Unix int64 }

func (c Day) ApplyTo(m *Midnight, _ sm.ApplyContext) (int, error) {
	m.day = time.Unix(c.Unix, 0).YearDay() // want `time.Time.YearDay of a time from time.Unix depends on the time zone`
	return m.day, nil
}

// Zones formats times in the zone of the member.
type Zones struct{ text string }

type Show struct{ At time.Time }

func (c Show) ApplyTo(m *Zones, _ sm.ApplyContext) (string, error) {
	m.text = c.At.Local().String() // want `time.Time.Local depends on the time zone`
	return m.text, nil
}
