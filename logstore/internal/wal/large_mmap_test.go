//go:build linux || darwin

package wal

import (
	"errors"
	"syscall"
	"testing"
)

// TestTooLarge appends a payload that exceeds the limit of a frame, and rotates to
// a segment that begins with it. Both must fail without reading the payload, whose
// memory is not readable.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	huge, err := syscall.Mmap(-1, 0, FrameHead+MaxPayload+1, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skip(err)
	}
	defer syscall.Munmap(huge)
	l := newTest(t)
	if _, _, err := l.Append(huge); !errors.Is(err, ErrTooLarge) {
		t.Errorf("append: %v, want %v", err, ErrTooLarge)
	}
	l.append(t, 1, 100)
	if err := l.Rotate(huge); !errors.Is(err, ErrTooLarge) {
		t.Errorf("rotate: %v, want %v", err, ErrTooLarge)
	}
	if again, err := openTest(l.fs.Crash(nil)); err != nil || len(again.found) != 1 {
		t.Errorf("it opens with %d payloads, error %v; want 1", len(again.found), err)
	}
}
