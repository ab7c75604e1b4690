package logstore

import (
	"errors"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
)

// TestDiskTellsOfFailures lets a directory's log fail under one group: the others
// that have theirs open hear of it without doing anything, and once all are closed
// the directory opens again.
func TestDiskTellsOfFailures(t *testing.T) {
	t.Parallel()
	fs := faultfs.New()
	cfg := diskConfig{fs: fs, segment: 4096}
	var logs [3]*diskLog
	var told [3][]error
	for g := range logs {
		log, err := openHistory(cfg, g)
		if err != nil {
			t.Fatal(err)
		}
		logs[g] = log
		log.OnFailure(func(err error) { told[g] = append(told[g], err) })
	}
	if err := logs[2].Close(); err != nil {
		t.Fatal(err)
	}
	fs.Inject(func(op faultfs.Op) error {
		if op.Kind == "sync" {
			return faultfs.ErrInjected
		}
		return nil
	})
	for range 2 {
		if err := logs[0].Save(Batch{Hard: &HardState{Term: 1}}); !errors.Is(err, faultfs.ErrInjected) {
			t.Fatalf("Save: %v, want %v", err, faultfs.ErrInjected)
		}
	}
	for g, times := range []int{1, 1, 0} {
		if len(told[g]) != times {
			t.Fatalf("group %d was told %d times, want %d", g, len(told[g]), times)
		}
		for _, err := range told[g] {
			if !errors.Is(err, faultfs.ErrInjected) {
				t.Errorf("group %d was told %v, want %v", g, err, faultfs.ErrInjected)
			}
		}
	}
	late := 0
	logs[1].OnFailure(func(error) { late++ })
	if late != 1 {
		t.Errorf("who asks after the failure was told %d times, want once", late)
	}
	fs.Inject(nil)
	for _, log := range logs {
		_ = log.Close()
	}
	logs[0].OnFailure(func(err error) { t.Errorf("a closed log tells of %v", err) })
	again, err := openHistory(cfg, 1)
	if err != nil {
		t.Fatalf("open it again: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
