package logstore_test

import (
	"testing"
)

// TestDiskStaysBounded writes many commands while snapshots are taken by size. The
// disk must never hold more than a few times the largest size of a log.
func TestDiskStaysBounded(t *testing.T) {
	t.Parallel()
	f := newFaultyWith(t, 1_000_000, 16<<10)
	f.joinAll()
	write := func() {
		t.Helper()
		f.must(f.groups[0], 4<<10)
	}
	// The bound is four times the largest log, and three segments.
	const bound = 4*24<<10 + 3*(16+4)<<10
	for round := range 5 {
		for range 50 { // 200 KiB
			write()
		}
		for i, disk := range f.disks {
			// Snapshots are stored and segments are freed while commands are
			// written.
			for tries := 0; disk.Size() > bound; tries++ {
				if tries == 500 {
					t.Fatalf("round %d: the disk of node %d holds %d bytes, want at most %d", round, i, disk.Size(), bound)
				}
				write()
			}
		}
	}
	f.wantAcked(f.groups...)
}
