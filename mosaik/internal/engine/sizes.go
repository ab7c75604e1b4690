package engine

import _ "unsafe" // for linkname

// dragonboat takes the sizes below from a JSON file in the working directory of
// the process, which a library must not write. They are package variables, so
// they are set here by linkname, before the first NodeHost opens. A size that no
// longer has dragonboat's default is left alone: the program chose it.
//
// TestSizes notices when dragonboat drops one of the variables.

// Raft keeps entries that are not applied yet in slices of 512 entries, 41 KB,
// and begins another slice whenever it has applied all of them. Where commands
// come one by one, that is a slice or two for each command and member: 84 % of
// all bytes that are allocated.
//
//go:linkname entrySliceSize github.com/lni/dragonboat/v4/internal/raft.entrySliceSize
var entrySliceSize uint64

//go:linkname minEntrySliceSize github.com/lni/dragonboat/v4/internal/raft.minEntrySliceSize
var minEntrySliceSize uint64

// Each replica allocates all of its queues when it starts: 1.1 MB, whether the
// group is busy or not. The lengths below make that 0.13 MB. A full queue drops:
//
//   - received messages. Raft repeats what matters at the next heartbeat. A peer
//     has at most 8 messages of a catch-up in flight (transport/pipeline.go) and at most 32
//     entries of its own (package session), and the step worker empties the queue
//     each time it visits the replica.
//   - proposals and reads of this process, which are then refused as not applied.
//     A member has at most 32 entries in flight, and one ReadIndex round (round.go).
//
//go:linkname receiveQueueLen github.com/lni/dragonboat/v4.receiveQueueLen
var receiveQueueLen uint64

//go:linkname incomingProposalsMaxLen github.com/lni/dragonboat/v4.incomingProposalsMaxLen
var incomingProposalsMaxLen uint64

//go:linkname incomingReadIndexMaxLen github.com/lni/dragonboat/v4.incomingReadIndexMaxLen
var incomingReadIndexMaxLen uint64

// Each replica spreads its proposals over 16 shards, each with a lock and a
// 5 KB random source. One goroutine proposes for a group here, so one shard does.
//
//go:linkname pendingProposalShards github.com/lni/dragonboat/v4.pendingProposalShards
var pendingProposalShards uint64

// sendQueueLen is the length of the queue to a peer that a quarter of all shards
// share. A burst is one message for each of them, on a tick.
//
//go:linkname sendQueueLen github.com/lni/dragonboat/v4/internal/transport.sendQueueLen
var sendQueueLen uint64

// sizes are dragonboat's variables, their defaults and what they are set to.
var sizes = []struct {
	name       string
	variable   *uint64
	stock, set uint64
}{
	{"internal/raft.entrySliceSize", &entrySliceSize, 512, 32},
	{"internal/raft.minEntrySliceSize", &minEntrySliceSize, 96, 8},
	{"receiveQueueLen", &receiveQueueLen, 1024, 192},
	{"incomingProposalsMaxLen", &incomingProposalsMaxLen, 2048, 128},
	{"incomingReadIndexMaxLen", &incomingReadIndexMaxLen, 4096, 128},
	{"pendingProposalShards", &pendingProposalShards, 16, 1},
	{"internal/transport.sendQueueLen", &sendQueueLen, 2048, 512},
}

func init() {
	for _, s := range sizes {
		if *s.variable == s.stock {
			*s.variable = s.set
		}
	}
}
