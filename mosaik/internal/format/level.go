package format

import "encoding/binary"

// LevelOf returns the highest level of the schema to which an entry may raise its epoch: that of a
// level entry, of the level entries in a replay, or of the snapshot in a restore. It returns 0 for
// other entries and for malformed ones.
func LevelOf(data []byte) uint32 {
	if len(data) < headerSize || data[0] != Version {
		return 0
	}
	switch Kind(data[1]) {
	case KindLevel:
		return binary.LittleEndian.Uint32(data[4:])
	case KindReplay, KindRestore:
		return levelWithin(data)
	}
	return 0
}

// levelWithin is LevelOf for an entry that carries entries or a part of a snapshot.
func levelWithin(data []byte) uint32 {
	e, err := Parse(data)
	if err != nil {
		return 0
	}
	var highest uint32
	for i, part := range e.Commands.All() {
		switch {
		case e.Kind == KindReplay:
			if len(part) >= headerSize && part[0] == Version && Kind(part[1]) == KindLevel {
				highest = max(highest, binary.LittleEndian.Uint32(part[4:]))
			}
		case e.Sequence == 1 && i == 0 && len(part) >= snapshotHeaderSize && string(part[:len(snapshotMagic)]) == snapshotMagic:
			highest = binary.LittleEndian.Uint32(part[12:])
		}
	}
	return highest
}
