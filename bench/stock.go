package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/mosaik-go/mosaik/sm"
)

// stock is a machine that holds random values. A command of 8 bytes is the number
// of values to add.
type stock struct{ values [][]byte }

func newStock() *stock { return &stock{} }

// Spec implements [sm.StateMachine].
func (*stock) Spec() sm.Spec[[]byte] {
	return sm.Spec[[]byte]{Name: "bench/stock", Version: 1, Signature: sm.ID("bench/stock"), Codec: sinkCodec{}}
}

// Apply implements [sm.StateMachine].
func (s *stock) Apply(_ sm.ApplyContext, cmd []byte) (any, error) {
	if len(cmd) != 8 {
		return nil, fmt.Errorf("a command of %d bytes, want 8", len(cmd))
	}
	for range binary.LittleEndian.Uint64(cmd) {
		value := make([]byte, block)
		random(value, uint64(len(s.values)))
		s.values = append(s.values, value)
	}
	return nil, nil
}

func (s *stock) bytes() int64 { return int64(len(s.values)) * block }

// Snapshot implements [sm.Snapshotter].
func (s *stock) Snapshot(w io.Writer) error {
	for _, value := range s.values {
		if _, err := w.Write(value); err != nil {
			return err
		}
	}
	return nil
}

// Restore implements [sm.Snapshotter].
func (s *stock) Restore(r io.Reader) error {
	for {
		value := make([]byte, block)
		switch _, err := io.ReadFull(r, value); err {
		case nil:
			s.values = append(s.values, value)
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// random fills b with data that does not compress.
func random(b []byte, seed uint64) {
	draw := rand.New(rand.NewPCG(seed, 0))
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], draw.Uint64())
	}
}
