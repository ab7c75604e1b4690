package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// Envelope v1: the data of one log entry. Integers are little endian, uvarints
// are those of encoding/binary in their shortest form.
//
//	offset  size  field
//	     0     1  version, 1
//	     1     1  kind: 1 commands, 2 open, 3 seal, 4 level, 5 session,
//	              6 ancestor, 7 replay, 8 restore
//	     2     2  flags, 0
//	     4     4  level: of kind commands, the level of the schema at which they
//	              are encoded, 0 if it is not known; of kind level, the one that
//	              it raises to; of other kinds 0
//	     8    16  session; of kind ancestor: the epoch that this one continues
//	    24     8  sequence; of kind open: what a leader's fencing token is above,
//	              at most 1<<62, 0 for nothing; of kind seal: how many commands
//	              are given up; of kinds replay and restore: their number in
//	              the epoch, from 1
//	    32     8  the proposer's time, Unix nanoseconds, signed
//	    40     8  seed
//	    48     -  uvarint t, then t trace contexts:
//	                uvarint offset of the command that it belongs to
//	                16 bytes trace id, 8 bytes span id, 1 byte flags
//	     -     -  uvarint n, then n commands:
//	                uvarint length, then as many bytes
//
// Nothing follows the last command. Trace contexts come in strictly increasing
// order of their offsets, all below n. Only kind commands carries commands. In
// their place kind ancestor carries the ids of the epochs that its epoch
// continues, oldest first, kind replay whole entries of that epoch, and kind
// restore the next part of a snapshot of it, of which an empty part is the end.
//
// Entries are replicated, so none is passed over that is only partly understood:
// another version, kind or flag is that of a newer program and stops the replica.
// What a newer program adds to an entry, it says by one of these.
//
// Before level entries were written, entries of commands had level 0. They were
// encoded at the newest level of their time, and are decoded with all that any
// level has. The level of an epoch is 1 until an entry of kind level raises it by
// exactly one; any other such entry is void. Commands of a level above the epoch's
// are void, too, and nobody decodes them.

// Version is the version of the envelope that this package writes and reads.
const Version = 1

const (
	headerSize = 48
	// minTrace is the size of a trace context whose offset takes one byte.
	minTrace = 1 + 16 + 8 + 1
	// MaxTrace bounds the size of one trace context in bytes.
	MaxTrace = binary.MaxVarintLen64 + 16 + 8 + 1
	// MaxOverhead bounds the size of an envelope without its trace contexts and
	// commands, in bytes.
	MaxOverhead = headerSize + 2*binary.MaxVarintLen64
)

var (
	// ErrMalformed reports bytes that are no envelope, or no snapshot.
	ErrMalformed = errors.New("format: malformed")
	// ErrVersion reports a version, kind or flag that this package does not know: a
	// newer program wrote it.
	ErrVersion = errors.New("format: unknown version")
)

// Kind is the effect of an entry.
type Kind uint8

// The kinds of entries.
const (
	KindCommands Kind = 1 // applies commands
	KindOpen     Kind = 2 // opens a forming group for commands
	KindSeal     Kind = 3 // ends an epoch, if it has no more commands than it says
	KindLevel    Kind = 4 // raises the schema level
	KindSession  Kind = 5 // opens a session
	KindAncestor Kind = 6 // begins an epoch that continues another
	KindReplay   Kind = 7 // applies entries of the epoch before
	KindRestore  Kind = 8 // restores a snapshot of the epoch before, part by part
)

// MaxTokenBase bounds the token base of an epoch, so that tokens do not overflow. A larger base
// in an open entry has no effect.
const MaxTokenBase = 1 << 62

// SessionID names a proposer's session. It is random and never reused.
type SessionID [16]byte

// Header is the fixed part of an envelope.
type Header struct {
	Kind     Kind
	Level    uint32 // of the commands, 0 if unknown; of kind level: the level that it raises to
	Session  SessionID
	Sequence uint64 // the entry's number in its session, from 1; of kind open: the token base
	Time     int64  // the proposer's clock in Unix nanoseconds
	Seed     uint64 // drawn at random by the proposer
}

// Span is the trace context of a span as OpenTelemetry defines it. The zero Span means that there
// is none.
type Span struct {
	TraceID [16]byte
	SpanID  [8]byte
	Flags   byte
}

