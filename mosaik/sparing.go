package mosaik

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// How often a line is logged. Peers decide how often some things happen, and
// what fails is tried again. The lines of one cause have the same level, message
// and attributes, where numbers and the digits in errors do not count.
const (
	// warnBurst and infoBurst are how many lines of one cause are logged at once;
	// a further one is logged in each causePause. Lines at the level info or above
	// tell of changes, of which the last one must not be lost in an ordinary restart.
	warnBurst  = 1
	infoBurst  = 5
	causePause = time.Minute
	// logBurst and logRate are how many lines of one message are logged at once and
	// in each second after that, whatever their causes.
	logBurst = 100
	logRate  = 10
	// maxCauses bounds the causes that are remembered.
	maxCauses = 4096
)

// sparing is a [slog.Handler] that leaves out records that come too often. The
// next one that is let through says how many were left out.
type sparing struct {
	slog.Handler
	attrs string // identity of the attributes of the logger
	spare *spare
}

// spare is what the handlers of one logger share.
type spare struct {
	mu       sync.Mutex
	messages map[string]*allowance // messages are constants, so there are few
	causes   map[string]*allowance
	swept    time.Time // when causes that may be logged again were dropped
}

// allowance is a number of lines that grows with time.
type allowance struct {
	left    float64
	counted time.Time
	omitted int
}

func newSparing(h slog.Handler) slog.Handler {
	return sparing{Handler: h, spare: &spare{messages: map[string]*allowance{}, causes: map[string]*allowance{}}}
}

// Handle implements [slog.Handler].
func (s sparing) Handle(ctx context.Context, r slog.Record) error {
	omitted, ok := s.spare.take(r, s.attrs)
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
	var b strings.Builder
	b.WriteString(s.attrs)
	for _, a := range attrs {
		appendIdentity(&b, a)
	}
	return sparing{s.Handler.WithAttrs(attrs), b.String(), s.spare}
}

// WithGroup implements [slog.Handler].
func (s sparing) WithGroup(name string) slog.Handler {
	return sparing{s.Handler.WithGroup(name), s.attrs, s.spare}
}

// take reports whether a record may be logged now, and how many of its cause and
// its message were left out before it.
func (s *spare) take(r slog.Record, attrs string) (omitted int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var cause *allowance
	if r.Level >= slog.LevelInfo {
		if cause = s.cause(r, attrs); !cause.fill(burstOf(r.Level), 1/causePause.Seconds(), r.Time) {
			return 0, false
		}
	}
	message := s.messages[r.Message]
	if message == nil {
		message = &allowance{left: logBurst, counted: r.Time}
		s.messages[r.Message] = message
	}
	if !message.fill(logBurst, logRate, r.Time) {
		return 0, false
	}
	omitted = message.take()
	if cause != nil {
		omitted += cause.take()
	}
	return omitted, true
}

func burstOf(level slog.Level) float64 {
	if level >= slog.LevelWarn {
		return warnBurst
	}
	return infoBurst
}

// cause returns the allowance of a record's cause.
func (s *spare) cause(r slog.Record, attrs string) *allowance {
	var b strings.Builder
	b.WriteString(r.Level.String())
	b.WriteByte(' ')
	b.WriteString(r.Message)
	b.WriteString(attrs)
	r.Attrs(func(a slog.Attr) bool {
		appendIdentity(&b, a)
		return true
	})
	key := b.String()
	a := s.causes[key]
	if a == nil {
		s.sweep(r.Time)
		a = &allowance{left: burstOf(r.Level), counted: r.Time}
		s.causes[key] = a
	}
	return a
}

// sweep makes room for a cause: those go that may be logged as if they were new,
// once in each causePause or when there are too many, and then any others.
func (s *spare) sweep(now time.Time) {
	full := len(s.causes) >= maxCauses
	if !full && now.Sub(s.swept) < causePause {
		return
	}
	s.swept = now
	for key, a := range s.causes {
		if now.Sub(a.counted) >= infoBurst*causePause {
			delete(s.causes, key)
		}
	}
	for key := range s.causes {
		if len(s.causes) < maxCauses {
			return
		}
		delete(s.causes, key)
	}
}

// fill adds what the time since the last call allows, and reports whether a line
// is allowed. One that is not counts as omitted.
func (a *allowance) fill(burst, rate float64, now time.Time) bool {
	a.left = min(burst, a.left+max(0, now.Sub(a.counted).Seconds())*rate)
	a.counted = now
	if a.left < 1 {
		a.omitted++
		return false
	}
	return true
}

// take counts a line that is logged, and returns how many were omitted before.
func (a *allowance) take() (omitted int) {
	a.left--
	omitted, a.omitted = a.omitted, 0
	return omitted
}

// appendIdentity appends what an attribute says about the cause of a record.
// Numbers, durations and times vary between lines of one cause. So do the digits
// of errors and addresses, for instance a port that was drawn, and epochs, which
// are drawn at random.
func appendIdentity(b *strings.Builder, a slog.Attr) {
	v := a.Value.Resolve()
	text := ""
	switch v.Kind() {
	case slog.KindString:
		text = v.String()
	case slog.KindAny, slog.KindGroup:
		text = strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, v.String())
	default:
		return
	}
	if a.Key == "epoch" {
		return
	}
	b.WriteByte(0)
	b.WriteString(a.Key)
	b.WriteByte('=')
	b.WriteString(text)
}
