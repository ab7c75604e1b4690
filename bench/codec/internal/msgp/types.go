// Package msgp holds the commands with codecs written by github.com/tinylib/msgp.
package msgp

//go:generate go run github.com/tinylib/msgp@v1.6.5 -file types.go -o types_gen.go -tests=false -io=false

// Tiny is the smallest command.
type Tiny struct{ By int64 }

// Put has the fields of most commands.
type Put struct {
	Key   string
	Value []byte
	TTL   int64
}

// Order has a field of every kind.
type Order struct {
	ID         uint64
	Side       uint8
	Price, Qty int64
	Owner      string
	Tags       []string
	Meta       map[string]string
	Legs       []Leg
}

// Leg is a part of an order.
type Leg struct {
	Venue      string
	Price, Qty int64
}
