package main

import (
	"context"
	"io"
	"strings"
	"testing"
)

// TestElection runs one process of an election of one, ends it as a deploy does, and
// starts it again.
func TestElection(t *testing.T) {
	dir, last := t.TempDir(), ""
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- run(ctx, []string{"-dir", dir, "-members", "1"}, w)
			w.Close()
		}()
		token := ""
		buf := make([]byte, 256)
		for token == "" {
			n, err := r.Read(buf)
			if err != nil {
				t.Fatalf("it ended: %v", <-done)
			}
			_, token, _ = strings.Cut(string(buf[:n]), "token ")
		}
		cancel()
		go io.Copy(io.Discard, r)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if last != "" && token == "" {
			t.Error("it leads without a token")
		}
		last = token
	}
	if err := run(t.Context(), nil, io.Discard); err == nil {
		t.Error("it runs without a directory")
	}
}
