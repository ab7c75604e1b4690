package engine

import _ "unsafe" // for linkname

// Raft keeps entries that are not applied yet in slices of 512 entries, 41 KB,
// and begins another whenever it has applied all of them. Where commands come one
// by one that is a slice or two for each command and member, 84 % of all bytes
// that are allocated. dragonboat takes these numbers from a file in the working
// directory of the process, which is not ours to write; nothing else of it is
// touched like this.
//
//go:linkname entrySliceSize github.com/lni/dragonboat/v4/internal/raft.entrySliceSize
var entrySliceSize uint64

//go:linkname minEntrySliceSize github.com/lni/dragonboat/v4/internal/raft.minEntrySliceSize
var minEntrySliceSize uint64

func init() {
	if entrySliceSize == 512 && minEntrySliceSize == 96 { // dragonboat's defaults
		entrySliceSize, minEntrySliceSize = 32, 8
	}
}
