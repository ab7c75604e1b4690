package mosaik

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// What is logged of one message: so many at once, and so many in every second.
// Peers decide how often some things happen.
const (
	logBurst = 100
	logRate  = 10
)

// sparing is a [slog.Handler] that leaves out records whose message comes too
// often. The next one that is let through says how many were left out.
type sparing struct {
	slog.Handler
	spare *spare
}

// spare is what the handlers of one logger share.
type spare struct {
	mu       sync.Mutex
	messages map[string]*allowance // messages are constants, so there are few
}

type allowance struct {
	left    float64
	counted time.Time
	omitted int
}

func newSparing(h slog.Handler) slog.Handler {
	return sparing{h, &spare{messages: map[string]*allowance{}}}
}

// Handle implements [slog.Handler].
func (s sparing) Handle(ctx context.Context, r slog.Record) error {
	omitted, ok := s.spare.take(r.Message, r.Time)
	if !ok {
		return nil
	}
	if omitted > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("omitted", omitted))
	}
	return s.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (s sparing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return sparing{s.Handler.WithAttrs(attrs), s.spare}
}

// WithGroup implements [slog.Handler].
func (s sparing) WithGroup(name string) slog.Handler {
	return sparing{s.Handler.WithGroup(name), s.spare}
}

// take reports whether the message may be logged now, and how many were omitted
// before it.
func (s *spare) take(message string, now time.Time) (omitted int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.messages[message]
	if a == nil {
		a = &allowance{left: logBurst, counted: now}
		s.messages[message] = a
	}
	a.left = min(logBurst, a.left+now.Sub(a.counted).Seconds()*logRate)
	a.counted = now
	if a.left < 1 {
		a.omitted++
		return 0, false
	}
	a.left--
	omitted, a.omitted = a.omitted, 0
	return omitted, true
}
