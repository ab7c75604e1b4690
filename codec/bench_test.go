package codec_test

import (
	"testing"

	"github.com/mosaik-go/mosaik/codec"
)

// Order is the middle-sized command of the measurements in docs.
type Order struct {
	ID         uint64
	Side       uint8
	Price, Qty int64
	Owner      string
	Tags       []string
	Meta       map[string]string
	Legs       []OrderLeg
}

type OrderLeg struct {
	Venue string
	Qty   int64
}

var order = Order{
	ID: 1, Side: 2, Price: 3, Qty: 4, Owner: "alice", Tags: []string{"red", "green"},
	Meta: map[string]string{"desk": "north", "strategy": "none"},
	Legs: []OrderLeg{{"here", 1}, {"there", 3}},
}

func BenchmarkReflectAppend(b *testing.B) {
	c := codec.Reflect[Order]()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = c.Append(buf[:0], order); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReflectDecode(b *testing.B) {
	c := codec.Reflect[Order]()
	src := encode(b, order)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Decode(src); err != nil {
			b.Fatal(err)
		}
	}
}
