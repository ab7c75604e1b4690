package mosaik

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// How often a line is logged. Peers can make some events happen at any rate, and
// failed operations are repeated. Lines have the same cause if they have the same
// level, message and attributes; numbers, and the digits in errors, do not count.
const (
	// warnBurst and infoBurst are the numbers of lines of one cause that are logged at
	// once. One more is logged in each causePause. Lines at the level info report
	// changes; the burst keeps the last change of an ordinary restart.
	warnBurst  = 1
	infoBurst  = 5
	causePause = time.Minute
	// logBurst is the number of lines of one message that are logged at once, and
	// logRate the number in each further second, over all causes.
	logBurst = 100
	logRate  = 10
	// maxCauses bounds the number of causes that are remembered.
	maxCauses = 4096
)

// rateLimited is a [slog.Handler] that omits records that come too often. The next
// record of the same cause that it logs has the number of omitted ones.
type rateLimited struct {
	slog.Handler
	attrs  string // identity of the attributes of the logger
	limits *rateLimits
}

// rateLimits are shared by the handlers of one logger.
type rateLimits struct {
	mu       sync.Mutex
	messages map[string]*bucket // messages are constants, so there are few
	causes   map[string]*bucket // at most maxCauses
	swept    time.Time          // when full buckets were last dropped from causes
}

// bucket is a token bucket. Each line takes a token.
type bucket struct {
	tokens  float64
	filled  time.Time // when tokens was right
	omitted int       // lines since the last one that took a token
}

// limitRate returns a handler that passes records on to h.
func limitRate(h slog.Handler) slog.Handler {
	return rateLimited{Handler: h, limits: &rateLimits{messages: map[string]*bucket{}, causes: map[string]*bucket{}}}
}

// Handle implements [slog.Handler].
func (l rateLimited) Handle(ctx context.Context, r slog.Record) error {
	omitted, ok := l.limits.take(r, l.attrs)
	if !ok {
		return nil
	}
	if omitted > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("omitted", omitted))
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (l rateLimited) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(l.attrs)
	for _, a := range attrs {
		appendIdentity(&b, a)
	}
	return rateLimited{l.Handler.WithAttrs(attrs), b.String(), l.limits}
}

// WithGroup implements [slog.Handler].
func (l rateLimited) WithGroup(name string) slog.Handler {
	return rateLimited{l.Handler.WithGroup(name), l.attrs, l.limits}
}

// take reports whether a record may be logged now, and how many records of its cause
// and of its message were omitted before it.
func (l *rateLimits) take(r slog.Record, attrs string) (omitted int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var cause *bucket
	if r.Level >= slog.LevelInfo {
		if cause = l.cause(r, attrs); !cause.fill(burstOf(r.Level), 1/causePause.Seconds(), r.Time) {
			return 0, false
		}
	}
	message := l.messages[r.Message]
	if message == nil {
		message = &bucket{tokens: logBurst, filled: r.Time}
		l.messages[r.Message] = message
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

// cause returns the bucket of a record's cause.
func (l *rateLimits) cause(r slog.Record, attrs string) *bucket {
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
	a := l.causes[key]
	if a == nil {
		l.sweep(r.Time)
		a = &bucket{tokens: burstOf(r.Level), filled: r.Time}
		l.causes[key] = a
	}
	return a
}

// sweep makes room for a cause. Once in each causePause, or when there are too many
// causes, it drops those whose bucket is full again, and then any others.
func (l *rateLimits) sweep(now time.Time) {
	full := len(l.causes) >= maxCauses
	if !full && now.Sub(l.swept) < causePause {
		return
	}
	l.swept = now
	for key, a := range l.causes {
		if now.Sub(a.filled) >= infoBurst*causePause {
			delete(l.causes, key)
		}
	}
	for key := range l.causes {
		if len(l.causes) < maxCauses {
			return
		}
		delete(l.causes, key)
	}
}

// fill adds the tokens of the time since the last call, and reports whether there is
// one for a line. A line without a token counts as omitted.
func (a *bucket) fill(burst, rate float64, now time.Time) bool {
	a.tokens = min(burst, a.tokens+max(0, now.Sub(a.filled).Seconds())*rate)
	a.filled = now
	if a.tokens < 1 {
		a.omitted++
		return false
	}
	return true
}

// take takes the token of a line, and returns how many lines were omitted before it.
func (a *bucket) take() (omitted int) {
	a.tokens--
	omitted, a.omitted = a.omitted, 0
	return omitted
}

// appendIdentity appends the part of an attribute that identifies the cause of a
// record. Numbers, durations and times vary between lines of one cause. So do the
// digits of errors and addresses, for instance of a random port, and epochs, which are
// random.
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