// IsZero reports whether there is no span.
func (s Span) IsZero() bool { return s == Span{} }

// Trace is the span of the commands from an offset on, up to the next Trace.
type Trace struct {
	Offset int // the offset of the first of these commands in the entry
	Span
}

// Envelope is one log entry. Its traces and commands alias the bytes from which they were
// parsed.
type Envelope struct {
	Header
	Traces   Traces
	Commands Commands
}

// Traces is an encoded list of trace contexts.
type Traces struct {
	n int
	b []byte
}

// Len returns the number of trace contexts.
func (t Traces) Len() int { return t.n }

// All yields the trace contexts by increasing offset.
func (t Traces) All() iter.Seq[Trace] {
	return func(yield func(Trace) bool) {
		b := t.b
		for range t.n {
			offset, size := binary.Uvarint(b)
			tr := Trace{Offset: int(offset)}
			b = b[size:]
			copy(tr.TraceID[:], b)
			copy(tr.SpanID[:], b[16:])
			tr.Flags = b[24]
			b = b[25:]
			if !yield(tr) {
				return
			}
		}
	}
}

// Commands is an encoded list of commands.
type Commands struct {
	n int
	b []byte
}

// Len returns the number of commands.
func (c Commands) Len() int { return c.n }

// Size returns the number of bytes of the encoded list.
func (c Commands) Size() int { return len(c.b) }

// Clone returns a copy of the list with memory of its own.
func (c Commands) Clone() Commands { return Commands{c.n, bytes.Clone(c.b)} }

// At returns the command at an offset in [0, Len), as All yields it; nil for other offsets.
func (c Commands) At(offset int) []byte {
	for i, cmd := range c.All() {
		if i == offset {
			return cmd
		}
	}
	return nil
}

// All yields each command with its offset in the entry. The bytes alias the envelope's and must
// not be changed.
func (c Commands) All() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		b := c.b
		for i := range c.n {
			length, size := uint64(b[0]), 1
			if length >= 0x80 {
				length, size = binary.Uvarint(b)
			}
			end := size + int(length)
			if !yield(i, b[size:end:end]) {
				return
			}
			b = b[end:]
		}
	}
}

// CommandSize returns the size in an envelope of a command of the given length, in bytes.
func CommandSize(length int) int { return uvarintSize(uint64(length)) + length }

// Append appends the envelope to dst.
func Append(dst []byte, e *Envelope) []byte {
	dst = appendHeader(dst, e.Header)
	dst = binary.AppendUvarint(dst, uint64(e.Traces.n))
	dst = append(dst, e.Traces.b...)
	dst = binary.AppendUvarint(dst, uint64(e.Commands.n))
	return append(dst, e.Commands.b...)
}

// Begin appends an envelope up to its first command. Exactly so many calls of [AppendCommand] must
// follow as commands says. The offsets of traces must increase strictly and be less than commands.
func Begin(dst []byte, h Header, traces []Trace, commands int) []byte {
	dst = appendHeader(dst, h)
	dst = binary.AppendUvarint(dst, uint64(len(traces)))
	for i := range traces {
		t := &traces[i]
		dst = binary.AppendUvarint(dst, uint64(t.Offset))
		dst = append(dst, t.TraceID[:]...)
		dst = append(dst, t.SpanID[:]...)
		dst = append(dst, t.Flags)
	}
	return binary.AppendUvarint(dst, uint64(commands))
}

// AppendCommand appends one command to what [Begin] began.
func AppendCommand(dst, cmd []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(cmd)))
	return append(dst, cmd...)
}

func appendHeader(dst []byte, h Header) []byte {
	le := binary.LittleEndian
	dst = append(dst, Version, byte(h.Kind), 0, 0)
	dst = le.AppendUint32(dst, h.Level)
	dst = append(dst, h.Session[:]...)
	dst = le.AppendUint64(dst, h.Sequence)
	dst = le.AppendUint64(dst, uint64(h.Time))
	return le.AppendUint64(dst, h.Seed)
}

