package logstore_test

import (
	"testing"
)

// TestDiskStaysBounded writes for long with snapshots by size: the disk never
// holds more than a few times what a log may gather.
func TestDiskStaysBounded(t *testing.T) {
	t.Parallel()
	f := newFaultyWith(t, 1_000_000, 16<<10)
	f.joinAll()
	write := func() {
		t.Helper()
		f.must(f.groups[0], 4<<10)
	}
	// Four times what a log holds, at worst, and three segments.
	const bound = 4*24<<10 + 3*(16+4)<<10
	for round := range 5 {
		for range 50 { // 200 KiB
			write()
		}
		for i, disk := range f.disks {
			// A snapshot is kept, and segments are given back, beside the writes.
			for tries := 0; disk.Size() > bound; tries++ {
				if tries == 500 {
					t.Fatalf("round %d: the disk of node %d holds %d bytes, want %d at most", round, i, disk.Size(), bound)
				}
				write()
			}
		}
	}
	f.wantAcked(f.groups...)
}
