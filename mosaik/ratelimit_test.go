package mosaik

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

// limitedLog logs through a rate limit with a clock of its own.
type limitedLog struct {
	t   *testing.T
	out bytes.Buffer
	h   slog.Handler
	now time.Time
}

func newLimitedLog(t *testing.T) *limitedLog {
	l := &limitedLog{t: t, now: time.Unix(1, 0)}
	l.h = limitRate(slog.NewTextHandler(&l.out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return l
}

// log logs n records and returns the lines.
func (l *limitedLog) log(n int, level slog.Level, message string, args ...any) []string {
	l.t.Helper()
	l.out.Reset()
	for range n {
		r := slog.NewRecord(l.now, level, message, 0)
		r.Add(args...)
		if err := l.h.Handle(context.Background(), r); err != nil {
			l.t.Fatal(err)
		}
	}
	return strings.Split(strings.TrimSuffix(l.out.String(), "\n"), "\n")[:strings.Count(l.out.String(), "\n")]
}

// TestLogRatePerMessage logs one message of many causes.
func TestLogRatePerMessage(t *testing.T) {
	t.Parallel()
	l := newLimitedLog(t)
	count := 0
	log := func(n int, message string) (lines []string) {
		for range n {
			count++
			l.h = l.h.WithAttrs([]slog.Attr{slog.String("of", "one logger")})
			lines = append(lines, l.log(1, slog.LevelInfo, message, "peer", fmt.Sprint(count))...)
		}
		return lines
	}
	if got := len(log(logBurst+7, "often")); got != logBurst {
		t.Errorf("%d lines at once, want %d", got, logBurst)
	}
	if got := log(1, "another"); len(got) != 1 {
		t.Errorf("logged %q, want what was not logged before", got)
	}
	l.now = l.now.Add(time.Second)
	got := log(logRate+1, "often")
	if len(got) != logRate || strings.Count(strings.Join(got, "\n"), "omitted=7") != 1 {
		t.Errorf("a second later: %q, want %d lines that tell of 7 omitted ones once", got, logRate)
	}
}

// TestOneCauseIsLoggedOnceAMinute repeats a line for an hour, a few times a second.
func TestOneCauseIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	for level, most := range map[slog.Level]int{slog.LevelInfo: infoBurst + 60, slog.LevelWarn: warnBurst + 60, slog.LevelError: warnBurst + 60} {
		l := newLimitedLog(t)
		lines, omitted, records := 0, 0, 0
		for range 3600 {
			for i := range 3 {
				records++
				for _, line := range l.log(1, level, "cannot reach seed", "seed", "one", "attempt", records,
					"error", fmt.Errorf("dial from port %d: refused", 40_000+records*7+i)) {
					lines++
					if _, n, ok := strings.Cut(line, "omitted="); ok {
						var more int
						fmt.Sscan(n, &more)
						omitted += more
					}
				}
			}
			l.now = l.now.Add(time.Second)
		}
		if lines > most || lines < 60 {
			t.Errorf("%d lines at level %v in an hour, want 60 to %d", lines, level, most)
		}
		if told := lines + omitted; told > records || told < records-200 {
			t.Errorf("%d lines and %d omitted ones at level %v, want together about %d", lines, omitted, level, records)
		}
	}
}

// TestCauses tells the causes of lines with one message apart.
func TestCauses(t *testing.T) {
	t.Parallel()
	addr := func(port int) net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port} }
	for name, c := range map[string]struct {
		first, second []any
		same          bool
	}{
		"equal":            {[]any{"peer", "a1"}, []any{"peer", "a1"}, true},
		"another peer":     {[]any{"peer", "a1"}, []any{"peer", "a2"}, false},
		"another group":    {[]any{"group", "1"}, []any{"group", "2"}, false},
		"another error":    {[]any{"error", errors.New("refused")}, []any{"error", errors.New("no route")}, false},
		"another number":   {[]any{"bytes", 1}, []any{"bytes", 2}, true},
		"another duration": {[]any{"pause", time.Second}, []any{"pause", time.Minute}, true},
		"another port":     {[]any{"from", addr(1)}, []any{"from", addr(2)}, true},
		"a port in errors": {[]any{"error", errors.New("from :40001")}, []any{"error", errors.New("from :5")}, true},
		"another epoch":    {[]any{"epoch", "aa"}, []any{"epoch", "bb"}, true},
		"another key":      {[]any{"peer", "a"}, []any{"seed", "a"}, false},
		"split otherwise":  {[]any{"a", "b", "c", "d"}, []any{"a", "b c=d"}, false},
		"nested":           {[]any{slog.Group("x", "peer", "a")}, []any{slog.Group("x", "peer", "b")}, false},
	} {
		l := newLimitedLog(t)
		l.log(1, slog.LevelWarn, "message", c.first...)
		if got := len(l.log(1, slog.LevelWarn, "message", c.second...)) == 0; got != c.same {
			t.Errorf("%s: taken for the same cause: %v, want %v", name, got, c.same)
		}
		if got := len(l.log(1, slog.LevelError, "message", c.first...)); got != 1 {
			t.Errorf("%s: %d lines of another level, want 1", name, got)
		}
	}
}

// TestLoggersOfOneNetwork has two groups and the network log the same.
func TestLoggersOfOneNetwork(t *testing.T) {
	t.Parallel()
	l := newLimitedLog(t)
	all := []slog.Handler{l.h, l.h.WithAttrs([]slog.Attr{slog.String("group", "1")}), l.h.WithAttrs([]slog.Attr{slog.String("group", "2")})}
	for round, want := range []int{1, 0} {
		for i, h := range all {
			l.h = h
			if got := len(l.log(1, slog.LevelWarn, "no quorum")); got != want {
				t.Errorf("round %d: %d lines of logger %d, want %d", round, got, i, want)
			}
		}
	}
}

// TestCausesAreBounded logs more causes than are remembered, at a rate that the
// limit for messages allows, and as many messages.
func TestCausesAreBounded(t *testing.T) {
	t.Parallel()
	l := newLimitedLog(t)
	limits := l.h.(rateLimited).limits
	for i := range 3 * maxCauses {
		l.now = l.now.Add(time.Millisecond)
		l.log(1, slog.LevelWarn, fmt.Sprint("message ", i%100), "peer", fmt.Sprint(i))
		if got := len(limits.causes); got > maxCauses {
			t.Fatalf("%d causes are remembered, want at most %d", got, maxCauses)
		}
	}
	l.now = l.now.Add(infoBurst * causePause)
	l.log(1, slog.LevelWarn, "later")
	if got := len(limits.causes); got != 1 {
		t.Errorf("%d causes are remembered after %v, want 1", got, infoBurst*causePause)
	}
}
