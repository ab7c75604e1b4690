package link

import (
	"io"
	"net"
	"sync/atomic"
)

// meter counts the bytes of a connection.
type countingConn struct {
	net.Conn
	read, written atomic.Uint64
}

func (m *countingConn) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.read.Add(uint64(n))
	return n, err
}

func (m *countingConn) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.written.Add(uint64(n))
	return n, err
}

// counted is a reader whose bytes are counted.
type countingReader struct {
	io.Reader
	n *atomic.Uint64
}

func (r countingReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.n.Add(uint64(n))
	return n, err
}
