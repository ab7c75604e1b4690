package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
)

// wantDamage opens a log, and fails the test unless Open reports damage in the
// first segment.
func wantDamage(t *testing.T, l *testLog, change func([]byte) []byte) {
	t.Helper()
	again, err := openTest(l.with(change))
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fileName(1)) {
		t.Errorf("it opens with %d payloads, error %v; want %v and the file's name", len(again.found), err, ErrCorrupt)
	}
}

// TestTornLastFrame removes a sector of the last frame, as a power cut does before
// the frame is synced. The frame before it was synced, so a sector that is missing
// there is damage. It must be detected as long as the header of the last frame is
// intact.
func TestTornLastFrame(t *testing.T) {
	t.Parallel()
	l := newTest(t)
	at := l.append(t, 3, 2000)
	torn := func(b []byte) []byte {
		loseSector(b, at[2], 2)
		return b
	}
	again, err := openTest(l.with(torn))
	if err != nil || len(again.found) != 2 {
		t.Fatalf("without a part of the last frame it opens with %d payloads, error %v; want 2", len(again.found), err)
	}
	wantDamage(t, l, func(b []byte) []byte {
		loseSector(b, at[1], 1)
		return torn(b)
	})
}

// TestClosedLogIsNotTorn damages the end of a closed log. Close truncates the file,
// so no write was in flight there, and the damage must be reported.
func TestClosedLogIsNotTorn(t *testing.T) {
	t.Parallel()
	l := newTest(t)
	l.append(t, 60, 60)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	page := func(b []byte) int { return (len(b) - 1) / 4096 * 4096 }
	for what, change := range map[string]func([]byte) []byte{
		"the last page zeroed": func(b []byte) []byte { clear(b[page(b):]); return b },
		"all of it zeroed":     func(b []byte) []byte { clear(b); return b },
		"all frames zeroed":    func(b []byte) []byte { clear(b[headerSize:]); return b },
		"a page cut off":       func(b []byte) []byte { return b[:page(b)+8] },
		"a part of the end":    func(b []byte) []byte { return b[:len(b)-1] },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			wantDamage(t, l, change)
		})
	}
}

