package link

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// Conn is a connection to a peer of this network whose identity is proved. It is a
// [net.Conn]. Its methods may be called concurrently, except that only one goroutine may
// read, by Read, ReadFrame, PeekFrame or Drain.
type Conn struct {
	gate    *gate
	limited *limitedConn // the TCP connection
	tls     *tls.Conn
	meter   *countingConn // between tls and limited
	reader  *bufio.Reader // of tls
	peer    sm.PeerID
	dialled bool
	close   func() error  // sync.OnceValue
	done    chan struct{} // closed by close

	content atomic.Uint64 // bytes that reader has read of tls
	preface uint64        // of these, the bytes before the first frame; set by the handshake
}

var _ net.Conn = (*Conn)(nil)

// frames keeps the buffers in which WriteFrame assembles frames.
var frames = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled bounds the buffers that are kept, in bytes: rare large frames should not keep
// their memory.
const maxPooled = 1 << 20

// Peer returns the id of the peer at the other end.
func (c *Conn) Peer() sm.PeerID { return c.peer }

// Dialled reports whether this end opened the connection.
func (c *Conn) Dialled() bool { return c.dialled }

// Received returns how many bytes of frames have arrived, headers included, whether or not
// they were read. The other end counts the same when it writes frames. While a frame
// arrives the count grows in steps of up to 16 KiB, the size of a TLS record.
func (c *Conn) Received() uint64 { return c.content.Load() - c.preface }

// Traffic returns how many bytes the connection has read and written beneath TLS. The
// counts grow while a record is in flight, so they show progress earlier than Received.
func (c *Conn) Traffic() (read, written uint64) { return c.meter.read.Load(), c.meter.written.Load() }

// Done returns a channel that is closed when the connection is closed at this end.
func (c *Conn) Done() <-chan struct{} { return c.done }

// protocol returns the protocol that the ends agreed on.
func (c *Conn) protocol() Protocol { return Protocol(c.tls.ConnectionState().NegotiatedProtocol) }

// maxLabel is the longest exporter label that TLS 1.3 allows, in bytes (RFC 8446, section
// 7.1).
const maxLabel = 255 - len("tls13 ")

// Exporter returns keying material of this connection (RFC 8446, section 7.5). It is the
// same at both ends for the same label and context, and differs for every other connection,
// label or context. The label has at most 249 bytes.
func (c *Conn) Exporter(label string, context []byte) ([32]byte, error) {
	if len(label) > maxLabel {
		return [32]byte{}, fmt.Errorf("export keying material: label of %d bytes exceeds the limit of %d", len(label), maxLabel)
	}
	state := c.tls.ConnectionState()
	b, err := state.ExportKeyingMaterial(label, context, 32)
	if err != nil {
		return [32]byte{}, fmt.Errorf("export keying material: %w", err)
	}
	return [32]byte(b), nil
}

// WriteFrame writes one frame whose payload is the concatenation of payload. The frame is
// one write, so frames of concurrent calls do not mix. A payload that is too large is
// [ErrFrame], and nothing is written. After any other error the connection is unusable.
func (c *Conn) WriteFrame(kind uint8, payload ...[]byte) error {
	buf := frames.Get().(*[]byte)
	defer frames.Put(buf)
	frame, err := appendFrame((*buf)[:0], kind, payload...)
	if err != nil {
		return err
	}
	if cap(frame) <= maxPooled {
		*buf = frame
	}
	// A tls.Conn holds its lock for the whole of a Write, however many records
	// that makes, so frames need no lock of their own.
	_, err = c.tls.Write(frame)
	return err
}

// ReadFrame reads one frame. Its payload, at most max bytes, is read into buf[:0] if it fits
// and into new memory otherwise. The caller owns the payload and may pass it to the next
// call. A malformed or larger frame is [ErrFrame]. The end of the stream between two frames
// is [io.EOF], within a frame [io.ErrUnexpectedEOF]. After any error no frame can be read.
//
// io.EOF does not prove that the peer meant to end the stream there: an attacker on the path
// can cut it. A protocol that must know sends a last frame.
func (c *Conn) ReadFrame(max int, buf []byte) (kind uint8, payload []byte, err error) {
	return readFrame(c.reader, max, buf)
}

// PeekFrame waits until the next frame begins and returns the length of its payload in
// bytes without reading it. ReadFrame then reads the frame. PeekFrame belongs to the
// goroutine that reads. Its errors are those of ReadFrame.
func (c *Conn) PeekFrame() (size int, err error) { return peekFrame(c.reader) }

// Read implements [net.Conn].
func (c *Conn) Read(b []byte) (int, error) { return c.reader.Read(b) }

// Write implements [net.Conn]. Bytes of concurrent calls do not mix.
func (c *Conn) Write(b []byte) (int, error) { return c.tls.Write(b) }

// Bar reports that the peer sent data that no honest peer sends. For ten seconds no
// connection from its address is accepted, unless the address is trusted (see
// [Link.Trust]).
func (c *Conn) Bar() { c.gate.bar(c.RemoteAddr(), time.Now()) }

// Drain discards incoming bytes, without decrypting them, until the stream ends, the read
// deadline passes, or the given number has arrived. It belongs to the goroutine that reads.
// Nothing can be read after it.
func (c *Conn) Drain(bytes int64) {
	c.ReleaseCPU()
	_, _ = io.CopyN(io.Discard, c.limited.Conn, bytes)
}

// Close closes the connection at once. Calls that block on it return an error. Closing
// again returns the result of the first call.
func (c *Conn) Close() error { return c.close() }

// LocalAddr implements [net.Conn].
func (c *Conn) LocalAddr() net.Addr { return c.tls.LocalAddr() }

// RemoteAddr implements [net.Conn].
func (c *Conn) RemoteAddr() net.Addr { return c.tls.RemoteAddr() }

// SetDeadline implements [net.Conn]. After a write has exceeded its deadline the connection
// is unusable.
func (c *Conn) SetDeadline(t time.Time) error { return c.tls.SetDeadline(t) }

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error { return c.tls.SetReadDeadline(t) }

// SetWriteDeadline implements [net.Conn]; see SetDeadline.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.tls.SetWriteDeadline(t) }
