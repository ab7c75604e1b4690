package logstore

import (
	"errors"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
)

// TestDiskTellsOfFailures fails the disk under one group's log. The open logs of
// the other groups in the directory must report the failure without being used.
// Once all logs are closed, the directory must open again.
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
			t.Fatalf("OnFailure of group %d was called %d times, want %d", g, len(told[g]), times)
		}
		for _, err := range told[g] {
			if !errors.Is(err, faultfs.ErrInjected) {
				t.Errorf("OnFailure of group %d got %v, want %v", g, err, faultfs.ErrInjected)
			}
		}
	}
	late := 0
	logs[1].OnFailure(func(error) { late++ })
	if late != 1 {
		t.Errorf("an OnFailure set after the failure was called %d times, want once", late)
	}
	fs.Inject(nil)
	for _, log := range logs {
		_ = log.Close()
	}
	logs[0].OnFailure(func(err error) { t.Errorf("a closed log reported %v", err) })
	again, err := openHistory(cfg, 1)
	if err != nil {
		t.Fatalf("open it again: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
