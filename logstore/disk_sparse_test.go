package logstore

import (
	"errors"
	"math/rand/v2"

	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/mosaik-go/mosaik/logstore/internal/vfs"
	"github.com/mosaik-go/mosaik/logstore/internal/wal"
	"github.com/mosaik-go/mosaik/sm"
)

// TestDiskSparse opens directories whose only segment has a large size, valid
// checksums and hardly any data. The test runs alone, so that no other test allocates
// while it measures.
func TestDiskSparse(t *testing.T) {
	const length = 24 << 20
	group := historyGroup(0)
	claims := logState{number: 1, id: group, state: State{Last: sm.Cursor{Term: 1, Index: 700_000}},
		terms: termRuns{{Term: 1, Index: 1}}}
	for _, tt := range []struct {
		what  string
		begin func() []byte
		data  []byte // of the next frame
		size  int64
		want  error
	}{
		{"700,000 entries", func() []byte { return claims.appendTo(make([]byte, wal.FrameHead)) }, nil, length, ErrCorrupt},
		{"nothing", func() []byte { return make([]byte, wal.FrameHead) }, nil, length, nil},
		{"half of a frame", func() []byte { return make([]byte, wal.FrameHead) }, make([]byte, wal.FrameHead+16<<20), length, nil},
		{"more than a segment holds", func() []byte { return make([]byte, wal.FrameHead) }, nil, 1 << 40, ErrCorrupt},
	} {
		t.Run(tt.what, func(t *testing.T) {
			dir := t.TempDir()
			log, err := wal.Open(wal.Config{
				FS: vfs.OS, Dir: filepath.Join(dir, "log"), Network: sm.ID("network"), SegmentSize: 1 << 20,
				Begin: tt.begin, Found: func(int64) {}, Replay: func(wal.Place, wal.Kind, []byte) error { return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			cut := int64(1 << 20)
			if tt.data != nil {
				at, _, err := log.Append(tt.data)
				if err != nil {
					t.Fatal(err)
				}
				cut = int64(at.Offset) // after its header
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, "log", "0000000000000001.log")
			if err := errors.Join(os.Truncate(name, cut), os.Truncate(name, tt.size)); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			opened, err := openDisk(diskConfig{fs: vfs.OS, segment: 1 << 20}, dir, sm.ID("network"), group)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, tt.want) {
				t.Errorf("it opens with error %v, want %v", err, tt.want)
			}
			if err == nil {
				_ = opened.Close()
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
				t.Errorf("opening it takes %d bytes of memory, want at most 4 MiB", took)
			}
		})
	}
}

// TestSegmentsExtend compares segments that were extended with a slice.
func TestSegmentsExtend(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		first := sm.Index(1 + rng.IntN(10))
		var s segments[int]
		s.reset(first)
		var want []int
		for range 30 {
			n := rng.IntN(3 * segmentLen)
			switch k := rng.IntN(5); {
			case k == 0:
				s.extend(n)
				want = append(want, make([]int, n)...)
			case k == 1:
				more := make([]int, n)
				for i := range more {
					more[i] = rng.Int()
				}
				s.append(more)
				want = append(want, more...)
			case len(want) < 2:
			case k == 2:
				n = rng.IntN(len(want) + 1)
				s.prune(first + sm.Index(n))
				want, first = want[n:], first+sm.Index(n)
			case k == 3:
				n = 1 + rng.IntN(len(want)-1)
				s.truncate(first + sm.Index(n))
				want = append([]int(nil), want[:n]...)
			default:
				for range 5 {
					i := rng.IntN(len(want))
					want[i] = rng.Int()
					s.set(first+sm.Index(i), want[i])
				}
			}
			if s.first != first || s.count != len(want) {
				t.Fatalf("seed %d: it holds %d from %d on, want %d from %d on", seed, s.count, s.first, len(want), first)
			}
			for i := range want {
				if got := *s.at(first + sm.Index(i)); got != want[i] {
					t.Fatalf("seed %d: at %d there is %d, want %d", seed, i, got, want[i])
				}
			}
		}
	}
}
