package group

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore"
)

// inOwnDir is a member whose log has a directory and whose network has none.
func inOwnDir(dir string) Config {
	return Config{Log: keptIn{dir: dir}, Origin: NewOrigin(0, Directory{}, testClock)}
}

// TestStartsAreCounted joins with logs in directories, with and without a directory of the network.
// Only without one are the starts of the log counted.
func TestStartsAreCounted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "snapshots")
	var last ProcessInfo
	for n := range uint64(3) {
		cfg := inOwnDir(dir)
		o, err := originOf(cfg)
		if err != nil {
			t.Fatal(err)
		}
		now := o.newIncarnation(Incarnation{})
		if now.Process.start() != n+1 || now.Directory == (Directory{}) || now.Started != uint64(testClock.UnixNano()) {
			t.Errorf("start %d is %+v", n+1, now)
		}
		if n > 0 && (now.Directory != last.Directory || now.Incarnation.Compare(last.Incarnation) <= 0) {
			t.Errorf("start %d is %+v, and the one before it %+v", n+1, now, last)
		}
		last = now
	}
	other, err := originOf(inOwnDir(filepath.Join(t.TempDir(), "snapshots")))
	if err != nil || other.process.Directory == last.Directory {
		t.Errorf("the logs of two directories have the same id, error %v", err)
	}

	for what, cfg := range map[string]Config{
		"a network with a directory": {Log: keptIn{dir: dir}, Origin: NewOrigin(7, dirOne, testClock)},
		"a log in memory":            inOwnDir(""),
	} {
		if o, err := originOf(cfg); o != cfg.Origin || err != nil {
			t.Errorf("%s: the origin is not that of the process, error %v", what, err)
		}
	}
	if o, err := originOf(inOwnDir(dir)); err != nil || o.process.Process.start() != 4 {
		t.Errorf("the next start is %d, error %v; want 4", o.process.Process.start(), err)
	}
}

// TestStartsFormat compares a file with the golden bytes of format 1, which later versions must
// read.
func TestStartsFormat(t *testing.T) {
	t.Parallel()
	id := Directory{0: 0xa1, 15: 0xb2}
	want, err := hex.DecodeString("4d534b5354410d0a" + "01000000" + "a10000000000000000000000000000b2" + "0500000000000000" +
		"80df7199314c243ed424f6b012a232be75ef9ab21110295acd438c4ab45f3d58")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, starts{id, 5}.marshal()); diff != "" {
		t.Errorf("the bytes of a file (-want +got):\n%s", diff)
	}
	if got, err := parseStarts(want); err != nil || got != (starts{id, 5}) {
		t.Errorf("read back %+v, error %v", got, err)
	}
}

// TestDamagedStarts damages a file in all bytes and lengths. Reading it is an error and does not
// change it.
func TestDamagedStarts(t *testing.T) {
	t.Parallel()
	whole := starts{dirOne, 5}.marshal()
	if got, err := parseStarts(whole); err != nil || got != (starts{dirOne, 5}) {
		t.Fatalf("%+v was written, error %v", got, err)
	}
	for i := range whole {
		damaged := append([]byte(nil), whole...)
		damaged[i] ^= 1
		if _, err := parseStarts(damaged); !errors.Is(err, logstore.ErrCorrupt) && !errors.Is(err, logstore.ErrFormat) {
			t.Errorf("byte %d is changed: error %v", i, err)
		}
		if _, err := parseStarts(whole[:i]); err == nil {
			t.Errorf("the first %d bytes are read", i)
		}
	}
	for what, content := range map[string][]byte{
		"longer": append(append([]byte(nil), whole...), 0), "no id": starts{count: 1}.marshal(), "no start": starts{id: dirOne}.marshal(),
	} {
		if _, err := parseStarts(content); !errors.Is(err, logstore.ErrCorrupt) {
			t.Errorf("%s: error %v, want %v", what, err, logstore.ErrCorrupt)
		}
	}

	cfg := inOwnDir(t.TempDir())
	file := filepath.Join(cfg.Log.SnapshotDir(), startsFile)
	if err := os.WriteFile(file, whole[:20], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := originOf(cfg); !errors.Is(err, logstore.ErrCorrupt) {
		t.Errorf("error %v, want %v", err, logstore.ErrCorrupt)
	}
	if left, err := os.ReadFile(file); err != nil || len(left) != 20 {
		t.Errorf("%d bytes are left, error %v", len(left), err)
	}
}

// FuzzStarts parses arbitrary files.
func FuzzStarts(f *testing.F) {
	f.Add(starts{dirOne, 5}.marshal())
	f.Add([]byte(startsMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStarts(b)
		if err == nil && string(s.marshal()) != string(b) {
			t.Errorf("%x is read as %+v", b, s)
		}
	})
}

// TestSuccessionByStartsOfALog continues a log of its own directory in a later process. It replaces
// the earlier process whatever their clocks show, and a copy of the log does not.
func TestSuccessionByStartsOfALog(t *testing.T) {
	t.Parallel()
	open := func(dir string, clock time.Duration) *Origin {
		cfg := inOwnDir(dir)
		cfg.Origin = NewOrigin(0, Directory{}, testClock.Add(clock))
		o, err := originOf(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for _, clock := range []time.Duration{-time.Hour, 0, time.Hour} {
		dir, copied := t.TempDir(), t.TempDir()
		s := &succession{}
		first := open(dir, 0).newIncarnation(Incarnation{})
		s.note(first, s.judge(first, false))
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		next := open(dir, clock).resumeIncarnation(first.Incarnation)
		if got := s.judge(next, false); got != admitted {
			t.Errorf("clock %v: the process that continues is %v", clock, got)
		}
		s.note(next, admitted)
		twin := open(copied, 2*clock).resumeIncarnation(first.Incarnation)
		if got := s.judge(twin, false); got != superseded {
			t.Errorf("clock %v: the copy is %v", clock, got)
		}
	}
}
