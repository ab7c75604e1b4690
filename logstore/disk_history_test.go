package logstore

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/logstore/internal/faultfs"
	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
	"github.com/mosaik-go/mosaik/sm"
)

// A history applies changes to a few logs in one directory and to naive models of
// them, which define the expected content. The same seed yields the same changes.
type history struct {
	cfg    diskConfig
	rng    *rand.Rand
	logs   [historyGroups]*diskLog
	models [historyGroups]Log
	before [historyGroups]held // as acknowledged
	after  [historyGroups]held // and with the batch in flight
}

const historyGroups = 3

var historyDir = "/network"

// held is the whole content of a log.
type held struct {
	State   State
	Entries []Entry
}

func newHistory(fs vfs.FS, segment int64, seed uint64) *history {
	h := &history{cfg: diskConfig{fs: fs, segment: segment, id: [16]byte{1}}, rng: rand.New(rand.NewPCG(seed, 1))}
	for g := range h.models {
		h.models[g], _ = NewMemory[int]().Open(OpenOptions[int]{})
	}
	return h
}

func historyGroup(g int) sm.Digest { return sm.ID(fmt.Sprint("group ", g)) }

func openHistory(cfg diskConfig, g int) (*diskLog, error) {
	return openDisk(cfg, historyDir, sm.ID("network"), historyGroup(g))
}

// open opens all logs.
func (h *history) open() error {
	for g := range h.logs {
		log, err := openHistory(h.cfg, g)
		if err != nil {
			return errors.Join(err, h.close())
		}
		h.logs[g] = log
	}
	return nil
}

func (h *history) close() (err error) {
	for g, log := range h.logs {
		if log != nil {
			err = errors.Join(err, log.Close())
		}
		h.logs[g] = nil
	}
	return err
}

// run makes n changes, or fewer if one fails.
func (h *history) run(n int) error {
	if err := h.open(); err != nil {
		return err
	}
	for range n {
		if err := h.step(); err != nil {
			return err
		}
	}
	return nil
}

func (h *history) step() error {
	g := h.rng.IntN(historyGroups)
	model := h.models[g]
	st, err := model.State()
	if err != nil {
		return err
	}
	var b Batch
	switch h.rng.IntN(24) {
	case 0, 1, 2:
		through := st.Pruned.Index + sm.Index(h.rng.Uint64N(uint64(st.Last.Index-st.Pruned.Index)+1))
		return errors.Join(model.Prune(through), h.note(g), h.logs[g].Prune(through))
	case 3:
		if err := h.close(); err != nil {
			return err
		}
		return h.open()
	case 4:
		b.Reset = &sm.Cursor{Term: 3, Index: sm.Index(h.rng.IntN(50))}
	case 5:
		b.Clear = true
	case 6:
		b.Truncate = st.Last.Index
	case 7, 8:
		b.Hard = &HardState{Term: sm.Term(h.rng.IntN(9)), Vote: h.rng.Uint64(), Commit: sm.Index(h.rng.IntN(99))}
	case 9:
		b.Snapshot = &Snapshot{Cursor: st.Last, Record: h.bytes(60)}
		b.Meta = h.bytes(60)
	default:
		next := st.Last
		if h.rng.IntN(5) == 0 && st.Last.Index > st.Pruned.Index {
			next.Index-- // replaces the last entry
			next.Term++
		}
		size := 100
		if h.rng.IntN(10) == 0 {
			size = 3000
		}
		for range 1 + h.rng.IntN(4) {
			next.Index++
			b.Entries = append(b.Entries, Entry{Index: next.Index, Term: next.Term, Kind: 7, Key: h.rng.Uint64(), Data: h.bytes(size)})
		}
	}
	if err := model.Save(b); err != nil {
		return err
	}
	h.after[g] = hold(model)
	if err := h.logs[g].Save(b); err != nil {
		return err
	}
	return h.note(g)
}

