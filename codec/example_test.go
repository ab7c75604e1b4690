package codec_test

import (
	"errors"
	"fmt"

	"github.com/mosaik-go/mosaik/codec"
)

// A hand-written machine's command is one struct; sm.Define makes its codec by
// calling Reflect.
func ExampleReflect() {
	type Payment struct {
		Account string
		Amount  uint8 `msgpack:"amt"`
	}
	payments := codec.Reflect[Payment]()

	b, err := payments.Append(nil, Payment{Account: "alice", Amount: 5})
	fmt.Printf("%q %v\n", b, err)
	p, err := payments.Decode(b)
	fmt.Printf("%+v %v\n", p, err)

	// Output:
	// "\x82\xa7Account\xa5alice\xa3amt\xcc\x05" <nil>
	// {Account:alice Amount:5} <nil>
}

// Bytes that are no value of the type are refused, and the error says where.
func ExampleReflect_hostile() {
	type Payment struct{ Amounts []int8 }
	payments := codec.Reflect[Payment]()

	_, err := payments.Decode([]byte("\x81\xa7Amounts\x92\x05\xcd\x01\x2c"))
	fmt.Println(err)
	fmt.Println(errors.Is(err, codec.ErrOverflow))

	var at *codec.Error
	if errors.As(err, &at) {
		fmt.Println(at.Path)
	}

	// Output:
	// codec: decode Payment.Amounts[1]: 300 overflows int8 (at byte 11)
	// true
	// Payment.Amounts[1]
}

// A type that cannot be encoded is found out before its first use.
func ExampleChecker() {
	type Watch struct {
		Name string
		Done chan bool
	}
	watches := codec.Reflect[Watch]()
	fmt.Println(watches.(codec.Checker).Check())

	// Output:
	// codec: check Watch.Done: a chan cannot be encoded; remove it, or exclude the field with the tag `msgpack:"-"`
}
