package fault

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is the dialling end of a connection between two nodes. Everything that
// passes in either direction goes through it, so it alone can hold both back.
type conn struct {
	raw      net.Conn
	from, to int
	out, in  *pipe
	closed   atomic.Bool

	forgotten bool // nothing arrives for good; guarded by the web's lock

	readBy, writeBy *deadline
}

func (w *Web) newConn(raw net.Conn, from, to int) *conn {
	there, back := hop{from, to}, hop{to, from}
	c := &conn{
		raw: raw, from: from, to: to,
		out:    newPipe(w.cut[there], func(n int) { w.passed(there, n) }),
		in:     newPipe(w.cut[back], func(n int) { w.passed(back, n) }),
		readBy: newDeadline(), writeBy: newDeadline(),
	}
	c.out.lane, c.in.lane = w.lane(there), w.lane(back)
	return c
}

// send carries what was written here to the other end, the close included.
func (c *conn) send() {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.out.read(buf, nil)
		if n > 0 {
			_, err = c.raw.Write(buf[:n])
		}
		if err != nil {
			c.out.close(err)
			c.raw.Close()
			return
		}
	}
}

// receive carries what arrives from the other end to the reader here.
func (c *conn) receive() {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.raw.Read(buf)
		if _, failed := c.in.write(buf[:n], nil); failed != nil {
			return
		}
		if err != nil {
			c.in.end(err)
			return
		}
	}
}

// hold holds either direction back, or lets it go on.
func (c *conn) hold(out, in bool) {
	c.out.hold(out)
	c.in.hold(in)
}

// crash ends the connection as the death of a node does: nothing that is on
// the way arrives. The other node notices when the link lets it.
func (c *conn) crash(node int) {
	if node == c.from {
		c.in.close(net.ErrClosed)
		c.out.lose(net.ErrClosed)
		return
	}
	c.in.lose(&net.OpError{Op: "read", Net: "tcp", Addr: c.RemoteAddr(), Err: syscall.ECONNRESET})
	c.raw.Close()
}

// abort ends the connection for both nodes, whatever the link says.
func (c *conn) abort() {
	c.in.close(net.ErrClosed)
	c.out.close(net.ErrClosed)
	c.raw.Close()
}

// Read implements [net.Conn].
func (c *conn) Read(b []byte) (int, error) { return c.in.read(b, c.readBy.wait()) }

// Write implements [net.Conn]. As with TCP, bytes that were written need not
// have arrived.
func (c *conn) Write(b []byte) (int, error) { return c.out.write(b, c.writeBy.wait()) }

// Close implements [net.Conn]. What was written before is still carried over,
// and the other end notices afterwards.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	c.in.close(net.ErrClosed)
	c.out.end(net.ErrClosed)
	return nil
}

// LocalAddr implements [net.Conn].
func (c *conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr implements [net.Conn].
func (c *conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(t time.Time) error {
	c.readBy.set(t)
	c.writeBy.set(t)
	return nil
}

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error { c.readBy.set(t); return nil }

// SetWriteDeadline implements [net.Conn].
func (c *conn) SetWriteDeadline(t time.Time) error { c.writeBy.set(t); return nil }
