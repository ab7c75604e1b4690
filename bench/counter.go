package main

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync/atomic"

	"github.com/lni/dragonboat/v4/statemachine"
	"github.com/mosaik-go/mosaik/sm"
)

// add is the command of every system: 16 bytes.
type add struct{ Account, Amount uint64 }

// addSize is the size of an encoded add.
const addSize = 16

// append appends the encoding.
func (a add) append(dst []byte) []byte {
	dst = slices.Grow(dst, addSize)
	dst = binary.LittleEndian.AppendUint64(dst, a.Account)
	return binary.LittleEndian.AppendUint64(dst, a.Amount)
}

// errAdd reports bytes that are no add.
var errAdd = errors.New("bench: not an encoded command")

// parseAdd decodes what append encoded.
func parseAdd(src []byte) (add, error) {
	if len(src) != addSize {
		return add{}, errAdd
	}
	return add{binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])}, nil
}

// counter is the machine of every system but etcd: it adds up.
type counter struct {
	total uint64
	count atomic.Uint64 // commands
}

func (c *counter) add(a add) uint64 {
	c.count.Add(1)
	c.total += a.Amount
	return c.total
}

// mosaikCounter is the counter as mosaik runs it.
type mosaikCounter struct{ counter }

func newMosaikCounter() *mosaikCounter { return &mosaikCounter{} }

// Spec implements [sm.StateMachine].
func (*mosaikCounter) Spec() sm.Spec[add] {
	return sm.Spec[add]{Name: "bench/counter", Version: 1, Signature: sm.ID("bench/counter"), Codec: addCodec{}}
}

// Apply implements [sm.StateMachine].
func (c *mosaikCounter) Apply(_ sm.ApplyContext, a add) (any, error) { return c.add(a), nil }

// addCodec encodes adds.
type addCodec struct{}

// Append implements [codec.Codec].
func (addCodec) Append(dst []byte, a add) ([]byte, error) { return a.append(dst), nil }

// Decode implements [codec.Codec].
func (addCodec) Decode(src []byte) (add, error) { return parseAdd(src) }

// dragonboatCounter is the counter as dragonboat runs it. Its results and
// answers are totals.
type dragonboatCounter struct{ counter }

// Update implements [statemachine.IStateMachine].
func (c *dragonboatCounter) Update(e statemachine.Entry) (statemachine.Result, error) {
	a, err := parseAdd(e.Cmd)
	if err != nil {
		return statemachine.Result{}, err
	}
	return statemachine.Result{Value: c.add(a)}, nil
}

// Lookup implements [statemachine.IStateMachine].
func (c *dragonboatCounter) Lookup(any) (any, error) { return c.total, nil }

// errNoSnapshots reports a snapshot, of which the configuration asks none.
var errNoSnapshots = errors.New("bench: snapshots are off")

// SaveSnapshot implements [statemachine.IStateMachine].
func (*dragonboatCounter) SaveSnapshot(io.Writer, statemachine.ISnapshotFileCollection, <-chan struct{}) error {
	return errNoSnapshots
}

// RecoverFromSnapshot implements [statemachine.IStateMachine].
func (*dragonboatCounter) RecoverFromSnapshot(io.Reader, []statemachine.SnapshotFile, <-chan struct{}) error {
	return errNoSnapshots
}

// Close implements [statemachine.IStateMachine].
func (*dragonboatCounter) Close() error { return nil }
