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

// Conn is a connection to a peer whose identity is proved and whose network is
// ours. It is a [net.Conn] whose methods may be called concurrently, except
// that only one goroutine may read, by Read or ReadFrame.
type Conn struct {
	gate    *gate
	limited *limitedConn
	tls     *tls.Conn
	meter   *countingConn // beneath tls
	reader  *bufio.Reader
	peer    sm.PeerID
	dialled bool
	close   func() error  // sync.OnceValue
	done    chan struct{} // closed by close

	content atomic.Uint64 // bytes that reader has read of tls
	preface uint64        // of these, what came before the first frame; set by the handshake
}

var _ net.Conn = (*Conn)(nil)

// frames keeps the buffers in which WriteFrame assembles frames.
var frames = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled keeps rare large frames from holding on to their memory, in bytes.
const maxPooled = 1 << 20

// Peer returns who is at the other end.
func (c *Conn) Peer() sm.PeerID { return c.peer }

// Dialled reports whether this end opened the connection.
func (c *Conn) Dialled() bool { return c.dialled }

// Received returns how many bytes of frames have arrived, heads included, whether or not
// they were read: what the other end counts as it writes frames. While a frame
// arrives the count grows in steps of up to 16 KiB, the size of a TLS record.
func (c *Conn) Received() uint64 { return c.content.Load() - c.preface }

// Traffic returns how many bytes the connection has read and written beneath TLS. The
// counts grow while a record is in flight; they show that something moves.
func (c *Conn) Traffic() (read, written uint64) { return c.meter.read.Load(), c.meter.written.Load() }

// Done returns a channel that is closed when the connection is closed at this end.
func (c *Conn) Done() <-chan struct{} { return c.done }

// protocol returns what the connection is for.
func (c *Conn) protocol() Protocol { return Protocol(c.tls.ConnectionState().NegotiatedProtocol) }

// maxLabel is the longest label that TLS 1.3 has room for, in bytes (RFC 8446,
// section 7.1).
const maxLabel = 255 - len("tls13 ")

// Exporter returns keying material of this very connection (RFC 8446, section
// 7.5): the same at both ends for the same label and context, and different for
// every other connection, label or context. The label has at most 249 bytes.
func (c *Conn) Exporter(label string, context []byte) ([32]byte, error) {
	if len(label) > maxLabel {
		return [32]byte{}, fmt.Errorf("link: export keying material: the label has %d bytes, at most %d are allowed", len(label), maxLabel)
	}
	state := c.tls.ConnectionState()
	b, err := state.ExportKeyingMaterial(label, context, 32)
	if err != nil {
		return [32]byte{}, fmt.Errorf("link: export keying material: %w", err)
	}
	return [32]byte(b), nil
}

// WriteFrame writes one frame whose payload is all of payload, one part after
// the other. The frame goes out in one write; frames of concurrent calls do not
// mix. A payload that does not fit is [ErrFrame], and nothing is written. After
// any other error the connection is of no more use.
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

// ReadFrame reads one frame. Its payload, at most max bytes, is read into
// buf[:0] when it fits there and into new memory otherwise; the caller owns it
// either way and may pass it to the next call. A malformed or larger frame is
// [ErrFrame]. The end of the stream between two frames is [io.EOF], within one
// [io.ErrUnexpectedEOF]. After any error the stream has no more frames.
//
// That a stream ended between two frames does not prove that the peer meant it
// to: a protocol that must know says so in a frame.
func (c *Conn) ReadFrame(max int, buf []byte) (kind uint8, payload []byte, err error) {
	return readFrame(c.reader, max, buf)
}

// PeekFrame waits until the next frame begins and returns the length of its payload in
// bytes, without reading it: ReadFrame reads the frame, at once or later. It belongs to
// the goroutine that reads. Its errors are those of ReadFrame.
func (c *Conn) PeekFrame() (size int, err error) { return peekFrame(c.reader) }

// Read implements [net.Conn].
func (c *Conn) Read(b []byte) (int, error) { return c.reader.Read(b) }

// Write implements [net.Conn]. Bytes of concurrent calls do not mix.
func (c *Conn) Write(b []byte) (int, error) { return c.tls.Write(b) }

// Bar says that the peer sent what no honest peer sends. For ten seconds no
// connection is accepted from its address, unless that is trusted.
func (c *Conn) Bar() { c.gate.bar(c.RemoteAddr(), time.Now()) }

// Drain drops what still arrives, without decrypting it, until the stream ends,
// the read deadline passes, or so many bytes have come. It belongs to the
// goroutine that reads, and nothing can be read after it.
func (c *Conn) Drain(bytes int64) {
	c.ReleaseCPU()
	_, _ = io.CopyN(io.Discard, c.limited.Conn, bytes)
}

// Close closes the connection at once; calls that wait on it return an error.
// Closing twice does nothing.
func (c *Conn) Close() error { return c.close() }

// LocalAddr implements [net.Conn].
func (c *Conn) LocalAddr() net.Addr { return c.tls.LocalAddr() }

// RemoteAddr implements [net.Conn].
func (c *Conn) RemoteAddr() net.Addr { return c.tls.RemoteAddr() }

// SetDeadline implements [net.Conn]. A write that ran into its deadline leaves
// the connection of no more use.
func (c *Conn) SetDeadline(t time.Time) error { return c.tls.SetDeadline(t) }

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error { return c.tls.SetReadDeadline(t) }

// SetWriteDeadline implements [net.Conn]; see SetDeadline.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.tls.SetWriteDeadline(t) }
