package mosaik

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestLogsAreSparing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h := newSparing(slog.NewTextHandler(&out, nil))
	now := time.Unix(1, 0)
	log := func(n int, message string) (lines string) {
		out.Reset()
		for range n {
			h := h.WithAttrs([]slog.Attr{slog.String("of", "one logger")})
			if err := h.Handle(t.Context(), slog.NewRecord(now, slog.LevelInfo, message, 0)); err != nil {
				t.Fatal(err)
			}
		}
		return out.String()
	}
	if got := strings.Count(log(logBurst+7, "often"), "\n"); got != logBurst {
		t.Errorf("%d lines at once, want %d", got, logBurst)
	}
	if got := log(1, "another"); !strings.Contains(got, "another") {
		t.Errorf("logged %q, want what was not logged before", got)
	}
	now = now.Add(time.Second)
	got := log(logRate+1, "often")
	if strings.Count(got, "\n") != logRate || strings.Count(got, "omitted=7") != 1 {
		t.Errorf("a second later: %q, want %d lines that tell of 7 omitted ones once", got, logRate)
	}
}
