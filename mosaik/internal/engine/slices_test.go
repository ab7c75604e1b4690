package engine

import "testing"

// TestEntrySlices notices when dragonboat has no such variables any more: ours
// would be variables of our own then.
func TestEntrySlices(t *testing.T) {
	t.Parallel()
	if entrySliceSize != 32 || minEntrySliceSize != 8 {
		t.Errorf("dragonboat's entry slices have %d entries, at least %d of them free; want 32 and 8", entrySliceSize, minEntrySliceSize)
	}
}
