package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

var snapshot = Snapshot{
	Opened:   true,
	Level:    3,
	Commands: 17,
	Index:    40,
	Term:     5,
	Time:     1_700_000_000_000_000_000,
	Sessions: []Session{
		{ID: SessionID{1}, Sequence: 2, First: 9, Used: 20},
		{ID: SessionID{2}, Sequence: 1, Used: 39},
	},
	Ancestors: [][16]byte{{7}, {8, 9}},
}

func write(t testing.TB, s Snapshot, machine []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewSnapshotWriter(&b, &s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(machine); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read returns the content of a snapshot, and the bytes that the machine received.
func read(r io.Reader) (s Snapshot, machine []byte, err error) {
	sr, s, err := NewSnapshotReader(r)
	if err != nil {
		return s, nil, err
	}
	machine, readErr := io.ReadAll(sr)
	err = sr.Close()
	if (readErr == nil) != (err == nil) {
		return s, machine, fmt.Errorf("read says %v, close says %v", readErr, err)
	}
	return s, machine, err
}

func TestSnapshotGolden(t *testing.T) {
	t.Parallel()
	b := golden(t, "snapshot_v1.hex", write(t, snapshot, []byte("the machine's own bytes")))
	s, machine, err := read(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(snapshot, s); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	if string(machine) != "the machine's own bytes" {
		t.Errorf("machine bytes %q", machine)
	}
	// A snapshot that was written before level entries were: its level is 0.
	golden(t, "snapshot_sealed_v1.hex", write(t, Snapshot{Sealed: true}, nil))
}

func TestSnapshotTokenBase(t *testing.T) {
	t.Parallel()
	for _, base := range []uint64{1, 0x0102030405060708, MaxTokenBase} {
		want := snapshot
		want.TokenBase = base
		b := write(t, want, []byte("machine"))
		if base > 1 && base < MaxTokenBase {
			golden(t, "snapshot_tokens_v1.hex", b)
		}
		got, machine, err := read(bytes.NewReader(b))
		if diff := cmp.Diff(want, got); diff != "" || string(machine) != "machine" || err != nil {
			t.Errorf("base %d: machine %q, error %v, snapshot (-want +got):\n%s", base, machine, err, diff)
		}
	}
	large := snapshot
	large.TokenBase = MaxTokenBase + 1
	if _, err := NewSnapshotWriter(io.Discard, &large); err == nil {
		t.Error("a token base that is too large was written")
	}
	// A stream that says that there is one, and holds 0 or more than there may be.
	for _, base := range []uint64{0, MaxTokenBase + 1, math.MaxUint64} {
		s := Snapshot{TokenBase: 5}
		b := s.append(nil)
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
		head := len(b)
		b = binary.LittleEndian.AppendUint64(b, base)
		crc := crc32.Checksum(slices.Concat(b[:head-checkSize], b[head:]), castagnoli)
		b = binary.LittleEndian.AppendUint32(b, crc)
		if _, _, err := NewSnapshotReader(bytes.NewReader(b)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "token base") {
			t.Errorf("a token base of %d: error %v", base, err)
		}
	}
}

func TestSnapshotStreamsAnySize(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, maxChunk - 1, maxChunk, maxChunk + 1, 5*maxChunk + 7} {
		machine := make([]byte, size)
		for i := range machine {
			machine[i] = byte(i * 7 / 3)
		}
		b := write(t, snapshot, machine)
		tail := []byte("what follows the snapshot")
		r := bytes.NewReader(append(b, tail...))
		s, got, err := read(iotest.HalfReader(r))
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if !bytes.Equal(got, machine) || !cmp.Equal(s, snapshot) {
			t.Errorf("%d bytes came back differently", size)
		}
		if rest, _ := io.ReadAll(r); !bytes.Equal(rest, tail) {
			t.Errorf("%d bytes: read past the end, %q is left", size, rest)
		}
	}
}

func TestSnapshotCloseDrainsWhatTheMachineLeft(t *testing.T) {
	t.Parallel()
	b := write(t, snapshot, make([]byte, 3*maxChunk))
	r, _, err := NewSnapshotReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read after close: %d bytes, %v", n, err)
	}
	b[len(b)-1]++
	r, _, err = NewSnapshotReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); !errors.Is(err, ErrMalformed) {
		t.Errorf("close of a snapshot with a wrong hash: %v", err)
	}
}

// Damage of any single byte and a missing end are detected, and the machine has received correct
// bytes only.
func TestSnapshotDamageIsNeverBelieved(t *testing.T) {
	t.Parallel()
	machine := bytes.Repeat([]byte("machine "), 40)
	valid := write(t, snapshot, machine)
	for i := range valid {
		b := bytes.Clone(valid)
		b[i] ^= 0x10
		_, seen, err := read(bytes.NewReader(b))
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrVersion) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("damage at %d: error %v", i, err)
		}
		if !bytes.HasPrefix(machine, seen) {
			t.Errorf("damage at %d reached the machine", i)
		}
		_, seen, err = read(bytes.NewReader(valid[:i]))
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("end at %d: error %v, want %v", i, err, io.ErrUnexpectedEOF)
		}
		if !bytes.HasPrefix(machine, seen) {
			t.Errorf("end at %d: the machine saw wrong bytes", i)
		}
	}
}