// note records the content of a group's model as acknowledged.
func (h *history) note(g int) error {
	h.before[g] = hold(h.models[g])
	h.after[g] = h.before[g]
	return nil
}

// bytes returns data without zeros, so that no part of it looks unwritten.
func (h *history) bytes(n int) []byte {
	b := make([]byte, 1+h.rng.IntN(n))
	for i := range b {
		b[i] = byte(1 + h.rng.IntN(255))
	}
	return b
}

func hold(log Log) (h held) {
	h, _ = tryHold(log)
	return h
}

func tryHold(log Log) (h held, err error) {
	if h.State, err = log.State(); err != nil {
		return held{}, err
	}
	for e, err := range log.Entries(h.State.Pruned.Index+1, math.MaxUint64) {
		if err != nil {
			return held{}, err
		}
		h.Entries = append(h.Entries, e)
	}
	return h, nil
}

// matches reports whether a recovered log has the expected content. The failure may
// have undone a prune.
func (h held) matches(want held) bool {
	if back := want.State.Pruned; h.State.Pruned.Index < back.Index && want.State.Last.Index >= back.Index {
		for len(h.Entries) > 0 && h.Entries[0].Index <= back.Index {
			h.State.Pruned = sm.Cursor{Index: h.Entries[0].Index, Term: h.Entries[0].Term}
			h.Entries = h.Entries[1:]
		}
	}
	return h.equal(want)
}

func (h held) equal(want held) bool {
	a, b := logState{state: h.State}, logState{state: want.State}
	return a.equal(&b) && slicesEqual(h.Entries, want.Entries)
}

func slicesEqual(a, b []Entry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Index != b[i].Index || a[i].Term != b[i].Term || a[i].Kind != b[i].Kind || a[i].Key != b[i].Key || !bytes.Equal(a[i].Data, b[i].Data) {
			return false
		}
	}
	return true
}

// check opens the logs that a failure left in fs and compares them with the history.
// It then writes to them and checks that their content survives a second opening and
// a power cut.
func (h *history) check(t *testing.T, fs *faultfs.FS, what string) {
	t.Helper()
	var now [historyGroups]held
	for g := range historyGroups {
		h.opened(t, fs, g, what, func(log Log) {
			got, err := tryHold(log)
			if err != nil {
				t.Fatalf("%s: read: %v", what, err)
			}
			if !got.matches(h.before[g]) && !got.matches(h.after[g]) {
				t.Fatalf("%s: group %d is neither as acknowledged nor with the batch in flight (-acknowledged +got):\n%s", what, g, cmp.Diff(h.before[g], got))
			}
			next := Entry{Index: got.State.Last.Index + 1, Term: got.State.Last.Term, Data: []byte("more")}
			if err := log.Save(Batch{Entries: []Entry{next}}); err != nil {
				t.Fatalf("%s: save: %v", what, err)
			}
			now[g] = hold(log)
		})
	}
	for _, left := range []struct {
		fs   *faultfs.FS
		what string
	}{{fs.Crash(nil), what + ", then opened, then all lost that was not synced"}, {fs, what + ", then opened again"}} {
		for g := range historyGroups {
			h.opened(t, left.fs, g, left.what, func(log Log) {
				if got := hold(log); !got.equal(now[g]) {
					t.Fatalf("%s: group %d (-want +got):\n%s", left.what, g, cmp.Diff(now[g], got))
				}
			})
		}
	}
}

// opened opens a group's log, calls use with it, and closes it.
func (h *history) opened(t *testing.T, fs *faultfs.FS, g int, what string, use func(Log)) {
	t.Helper()
	cfg := h.cfg
	cfg.fs = fs
	log, err := openHistory(cfg, g)
	if err != nil {
		t.Fatalf("%s: open: %v", what, err)
	}
	defer func() { _ = log.Close() }()
	use(log)
	if err := log.Close(); err != nil {
		t.Fatalf("%s: close: %v", what, err)
	}
}
