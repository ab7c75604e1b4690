package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