// Parse decodes an envelope. It checks all of b, so iterating over the result cannot fail. The
// errors are [ErrVersion] and [ErrMalformed].
func Parse(b []byte) (Envelope, error) {
	var e Envelope
	if len(b) == 0 {
		return e, fmt.Errorf("%w: empty entry", ErrMalformed)
	}
	if b[0] != Version {
		return e, fmt.Errorf("%w: envelope version %d, known is %d", ErrVersion, b[0], Version)
	}
	if len(b) < headerSize {
		return e, fmt.Errorf("%w: envelope of %d bytes, the header alone has %d", ErrMalformed, len(b), headerSize)
	}
	le := binary.LittleEndian
	e.Kind = Kind(b[1])
	if e.Kind < KindCommands || e.Kind > KindRestore {
		return e, fmt.Errorf("%w: entry kind %d", ErrVersion, e.Kind)
	}
	if flags := le.Uint16(b[2:]); flags != 0 {
		return e, fmt.Errorf("%w: entry flags %#x", ErrVersion, flags)
	}
	e.Level = le.Uint32(b[4:])
	copy(e.Session[:], b[8:])
	e.Sequence = le.Uint64(b[24:])
	e.Time = int64(le.Uint64(b[32:]))
	e.Seed = le.Uint64(b[40:])

	var err error
	var last int // the largest offset of a trace
	rest := b[headerSize:]
	if e.Traces, last, rest, err = parseTraces(rest); err != nil {
		return e, err
	}
	if e.Commands, err = parseCommands(rest); err != nil {
		return e, err
	}
	if last >= e.Commands.n {
		return e, fmt.Errorf("%w: trace context for command %d of %d", ErrMalformed, last, e.Commands.n)
	}
	if carries := e.Kind == KindCommands || e.Kind >= KindAncestor; !carries && e.Commands.n != 0 {
		return e, fmt.Errorf("%w: %d commands in an entry of kind %d", ErrMalformed, e.Commands.n, e.Kind)
	}
	return e, nil
}

// parseTraces returns the traces at the start of b, the offset of the last one, -1 for none, and
// the bytes behind them.
func parseTraces(b []byte) (t Traces, last int, rest []byte, err error) {
	n, b, err := count(b, minTrace, "trace contexts")
	if err != nil {
		return Traces{}, 0, nil, err
	}
	last, rest = -1, b
	for range n {
		offset, size, err := uvarint(rest)
		if err != nil {
			return Traces{}, 0, nil, fmt.Errorf("%w: offset of a trace context", err)
		}
		rest = rest[size:]
		// An offset is less than the number of commands, each of which takes a byte or more.
		if len(rest) < minTrace-1 || offset > uint64(len(rest)) || int(offset) <= last {
			return Traces{}, 0, nil, fmt.Errorf("%w: trace context after offset %d", ErrMalformed, last)
		}
		last, rest = int(offset), rest[minTrace-1:]
	}
	return Traces{n, b[:len(b)-len(rest)]}, last, rest, nil
}

// parseCommands returns the commands that fill b.
func parseCommands(b []byte) (Commands, error) {
	n, b, err := count(b, 1, "commands")
	if err != nil {
		return Commands{}, err
	}
	rest := b
	for i := range n {
		length, size, err := uvarint(rest)
		if err != nil {
			return Commands{}, fmt.Errorf("%w: length of command %d", err, i)
		}
		rest = rest[size:]
		if length > uint64(len(rest)) {
			return Commands{}, fmt.Errorf("%w: command %d of %d bytes, %d are left", ErrMalformed, i, length, len(rest))
		}
		rest = rest[length:]
	}
	if len(rest) != 0 {
		return Commands{}, fmt.Errorf("%w: %d bytes after the last command", ErrMalformed, len(rest))
	}
	return Commands{n, b}, nil
}

// count reads the number of elements that follow, each of at least size bytes.
func count(b []byte, size int, what string) (int, []byte, error) {
	n, read, err := uvarint(b)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: number of %s", err, what)
	}
	b = b[read:]
	if n > uint64(len(b)/size) {
		return 0, nil, fmt.Errorf("%w: %d %s in %d bytes", ErrMalformed, n, what, len(b))
	}
	return int(n), b, nil
}

// uvarint reads a uvarint in its shortest form and returns its size.
func uvarint(b []byte) (uint64, int, error) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1, nil
	}
	v, size := binary.Uvarint(b)
	if size <= 0 || size != uvarintSize(v) {
		return 0, 0, ErrMalformed
	}
	return v, size, nil
}

func uvarintSize(v uint64) int {
	size := 1
	for ; v >= 0x80; v >>= 7 {
		size++
	}
	return size
}
