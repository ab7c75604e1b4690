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

// wantDamage opens a log, which must be refused as damaged in its first segment.
func wantDamage(t *testing.T, l *testLog, change func([]byte) []byte) {
	t.Helper()
	again, err := openTest(l.with(change))
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fileName(1)) {
		t.Errorf("it opens with %d payloads, error %v; want %v and the file", len(again.found), err, ErrCorrupt)
	}
}

// TestTornLastFrame lets the last frame lose a sector, as one does that was not
// synced when the power went. A frame before it was: when it lost one, too, that is
// damage, and as much of the last one as its head shows it.
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

// TestClosedLogIsNotTorn damages the end of a log that was closed: its file was
// cut, so nothing was being written there.
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

// TestFoundOpen opens what a process leaves that died with its log open, and what
// a power cut leaves of a log that is being closed: the cut of the file, or not.
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

// TestPowerLossWhileOpening cuts the power at each operation of an opening that
// follows the death of a process between the write of a frame and its sync. What
// was acknowledged is there, and the frame that was not is no damage.
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
			_ = l.lock.Close() // as the process ends
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

// TestClosedLogIsNotCut cuts the file of a log that was closed to every length. Where
// it ends between two frames nothing is torn, but the end is missing.
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

// TestLongFrame cuts the file of a log that was closed whose last frame is longer than
// a segment. Its length says that it was cut, however long it is.
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

// TestEndBeforeSegmentSize closes a log whose end would lie where the file of a log
// ends that was not closed.
func TestEndBeforeSegmentSize(t *testing.T) {
	t.Parallel()
	l := newTest(t)
	rest := 64<<10 - int(l.offset) - 2*FrameHead // for the end, which takes two times 16 bytes
	l.append(t, 1, rest-FrameHead-align)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, _ := l.fs.Read(l.first())
	if len(b) != 64<<10+2*FrameHead {
		t.Errorf("the file is %d bytes long, want a second end behind %d", len(b), 64<<10)
	}
	if again, err := openTest(l.fs.Crash(nil)); err != nil || len(again.found) != 1 {
		t.Errorf("it opens with %d payloads, error %v; want 1", len(again.found), err)
	}
}

// TestLastSegmentMissing removes the last segment of a log that was closed, and of one
// that was not: the one before it is cut, which it is only once there is another one.
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

// TestInterruptedRotation opens what is left when the next segment is there and the
// one before it is not cut yet, which opening makes good.
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
		t.Fatalf("a rotation that does not cut: %v, want %v", err, broken)
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

// TestTornFrameIsErased cuts the power at each operation of an opening that finds a
// torn frame. What was before it is there, and the frame does not become damage while
// it is replaced by zeros.
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