// TestFoundOpen opens a log whose process ended without closing it, and a log that
// a power cut hit during Close, with its file truncated or not.
func TestFoundOpen(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{false, true} {
		t.Run(fmt.Sprint("closed ", closed), func(t *testing.T) {
			t.Parallel()
			l := newTest(t)
			l.append(t, 60, 60)
			if closed {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			again, err := openTest(l.fs.Crash(nil))
			if err != nil || len(again.found) != 60 {
				t.Errorf("it opens with %d payloads, error %v; want 60", len(again.found), err)
			}
		})
	}
}

// TestPowerLossWhileOpening cuts the power at each operation of Open, after a
// process ended between the write and the sync of a frame. Acknowledged payloads
// must survive. The unacknowledged frame must not count as damage.
func TestPowerLossWhileOpening(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	const acknowledged, operations, draws = 3, 30, 20
	for at := range operations {
		for draw := range uint64(draws) {
			l := newTest(t)
			l.append(t, acknowledged, 2000)
			l.fs.Inject(func(op faultfs.Op) error {
				if op.Kind == "sync" {
					return broken
				}
				return nil
			})
			if _, _, err := l.Append(make([]byte, FrameHead+2000)); !errors.Is(err, broken) {
				t.Fatalf("append without a sync: %v", err)
			}
			_ = l.lock.Close() // as when a process ends
			left := at
			l.fs.Inject(func(faultfs.Op) error {
				if left--; left < 0 {
					return broken
				}
				return nil
			})
			_, _ = openTest(l.fs)
			again, err := openTest(l.fs.Crash(rand.New(rand.NewPCG(draw, uint64(at)))))
			if err != nil {
				t.Fatalf("power loss at operation %d, draw %d: %v", at, draw, err)
			}
			if n := len(again.found); n < acknowledged || n > acknowledged+1 {
				t.Fatalf("power loss at operation %d, draw %d: %d payloads are left of %d", at, draw, n, acknowledged)
			}
		}
	}
}

// TestClosedLogIsNotCut truncates the file of a closed log to every length. Between
// two frames no frame is torn, but the end frame is missing.
func TestClosedLogIsNotCut(t *testing.T) {
	t.Parallel()
	l := newTest(t)
	l.append(t, 20, 60)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole, _ := l.fs.Read(l.first())
	for n := 1; n < len(whole); n++ {
		wantDamage(t, l, func(b []byte) []byte { return b[:n] })
	}
}

// TestLongFrame truncates the file of a closed log whose last frame is longer than a
// segment. The file's length must reveal the truncation at any length.
func TestLongFrame(t *testing.T) {
	t.Parallel()
	l := newTest(t)
	l.append(t, 1, 150<<10)
	whole, _ := l.fs.Read(l.first())
	if len(whole)%(64<<10) != 0 {
		t.Errorf("the file is %d bytes long, want a multiple of the size of segments", len(whole))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{64<<10 - 1, 64<<10 + 1, 100 << 10, 128<<10 + 16, 150 << 10} {
		wantDamage(t, l, func(b []byte) []byte { return b[:n] })
	}
}

// TestEndBeforeSegmentSize closes a log whose end frame would end at the segment
// size, as the file of an open log does.
func TestEndBeforeSegmentSize(t *testing.T) {
	t.Parallel()
	l := newTest(t)
	rest := 64<<10 - int(l.offset) - 2*FrameHead // less the end frame of 2 × 16 bytes
	l.append(t, 1, rest-FrameHead-align)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, _ := l.fs.Read(l.first())
	if len(b) != 64<<10+2*FrameHead {
		t.Errorf("the file is %d bytes long, want a second end frame after %d", len(b), 64<<10)
	}
	if again, err := openTest(l.fs.Crash(nil)); err != nil || len(again.found) != 1 {
		t.Errorf("it opens with %d payloads, error %v; want 1", len(again.found), err)
	}
}

// TestLastSegmentMissing removes the last segment of a log, closed and not closed. The
// segment before it is truncated, which happens only once there is a next segment.
func TestLastSegmentMissing(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{true, false} {
		for what, content := range map[string][]byte{"missing": nil, "empty": {}, "zeros": make([]byte, 64<<10)} {
			l := newTest(t)
			l.append(t, 3, 100)
			if err := l.Rotate(make([]byte, FrameHead)); err != nil {
				t.Fatal(err)
			}
			l.append(t, 3, 100)
			if closed {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
			left := l.fs.Crash(nil)
			name := filepath.Join(testDir, fileName(2))
			if err := left.Remove(name); err != nil {
				t.Fatal(err)
			}
			if content != nil {
				left.Write(name, content)
			}
			if again, err := openTest(left); !errors.Is(err, ErrCorrupt) {
				t.Errorf("closed %v, the last segment %s: it opens with %d payloads, error %v; want %v", closed, what, len(again.found), err, ErrCorrupt)
			}
			if _, there := left.Read(name); there != (content != nil) {
				t.Errorf("closed %v, the last segment %s: its file was removed", closed, what)
			}
		}
	}
}

// TestInterruptedRotation opens a log in which a rotation made the next segment but
// did not truncate the one before it. Open must truncate it.
func TestInterruptedRotation(t *testing.T) {
	t.Parallel()
	l := newTest(t)
	l.append(t, 3, 100)
	broken, renewed := errors.New("broken"), false
	l.fs.Inject(func(op faultfs.Op) error {
		renewed = renewed || op.Kind == "syncdir"
		if renewed && op.Kind == "truncate" {
			return broken
		}
		return nil
	})
	if err := l.Rotate(make([]byte, FrameHead)); !errors.Is(err, broken) {
		t.Fatalf("a rotation that cannot truncate: %v, want %v", err, broken)
	}
	left := l.fs.Crash(nil)
	again, err := openTest(left)
	if err != nil || len(again.found) != 3 || again.Newest() != 2 {
		t.Fatalf("it opens with %d payloads, error %v; want 3", len(again.found), err)
	}
	if b, _ := left.Read(l.first()); int64(len(b)) != again.segments[0].length {
		t.Errorf("the first segment's file has %d bytes, want %d", len(b), again.segments[0].length)
	}
}

// TestTornFrameIsErased cuts the power at each operation of an Open that finds a torn
// frame. The frames before it must survive, and the torn frame must not become damage
// while zeros replace it.
func TestTornFrameIsErased(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for lost := range 4 {
		for at := range 16 {
			for draw := range uint64(8) {
				rng := rand.New(rand.NewPCG(draw, uint64(at)))
				l := newTest(t)
				places := l.append(t, 3, 2000)
				left := l.with(func(b []byte) []byte {
					if lost > 0 {
						loseSector(b, places[2], lost)
						return b
					}
					from := int(places[2].Offset) - FrameHead
					clear(b[from : from/sector*sector+sector])
					return b
				})
				n := at
				left.Inject(func(op faultfs.Op) error {
					if n--; n < 0 {
						if n == -1 && op.Kind == "write" {
							return faultfs.Partial{Bytes: rng.IntN(2000)}
						}
						return broken
					}
					return nil
				})
				_, _ = openTest(left)
				for what, disk := range map[string]*faultfs.FS{"the power": left.Crash(rng), "the process": left.Kill()} {
					again, err := openTest(disk)
					if err != nil || len(again.found) != 2 {
						t.Fatalf("sector %d lost, then %s at operation %d, draw %d: it opens with %d payloads, error %v; want 2", lost, what, at, draw, len(again.found), err)
					}
				}
			}
		}
	}
}
