package wal

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// TestScannerOfShortFile reads a file that is shorter than its limit. Its io.EOF must
// not be mistaken for the end of the segment.
func TestScannerOfShortFile(t *testing.T) {
	t.Parallel()
	sc := &scanner{file: strings.NewReader("short"), number: 1, limit: 1000, offset: headerSize}
	_, _, err := sc.next()
	if failed := (*readError)(nil); !errors.As(err, &failed) || !errors.Is(err, io.EOF) {
		t.Fatalf("next: %v; want an error of the file", err)
	}
	l := &Log{}
	s := &segment{number: 1}
	if err := l.frames(s, sc); err == nil {
		t.Error("frames takes the end of the file for the end of the segment")
	}
}