func TestSnapshotChunksStayInTheirPlaces(t *testing.T) {
	t.Parallel()
	head := len(write(t, snapshot, nil)) - 4 - sumSize
	machine := bytes.Repeat([]byte{1}, 2*maxChunk)
	copy(machine[maxChunk:], bytes.Repeat([]byte{2}, maxChunk))
	b := write(t, snapshot, machine)
	const chunk = 4 + maxChunk + checkSize
	one, two, tail := b[head:head+chunk], b[head+chunk:head+2*chunk], b[head+2*chunk:]
	for _, test := range []struct {
		name  string
		parts [][]byte
		seen  int
	}{
		{"swapped", [][]byte{two, one, tail}, 0},
		{"missing", [][]byte{two, tail}, 0},
		{"doubled", [][]byte{one, one, two, tail}, maxChunk},
		{"cut", [][]byte{one, tail}, maxChunk},
	} {
		bad := append(bytes.Clone(b[:head]), bytes.Join(test.parts, nil)...)
		_, seen, err := read(bytes.NewReader(bad))
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s chunks: error %v, want %v", test.name, err, ErrMalformed)
		}
		if len(seen) != test.seen {
			t.Errorf("%s chunks: the machine saw %d bytes, want %d", test.name, len(seen), test.seen)
		}
	}
}

func TestSnapshotLimits(t *testing.T) {
	t.Parallel()
	if _, err := NewSnapshotWriter(io.Discard, &Snapshot{Sessions: make([]Session, MaxSessions+1)}); err == nil {
		t.Error("too many sessions can be written")
	}
	// Correct checks over absurd lengths.
	seal := func(b []byte) []byte {
		return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	}
	head := snapshot.append(nil)
	binary.LittleEndian.PutUint32(head[48:], MaxSessions+1)
	if _, _, err := read(bytes.NewReader(seal(head))); !errors.Is(err, ErrMalformed) {
		t.Errorf("too many sessions: %v", err)
	}
	binary.LittleEndian.PutUint32(head[48:], MaxSessions)
	short := seal(head)
	bytesPerRun := allocated(func() {
		if _, _, err := read(bytes.NewReader(short)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("missing sessions: %v", err)
		}
	})
	if bytesPerRun > 1<<16 {
		t.Errorf("%d bytes allocated for the %d of a snapshot", bytesPerRun, len(short))
	}
	chunk := write(t, snapshot, nil)
	binary.LittleEndian.PutUint32(chunk[len(chunk)-sumSize-4:], maxChunk+1)
	if _, _, err := read(bytes.NewReader(chunk)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too large a chunk: %v", err)
	}
}

func allocated(f func()) int64 {
	return testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			f()
		}
	}).AllocedBytesPerOp()
}

func TestSnapshotErrorsOfTheStreamComeBack(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	b := write(t, snapshot, make([]byte, 100))
	for _, at := range []int{0, 30, 60, len(b) - 30, len(b) - 3} {
		_, _, err := read(io.MultiReader(bytes.NewReader(b[:at]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) {
			t.Errorf("reader broken at %d: error %v", at, err)
		}
		w, err := NewSnapshotWriter(&brokenWriter{at, broken}, &snapshot)
		if err == nil {
			_, _ = w.Write(make([]byte, 100))
			err = w.Close()
		}
		if !errors.Is(err, broken) {
			t.Errorf("writer broken at %d: error %v", at, err)
		}
	}
}

type brokenWriter struct {
	left int
	err  error
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return w.left, w.err
	}
	w.left -= len(p)
	return len(p), nil
}

func TestSnapshotWriterClosedOnce(t *testing.T) {
	t.Parallel()
	w, err := NewSnapshotWriter(io.Discard, &snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("late")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write after close: %v", err)
	}
}

func FuzzSnapshotReader(f *testing.F) {
	valid := write(f, snapshot, []byte("machine"))
	f.Add(valid)
	f.Add(valid[:60])
	f.Add(write(f, Snapshot{}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, machine, err := read(bytes.NewReader(b))
		if err != nil {
			return
		}
		// The chunks may be cut differently, what they hold not.
		again, machineAgain, err := read(bytes.NewReader(write(t, s, machine)))
		if err != nil || !cmp.Equal(s, again) || !bytes.Equal(machine, machineAgain) {
			t.Fatalf("written and read again: %+v %x %v, want %+v %x", again, machineAgain, err, s, machine)
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	machine := make([]byte, 8<<20)
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(len(machine)))
		b.ReportAllocs()
		for b.Loop() {
			w, _ := NewSnapshotWriter(io.Discard, &snapshot)
			_, _ = w.Write(machine)
			_ = w.Close()
		}
	})
	data := write(b, snapshot, machine)
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(machine)))
		b.ReportAllocs()
		for b.Loop() {
			r, _, err := NewSnapshotReader(bytes.NewReader(data))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
