package sm

// Bytes is an immutable sequence of bytes for the state of a machine. It has the encoding
// of a []byte, which an element of a [Map] or [List] must not hold, because copies would
// share its memory. Convert from and to []byte: Bytes(b) and []byte(x) copy. A nil []byte
// and an empty one are both restored as an empty Bytes.
type Bytes string
