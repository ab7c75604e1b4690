package bad

import (
	"runtime"
	"sync"

	"github.com/mosaik-go/mosaik/sm"
)

// Parallel adds in goroutines.
type Parallel struct {
	mu  sync.Mutex
	log []int
}

type Each struct{ N int }

func (c Each) ApplyTo(m *Parallel, _ sm.ApplyContext) (int, error) {
	var wg sync.WaitGroup
	for i := range c.N * runtime.NumCPU() {
		wg.Add(1)
		go func() { // want `a goroutine runs at a different time on each member`
			defer wg.Done()
			m.mu.Lock()
			defer m.mu.Unlock()
			m.log = append(m.log, i)
		}()
	}
	wg.Wait()
	return len(m.log), nil
}

// Inbox takes what has arrived on a channel.
type Inbox struct {
	in   chan string
	last string
}

type Take struct{}

func (Take) ApplyTo(m *Inbox, _ sm.ApplyContext) (string, error) {
	m.last = <-m.in // want `a receive depends on the goroutine that sends`
	return m.last, nil
}

// Either takes from one of two channels.
type Either struct {
	a, b chan int
	sum  int
}

type Pick struct{}

func (Pick) ApplyTo(m *Either, _ sm.ApplyContext) (int, error) {
	select { // want `a select takes one of several clauses`
	case x := <-m.a:
		m.sum += x
	case x := <-m.b:
		m.sum -= x
	}
	return m.sum, nil
}

// Notifier waits for its watchers.
type Notifier struct {
	watchers chan int
	n        int
}

type Notify struct{}

func (Notify) ApplyTo(m *Notifier, _ sm.ApplyContext) (int, error) {
	m.n++
	m.watchers <- m.n // want `a send depends on the goroutine that receives`
	return m.n, nil
}

// Drained ranges over a channel.
type Drained struct {
	in chan int
	n  int
}

type Drain struct{}

func (Drain) ApplyTo(m *Drained, _ sm.ApplyContext) (int, error) {
	for x := range m.in { // want `a receive depends on the goroutine that sends`
		m.n += x
	}
	return m.n, nil
}

// Lossy counts what a channel has no room for.
type Lossy struct {
	out  chan int
	lost int
}

type Emit struct{ N int }

func (c Emit) ApplyTo(m *Lossy, _ sm.ApplyContext) (int, error) {
	select { // want `a select takes one of several clauses`
	case m.out <- c.N: // want `a send depends`
	default:
		m.lost++
	}
	return m.lost, nil
}
