package main

import (
	"bytes"

	"github.com/mosaik-go/mosaik/bench/codec/internal/msgp"
	"github.com/mosaik-go/mosaik/bench/codec/internal/proto"
	"github.com/mosaik-go/mosaik/bench/codec/internal/store"
)

// The commands that are measured.
var (
	commandNames    = [...]string{"Tiny", "Put", "Order"}
	commandContents = [len(commandNames)]string{"one integer", "a key, 64 bytes, an integer", "14 strings, a map, two slices"}
)

var (
	tiny = store.Tiny{By: 1_234_567}

	put = store.Put{
		Key:   "sessions/7f3a91c2",
		Value: bytes.Repeat([]byte{0xa5}, 64),
		TTL:   86_400_000,
	}

	order = store.Order{
		ID: 9_876_543_210, Side: 1, Price: 1_234_500, Qty: 1_000,
		Owner: "trader-0042",
		Tags:  []string{"algo", "iceberg", "day"},
		Meta:  map[string]string{"client": "acme", "desk": "rates-ldn", "strategy": "twap"},
		Legs: []store.Leg{
			{Venue: "XLON", Price: 1_234_400, Qty: 250},
			{Venue: "XPAR", Price: 1_234_500, Qty: 250},
			{Venue: "XETR", Price: 1_234_600, Qty: 250},
			{Venue: "BATE", Price: 1_234_700, Qty: 250},
		},
	}
)

// The commands without methods, for codecs that go by reflection.
type (
	plainTiny  store.Tiny
	plainPut   store.Put
	plainOrder store.Order
)

// The commands of tinylib/msgp.

func msgpTiny() *msgp.Tiny { return (*msgp.Tiny)(&tiny) }

func msgpPut() *msgp.Put { return (*msgp.Put)(&put) }

func msgpOrder() *msgp.Order {
	o := &msgp.Order{ID: order.ID, Side: order.Side, Price: order.Price, Qty: order.Qty, Owner: order.Owner, Tags: order.Tags, Meta: order.Meta}
	for _, leg := range order.Legs {
		o.Legs = append(o.Legs, msgp.Leg(leg))
	}
	return o
}

// The commands of vtprotobuf.

func protoTiny() *proto.Tiny { return &proto.Tiny{By: tiny.By} }

func protoPut() *proto.Put { return &proto.Put{Key: put.Key, Value: put.Value, Ttl: put.TTL} }

func protoOrder() *proto.Order {
	o := &proto.Order{Id: order.ID, Side: uint32(order.Side), Price: order.Price, Qty: order.Qty, Owner: order.Owner, Tags: order.Tags, Meta: order.Meta}
	for _, leg := range order.Legs {
		o.Legs = append(o.Legs, &proto.Leg{Venue: leg.Venue, Price: leg.Price, Qty: leg.Qty})
	}
	return o
}
