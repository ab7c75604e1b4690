package link

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestFrameGolden(t *testing.T) {
	t.Parallel()
	var got []string
	for _, payload := range [][][]byte{nil, {[]byte("abc")}, {[]byte("a"), nil, []byte("bc")}, {make([]byte, 256)}} {
		frame, err := appendFrame(nil, 9, payload...)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, hex.EncodeToString(frame))
	}
	want := []string{
		"00000001" + "09",
		"00000004" + "09" + "616263",
		"00000004" + "09" + "616263",
		"00000101" + "09" + hex.EncodeToString(make([]byte, 256)),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("frame bytes differ (-want +got):\n%s", diff)
	}
}

func TestReadFrame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		in      string
		max     int
		kind    uint8
		payload string
		err     error
	}{
		{"no payload", "\x00\x00\x00\x01\x07", 0, 7, "", nil},
		{"payload as large as allowed", "\x00\x00\x00\x04\x07abc", 3, 7, "abc", nil},
		{"payload too large", "\x00\x00\x00\x05\x07abcd", 3, 0, "", ErrFrame},
		{"payload too large for anything, cut", "\xff\xff\xff\xff", 1 << 20, 0, "", ErrFrame},
		{"no room for a kind", "\x00\x00\x00\x00\x07", 3, 0, "", ErrFrame},
		{"negative limit", "\x00\x00\x00\x01\x07", -1, 0, "", ErrFrame},
		{"nothing", "", 3, 0, "", io.EOF},
		{"cut in the length", "\x00\x00\x00", 3, 0, "", io.ErrUnexpectedEOF},
		{"cut before the kind", "\x00\x00\x00\x04", 3, 0, "", io.ErrUnexpectedEOF},
		{"cut before the payload", "\x00\x00\x00\x04\x07", 3, 0, "", io.ErrUnexpectedEOF},
		{"cut in the payload", "\x00\x00\x00\x04\x07ab", 3, 0, "", io.ErrUnexpectedEOF},
	} {
		kind, payload, err := readFrame(bufio.NewReader(iotest.OneByteReader(bytes.NewReader([]byte(c.in)))), c.max, nil)
		if err == nil && (kind != c.kind || string(payload) != c.payload) || !errors.Is(err, c.err) {
			t.Errorf("%s: kind %d, payload %q, error %v, want %d, %q, %v", c.name, kind, payload, err, c.kind, c.payload, c.err)
		}
	}
}

func TestReadFrameKeepsTheError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, in := range []string{"", "\x00\x00", "\x00\x00\x00\x04", "\x00\x00\x00\x04\x07a"} {
		r := bufio.NewReader(io.MultiReader(bytes.NewReader([]byte(in)), iotest.ErrReader(broken)))
		if _, _, err := readFrame(r, 10, nil); err != broken {
			t.Errorf("after %d bytes: error %v, want %v", len(in), err, broken)
		}
	}
}

func TestReadFrameReusesTheBuffer(t *testing.T) {
	t.Parallel()
	buf := make([]byte, 3, 8)
	for _, c := range []struct {
		payload string
		reused  bool
	}{{"abc", true}, {"abcdefgh", true}, {"abcdefghi", false}} {
		frame, _ := appendFrame(nil, 1, []byte(c.payload))
		_, got, err := readFrame(bufio.NewReader(bytes.NewReader(frame)), 10, buf)
		if err != nil || string(got) != c.payload {
			t.Fatalf("payload %q, error %v, want %q", got, err, c.payload)
		}
		if reused := &got[0] == &buf[0]; reused != c.reused {
			t.Errorf("payload of %d bytes, buffer of %d: reused is %v, want %v", len(c.payload), cap(buf), reused, c.reused)
		}
	}
}

// TestReadFrameAllocatesWhatArrives announces 1 GiB and sends 100 KiB.
func TestReadFrameAllocatesWhatArrives(t *testing.T) {
	t.Parallel()
	in := append([]byte{0x40, 0, 0, 1, 7}, make([]byte, 100<<10)...)
	most := 0
	r := bufio.NewReaderSize(readerFunc(func(b []byte) (int, error) {
		most = max(most, len(b)) // a large buffer is read into directly
		n := copy(b, in)
		if in = in[n:]; n == 0 {
			return 0, io.EOF
		}
		return n, nil
	}), 16)
	if _, _, err := readFrame(r, 1<<30, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("error %v, want %v", err, io.ErrUnexpectedEOF)
	}
	if most > 1<<20 {
		t.Errorf("a buffer of %d bytes was made for 100 KiB", most)
	}
}

func TestReadFrameLarge(t *testing.T) {
	t.Parallel()
	want := bytes.Repeat([]byte("0123456789abcde"), 100_000)
	frame, err := appendFrame(nil, 3, want)
	if err != nil {
		t.Fatal(err)
	}
	for _, buf := range [][]byte{nil, make([]byte, 1000), make([]byte, 0, len(want))} {
		kind, got, err := readFrame(bufio.NewReader(bytes.NewReader(frame)), len(want), buf)
		if err != nil || kind != 3 || !bytes.Equal(got, want) {
			t.Errorf("buffer of %d: kind %d, %d bytes, error %v, want 3, the %d bytes written", cap(buf), kind, len(got), err, len(want))
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// FuzzReadFrame checks that the frames that it reads encode to the same bytes.
func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x07"))
	f.Add([]byte("\x00\x00\x00\x04\x07abc\x00\x00\x00\x02\x08x"))
	f.Add([]byte("\x00\x00\x00\x04\x07ab"))
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\x01"))
	f.Add([]byte("MSK\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 10
		r := bufio.NewReader(bytes.NewReader(in))
		var written, buf []byte
		for {
			kind, payload, err := readFrame(r, limit, buf)
			if err != nil {
				break
			}
			if len(payload) > limit {
				t.Fatalf("payload of %d bytes exceeds the limit of %d", len(payload), limit)
			}
			written, _ = appendFrame(written, kind, payload)
			buf = payload
		}
		if !bytes.HasPrefix(in, written) {
			t.Errorf("% x read as the frames % x", in, written)
		}
	})
}
