package integration_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/mosaik-go/mosaik/mosaik"
)

// logbook keeps what a network logs and lets a test wait for a line of it.
type logbook struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newLogbook() *logbook { return &logbook{changed: make(chan struct{})} }

// option makes a network log here.
func (l *logbook) option() mosaik.Option {
	return mosaik.WithLogger(slog.New(slog.NewTextHandler(l, nil)))
}

// Write implements [io.Writer].
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

// wait waits for a line that contains all parts.
func (l *logbook) wait(ctx context.Context, parts ...string) error {
	for {
		l.mu.Lock()
		text, changed := l.text.String(), l.changed
		l.mu.Unlock()
		for line := range strings.Lines(text) {
			found := true
			for _, part := range parts {
				found = found && strings.Contains(line, part)
			}
			if found {
				return nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.New("no such line in the log:\n" + text)
		}
	}
}

// with returns the lines that contain a text.
func (l *logbook) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// count returns how many lines contain a text.
func (l *logbook) count(text string) int { return len(l.with(text)) }
