package wire

// Limits on the memory that a decoded value may take. A command of n bytes may take
// MemoryBase + n*MemoryPerByte bytes. Only values that are mostly omitted
// (omitempty) come near this limit. All members must draw the same line, so these
// values never change.
const (
	MemoryBase    = 64 << 10
	MemoryPerByte = 128
	// EntryOverhead is the factor by which a map's entries take more memory than
	// their keys and values: the tables of a map are never full.
	EntryOverhead = 2
)

// MaxNanoseconds is the highest fraction of a second that a timestamp can have.
const MaxNanoseconds = 999_999_999
