package wire

import (
	"errors"
	"fmt"
)

// The sentinels that [Reader] reports. Package codec exports them and documents
// what they mean.
var (
	ErrTruncated = errors.New("codec: truncated")
	ErrType      = errors.New("codec: wrong type")
	ErrUTF8      = errors.New("codec: invalid UTF-8")
)

// Fault describes what is wrong within an encoded value. Packages codec and
// codecimpl turn it into a codec.Error, which adds the operation and the name of
// the type.
type Fault struct {
	Path   string // from the type, as ".Legs[3].Amount"
	Offset int    // the byte at which it was found, when decoding
	Detail string // what is wrong; "" leaves it to Err
	Err    error  // a sentinel of package codec, or the error of a type that encodes itself
}

// In puts segment before the path of f and returns f. It does nothing if f is nil.
// Paths are assembled only after a fault, so they cost nothing otherwise.
func (f *Fault) In(segment string) *Fault {
	if f != nil {
		f.Path = segment + f.Path
	}
	return f
}

// Panicked returns the fault of a panic with value p in the methods of a type
// that encodes itself.
func Panicked(p any) *Fault {
	if err, ok := p.(error); ok {
		return &Fault{Err: fmt.Errorf("panic: %w", err)}
	}
	return &Fault{Err: fmt.Errorf("panic: %v", p)}
}
