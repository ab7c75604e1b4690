package main

import (
	"bytes"
	"encoding/json"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/mosaik-go/mosaik/bench/codec/internal/hand"
	"github.com/mosaik-go/mosaik/bench/codec/internal/store"
	"github.com/mosaik-go/mosaik/codec"
)

// The names of the codecs that are compared with each other.
const (
	nameHand      = "hand-written"
	nameGenerated = "mosaik-gen"
	nameMsgp      = "tinylib/msgp"
	nameSorted    = "vmihailenco, pooled, sorted maps"
	namePlain     = "vmihailenco"
)

// peer is a codec, with what it does to each command of commandNames.
type peer struct {
	name  string
	tasks [len(commandNames)]task
}

// task encodes and decodes one command, n times over.
type task struct {
	encode func(n int) error
	decode func(n int) error
	// once returns the encoding and what is decoded from it.
	once func() (encoded []byte, decoded any, err error)
}

func allPeers() []peer {
	machine := (&store.Store{}).Spec().Codec
	return []peer{
		{nameHand, [...]task{ofCodec[store.Command](hand.Codec{}, tiny), ofCodec[store.Command](hand.Codec{}, put), ofCodec[store.Command](hand.Codec{}, order)}},
		{nameGenerated, [...]task{ofCodec[store.Command](machine, tiny), ofCodec[store.Command](machine, put), ofCodec[store.Command](machine, order)}},
		{"mosaik, by reflection", [...]task{ofReflection(plainTiny(tiny)), ofReflection(plainPut(put)), ofReflection(plainOrder(order))}},
		{nameMsgp, [...]task{ofMsgp(msgpTiny()), ofMsgp(msgpPut()), ofMsgp(msgpOrder())}},
		{"vtprotobuf", [...]task{ofProto(protoTiny()), ofProto(protoPut()), ofProto(protoOrder())}},
		{nameSorted, [...]task{ofPooled(plainTiny(tiny)), ofPooled(plainPut(put)), ofPooled(plainOrder(order))}},
		{namePlain, [...]task{ofPlain(plainTiny(tiny)), ofPlain(plainPut(put)), ofPlain(plainOrder(order))}},
		{"encoding/json", [...]task{ofJSON(plainTiny(tiny)), ofJSON(plainPut(put)), ofJSON(plainOrder(order))}},
	}
}

// newTask returns a task of functions that work on a buffer or a value of their own.
func newTask[V any](encode func(n int) ([]byte, error), decode func(n int, src []byte) (V, error)) task {
	src, err := encode(1)
	src = bytes.Clone(src)
	return task{
		encode: func(n int) error { _, err := encode(n); return err },
		decode: func(n int) error { _, err := decode(n, src); return err },
		once: func() ([]byte, any, error) {
			if err != nil {
				return nil, nil, err
			}
			v, err := decode(1, src)
			return src, v, err
		},
	}
}

func ofCodec[C any](c codec.Codec[C], cmd C) task {
	var buf []byte
	return newTask(func(n int) (_ []byte, err error) {
		for range n {
			if buf, err = c.Append(buf[:0], cmd); err != nil {
				return nil, err
			}
		}
		return buf, nil
	}, func(n int, src []byte) (v C, err error) {
		for range n {
			if v, err = c.Decode(src); err != nil {
				return v, err
			}
		}
		return v, nil
	})
}

func ofReflection[C any](cmd C) task { return ofCodec(codec.Reflect[C](), cmd) }

func ofMsgp[T any, P interface {
	*T
	MarshalMsg([]byte) ([]byte, error)
	UnmarshalMsg([]byte) ([]byte, error)
}](cmd P) task {
	var buf []byte
	return newTask(func(n int) (_ []byte, err error) {
		for range n {
			if buf, err = cmd.MarshalMsg(buf[:0]); err != nil {
				return nil, err
			}
		}
		return buf, nil
	}, func(n int, src []byte) (v P, err error) {
		for range n {
			v = new(T)
			if _, err = v.UnmarshalMsg(src); err != nil {
				return nil, err
			}
		}
		return v, nil
	})
}

func ofProto[T any, P interface {
	*T
	SizeVT() int
	MarshalToSizedBufferVT([]byte) (int, error)
	UnmarshalVT([]byte) error
}](cmd P) task {
	var buf []byte
	return newTask(func(n int) ([]byte, error) {
		for range n {
			size := cmd.SizeVT()
			if cap(buf) < size {
				buf = make([]byte, size)
			}
			buf = buf[:size]
			if _, err := cmd.MarshalToSizedBufferVT(buf); err != nil {
				return nil, err
			}
		}
		return buf, nil
	}, func(n int, src []byte) (v P, err error) {
		for range n {
			v = new(T)
			if err = v.UnmarshalVT(src); err != nil {
				return nil, err
			}
		}
		return v, nil
	})
}

// ofPooled uses one encoder and one decoder again and again, which is what a
// pool comes to.
func ofPooled[T any](cmd T) task {
	var buf bytes.Buffer
	var src bytes.Reader
	e, d := msgpack.NewEncoder(&buf), msgpack.NewDecoder(&src)
	e.SetSortMapKeys(true)
	return newTask(func(n int) ([]byte, error) {
		for range n {
			buf.Reset()
			if err := e.Encode(&cmd); err != nil {
				return nil, err
			}
		}
		return buf.Bytes(), nil
	}, func(n int, b []byte) (v *T, err error) {
		for range n {
			v = new(T)
			src.Reset(b)
			d.ResetReader(&src)
			if err := d.Decode(v); err != nil {
				return nil, err
			}
		}
		return v, nil
	})
}

func ofPlain[T any](cmd T) task {
	return ofFunctions(&cmd, msgpack.Marshal, msgpack.Unmarshal)
}

func ofJSON[T any](cmd T) task {
	return ofFunctions(&cmd, json.Marshal, json.Unmarshal)
}

func ofFunctions[T any](cmd *T, marshal func(any) ([]byte, error), unmarshal func([]byte, any) error) task {
	return newTask(func(n int) (b []byte, err error) {
		for range n {
			if b, err = marshal(cmd); err != nil {
				return nil, err
			}
		}
		return b, nil
	}, func(n int, src []byte) (v *T, err error) {
		for range n {
			v = new(T)
			if err = unmarshal(src, v); err != nil {
				return nil, err
			}
		}
		return v, nil
	})
}
