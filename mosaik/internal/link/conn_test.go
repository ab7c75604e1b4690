package link

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

func TestConnCarriesFrames(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	var buf []byte
	for i, payload := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("0123456789"), 100_000)} {
		sent := make(chan error, 1)
		go func() { sent <- a.WriteFrame(uint8(i), payload[:len(payload)/2], payload[len(payload)/2:]) }()
		kind, got, err := b.ReadFrame(1<<20, buf)
		if err != nil || kind != uint8(i) || !bytes.Equal(got, payload) {
			t.Errorf("frame %d: kind %d, %d bytes, error %v, want the %d bytes written", i, kind, len(got), err, len(payload))
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		buf = got
	}
}

func TestConnIsANetConn(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	if _, err := a.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(b, got); err != nil || string(got) != "hello" {
		t.Fatalf("read %q, error %v, want hello", got, err)
	}
	past := time.Unix(1, 0)
	if err := b.SetReadDeadline(past); err != nil {
		t.Fatal(err)
	}
	_, err := b.Read(got)
	wantIs(t, err, os.ErrDeadlineExceeded)
	if err := b.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := a.WriteFrame(1); err != nil {
		t.Fatal(err)
	}
	if kind, _, err := b.ReadFrame(0, nil); kind != 1 || err != nil {
		t.Fatalf("after the deadline was lifted: kind %d, error %v, want 1", kind, err)
	}
	if err := a.SetWriteDeadline(past); err != nil {
		t.Fatal(err)
	}
	wantIs(t, a.WriteFrame(1), os.ErrDeadlineExceeded)
}

// TestConnFramesDoNotMix has several writers send frames of many TLS records.
func TestConnFramesDoNotMix(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	const writers, frames, size = 4, 20, 100_000
	var all sync.WaitGroup
	defer all.Wait()
	for w := range writers {
		all.Go(func() {
			payload := bytes.Repeat([]byte{byte(w)}, size)
			for i := range frames {
				binary.BigEndian.PutUint32(payload, uint32(i))
				if err := a.WriteFrame(uint8(w), payload); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	var next [writers]uint32
	var buf []byte
	for range writers * frames {
		kind, payload, err := b.ReadFrame(size, buf)
		if err != nil {
			t.Fatal(err)
		}
		if int(kind) >= writers || len(payload) != size || binary.BigEndian.Uint32(payload) != next[kind] || !bytes.Equal(payload[4:], bytes.Repeat([]byte{kind}, size-4)) {
			t.Fatalf("frame of writer %d is out of order or mixed with another", kind)
		}
		next[kind]++
		buf = payload
	}
}

func TestConnReadErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sent string
		want error
	}{
		"end":       {"", io.EOF},
		"truncated": {"\x00\x00\x00\x09\x01abc", io.ErrUnexpectedEOF},
		"oversized": {"\x00\x00\x10\x00\x01abc", ErrFrame},
	} {
		a, b := pair(t)
		if _, err := io.WriteString(a, c.sent); err != nil {
			t.Fatal(err)
		}
		a.Close()
		if _, _, err := b.ReadFrame(8, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

func TestConnClose(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	read := make(chan error)
	go func() {
		_, _, err := a.ReadFrame(8, nil)
		read <- err
	}()
	for range 2 {
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	wantIs(t, <-read, net.ErrClosed)
	wantIs(t, a.WriteFrame(1), net.ErrClosed)
}

// TestConnCloseEndsWrites closes a connection while a write blocks, since the peer does not read.
func TestConnCloseEndsWrites(t *testing.T) {
	t.Parallel()
	a, _ := pair(t)
	wrote := make(chan error)
	go func() {
		payload := make([]byte, 1<<20)
		for {
			if err := a.WriteFrame(1, payload); err != nil {
				wrote <- err
				return
			}
		}
	}()
	if err := a.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wantIs(t, <-wrote, net.ErrClosed)
}

// countedConn counts the writes to a TCP connection.
type countedConn struct {
	net.Conn
	writes *atomic.Int32
}

func (c countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// TestConnWrites counts the writes of frames and of Close. Close must not write, since a peer that
// does not read could block it.
func TestConnWrites(t *testing.T) {
	t.Parallel()
	var writes atomic.Int32
	server, _ := accepting(t, 2, nil)
	client := listen(t, 1, func(c *Config) {
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			raw, err := new(net.Dialer).DialContext(ctx, network, addr)
			return countedConn{raw, &writes}, err
		}
	})
	c, err := client.Dial(t.Context(), server.Addr().String(), sm.PeerID{}, Bond)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func() error{
		"empty":           func() error { return c.WriteFrame(1) },
		"several parts":   func() error { return c.WriteFrame(1, []byte("a"), nil, []byte("b")) },
		"one full record": func() error { return c.WriteFrame(1, make([]byte, 16<<10-frameHead)) },
	} {
		writes.Store(0)
		if err := f(); err != nil || writes.Load() != 1 {
			t.Errorf("%s: %d writes, error %v, want one write", name, writes.Load(), err)
		}
	}
	writes.Store(0)
	if err := c.Close(); err != nil || writes.Load() != 0 {
		t.Errorf("close: %d writes, error %v, want none", writes.Load(), err)
	}
}

func TestConnExporter(t *testing.T) {
	t.Parallel()
	export := func(c *Conn, label, context string) [32]byte {
		t.Helper()
		key, err := c.Exporter(label, []byte(context))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	a, b := pair(t)
	other, _ := pair(t)
	key := export(a, "label", "context")
	if key == [32]byte{} || key != export(b, "label", "context") || key != export(a, "label", "context") {
		t.Error("the ends of a connection export different keys")
	}
	for name, k := range map[string][32]byte{
		"another label":      export(a, "lable", "context"),
		"another context":    export(a, "label", "contexts"),
		"no context":         export(a, "label", ""),
		"another connection": export(other, "label", "context"),
	} {
		if k == key {
			t.Errorf("%s exports the same key", name)
		}
	}
	export(a, string(make([]byte, 249)), "")
	if _, err := a.Exporter(string(make([]byte, 250)), nil); err == nil {
		t.Error("a label of 250 bytes: no error")
	}
}
