package state

import (
	"context"
	"encoding/binary"
	"io"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

// counter is a machine with little work.
type counter struct{ sum uint64 }

func (c *counter) Apply(_ sm.ApplyContext, _ uint32, cmd []byte) (any, error, bool) {
	c.sum += uint64(cmd[0])
	return nil, nil, true
}
func (c *counter) CanSnapshot() bool        { return false }
func (c *counter) Snapshot(io.Writer) error { return nil }
func (c *counter) Restore(io.Reader) error  { return nil }

// BenchmarkApply applies entries of 64 commands of 16 bytes: without a history, with one that does
// not record, and with one that records.
func BenchmarkApply(b *testing.B) {
	recording := func() *History {
		h := NewHistory(4 << 20)
		h.Record()
		return h
	}
	for _, kind := range []struct {
		name    string
		id      format.SessionID
		history func() *History
	}{
		{"own", mine, func() *History { return nil }},
		{"other", others, func() *History { return nil }},
		{"other, history unused", others, func() *History { return NewHistory(4 << 20) }},
		{"other, recording", others, recording},
	} {
		b.Run(kind.name, func(b *testing.B) {
			s := New(Config{Machine: &counter{}, History: kind.history(), Deliver: func(Delivery) {}})
			s.SetOwnSession(mine)
			s.Apply(1, 1, format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindOpen}}))
			e := format.Envelope{Header: format.Header{Kind: format.KindSession, Session: kind.id}}
			s.Apply(2, 1, format.Append(nil, &e))
			data := format.Begin(nil, format.Header{Kind: format.KindCommands, Session: kind.id}, nil, 64)
			for range 64 {
				data = format.AppendCommand(data, make([]byte, 16))
			}
			var sequence uint64
			b.ReportAllocs()
			for b.Loop() {
				sequence++
				binary.LittleEndian.PutUint64(data[24:], sequence)
				s.Apply(sm.Index(sequence+2), 1, data)
			}
			if got := s.Status().AppliedIndex; got != sm.Index(64*sequence) {
				b.Fatalf("%d commands applied, want %d", got, 64*sequence)
			}
		})
	}
}

// BenchmarkApplyOne applies entries of one command of 16 bytes.
func BenchmarkApplyOne(b *testing.B) {
	s := New(Config{Machine: &counter{}, Deliver: func(Delivery) {}, Slow: func([]consensus.SlowCall) {}})
	s.SetOwnSession(mine)
	s.Apply(1, 1, format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindOpen}}))
	s.Apply(2, 1, format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindSession, Session: mine}}))
	data := format.AppendCommand(format.Begin(nil, format.Header{Kind: format.KindCommands, Session: mine}, nil, 1), make([]byte, 16))
	var sequence uint64
	b.ReportAllocs()
	for b.Loop() {
		sequence++
		binary.LittleEndian.PutUint64(data[24:], sequence)
		s.Apply(sm.Index(sequence+2), 1, data)
	}
}

// BenchmarkRead runs queries without work.
func BenchmarkRead(b *testing.B) {
	s := New(Config{Machine: &counter{}, Slow: func([]consensus.SlowCall) {}})
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Read(context.Background(), &Query{Run: func(sm.Index, Machine) error { return nil }}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInApply calls InApply below some frames of the stack.
func BenchmarkInApply(b *testing.B) {
	s := New(Config{Machine: &counter{}})
	for _, busy := range []uint64{0, 1} {
		b.Run([]string{"idle", "applying"}[busy], func(b *testing.B) {
			s.execution.applying.Store(busy)
			for b.Loop() {
				below(10, func() {
					if s.InApply(s.Applying()) {
						b.Fatal("InApply is true outside Apply")
					}
				})
			}
		})
	}
}

func below(frames int, f func()) {
	if frames == 0 {
		f()
		return
	}
	below(frames-1, f)
}
