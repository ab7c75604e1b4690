package logstore

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/sm"
)

// TestDiskWarnsOfOtherLogs opens a new log beside those of groups that are not joined. The
// group's id may have changed, so a warning names them.
func TestDiskWarnsOfOtherLogs(t *testing.T) {
	t.Parallel()
	fs := faultfs.New()
	open := func(name string) (log Log, said string) {
		t.Helper()
		var out bytes.Buffer
		log, err := disk[int]{diskConfig{fs: fs, segment: 4096}}.Open(OpenOptions[int]{
			Network: sm.ID("network"), Group: sm.ID(name), Dir: "/dir", Logger: slog.New(slog.NewTextHandler(&out, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		return log, out.String()
	}
	first, said := open("first")
	if said != "" {
		t.Errorf("with an empty directory: %s", said)
	}
	if err := first.Save(Batch{Hard: &HardState{Term: 1}}); err != nil {
		t.Fatal(err)
	}
	if _, said = open("second"); said != "" {
		t.Errorf("beside a group that is joined: %s", said)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, said = open("third"); !strings.Contains(said, "level=WARN") || !strings.Contains(said, sm.ID("first").Short()) ||
		strings.Contains(said, sm.ID("second").Short()) {
		t.Errorf("beside a group that is not joined: %q", said)
	}
	if first, said = open("first"); said != "" {
		t.Errorf("with a log that is not new: %s", said)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// A tool may open logs without a logger.
	log, err := disk[int]{diskConfig{fs: fs, segment: 4096}}.Open(OpenOptions[int]{Network: sm.ID("network"), Group: sm.ID("fourth"), Dir: "/dir"})
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}
