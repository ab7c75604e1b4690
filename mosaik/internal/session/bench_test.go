package session

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
)

// counter is a machine whose commands take almost no time.
type counter struct{}

func (counter) Apply(sm.ApplyContext, uint32, []byte) (any, error, bool) { return nil, nil, true }
func (counter) CanSnapshot() bool                                        { return false }
func (counter) Snapshot(io.Writer) error                                 { return nil }
func (counter) Restore(io.Reader) error                                  { return nil }

// instant is a transport that applies an entry after other goroutines have run.
type instant struct {
	state   *state.State
	index   sm.Index
	entries int
}

func (i *instant) Start(_ context.Context, data []byte) (Attempt, error) {
	i.index++
	i.entries++
	i.state.Apply(i.index, 1, data)
	return i, nil
}

func (i *instant) Wait(context.Context, <-chan struct{}) (settled bool, err error) {
	runtime.Gosched() // so that calls are batched
	return true, nil
}

// BenchmarkSubmitWait issues calls of one command of 16 bytes.
func BenchmarkSubmitWait(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			var p *Proposer
			tr := &instant{}
			tr.state = state.New(state.Config{
				Machine: counter{}, Deliver: func(d state.Delivery) { p.Deliver(d) },
			})
			tr.state.Apply(0, 1, format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindOpen}}))
			p = New(Config{Transport: tr, SetSession: tr.state.SetOwnSession})
			b.ReportAllocs()
			b.ResetTimer()
			done := make(chan error)
			var left atomic.Int64
			left.Store(int64(b.N))
			for range callers {
				go func() {
					cmds := [][]byte{make([]byte, 16)}
					for left.Add(-1) >= 0 {
						c, err := p.Submit(b.Context(), 1, cmds, format.Span{})
						if err == nil {
							_, _, err = c.Wait(b.Context())
						}
						if err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range callers {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
			b.StopTimer()
			p.Close(nil)
			b.ReportMetric(float64(b.N)/float64(tr.entries), "calls/entry")
		})
	}
}
