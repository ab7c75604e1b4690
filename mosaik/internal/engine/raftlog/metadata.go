package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/logstore"
)

// Identity names the replica that a log belongs to. The owner chooses Epoch and
// Incarnation; the engine keeps them without interpreting them.
type Identity struct {
	Shard, Replica     uint64
	Epoch, Incarnation [16]byte
}

// metadata is what the engine keeps in [logstore.State.Meta], format 2:
//
//	offset  size  what
//	0       1     format, 2
//	1       1     flags: 1 bootstrapped, 2 joined (only with 1); others are 0
//	2       1     dragonboat's type of state machine
//	3       8     shard, little-endian, as all numbers
//	11      8     replica
//	19      16    epoch
//	35      16    incarnation
//	51      4     the highest level to which an entry or a snapshot that the
//	              log has held may raise the schema, 0 for none
//	55      2     number of first members, 0 unless bootstrapped
//	57            for each, by ascending replica: replica (8), length of its
//	              target (2), target
//
// The level is written together with the entry. It stays when the entry is pruned or
// replaced, and is that of the log, until that is claimed for another replica: a
// program that does not support it must not start the replica.
//
// Format 1 is read as well: it has no level, and nothing that it stands for raised
// any.
type metadata struct {
	id    Identity
	level uint32
	boot  *pb.Bootstrap // nil before the first start
}

const (
	metaFormat       = 2
	metaHead         = 57
	metaHead1        = 53 // metaHead of format 1
	metaLevel        = 51 // the offset of the level
	flagBootstrapped = 1
	flagJoined       = 2
)

var errMeta = errors.New("the log's metadata are damaged")

func (m *metadata) marshal() ([]byte, error) {
	var flags, machine byte
	var members map[uint64]string
	if m.boot != nil {
		flags, machine, members = flagBootstrapped, byte(m.boot.Type), m.boot.Addresses
		if m.boot.Join {
			flags |= flagJoined
		}
		if m.boot.Type < 0 || m.boot.Type > math.MaxUint8 || len(members) > math.MaxUint16 {
			return nil, fmt.Errorf("bootstrap info of machine type %d and %d members", m.boot.Type, len(members))
		}
	}
	b := append(make([]byte, 0, metaHead), metaFormat, flags, machine)
	b = binary.LittleEndian.AppendUint64(b, m.id.Shard)
	b = binary.LittleEndian.AppendUint64(b, m.id.Replica)
	b = append(b, m.id.Epoch[:]...)
	b = append(b, m.id.Incarnation[:]...)
	b = binary.LittleEndian.AppendUint32(b, m.level)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(members)))
	for _, replica := range slices.Sorted(maps.Keys(members)) {
		target := members[replica]
		if len(target) > math.MaxUint16 {
			return nil, fmt.Errorf("the target of replica %d is %d bytes long", replica, len(target))
		}
		b = binary.LittleEndian.AppendUint64(b, replica)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(target)))
		b = append(b, target...)
	}
	return b, nil
}

// parseMetadata reads metadata. It accepts any bytes without a panic; what it accepts of
// format 2 marshals to b again.
func parseMetadata(b []byte) (*metadata, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: they are empty", errMeta)
	}
	if b[0] != metaFormat && b[0] != 1 {
		return nil, fmt.Errorf("%w: the log's metadata are of format %d; this version reads up to format %d", logstore.ErrFormat, b[0], metaFormat)
	}
	if b[0] == 1 {
		if len(b) < metaHead1 {
			return nil, fmt.Errorf("%w: %d bytes, at least %d are needed", errMeta, len(b), metaHead1)
		}
		b = slices.Insert(slices.Clone(b), metaLevel, 0, 0, 0, 0)
	}
	if len(b) < metaHead {
		return nil, fmt.Errorf("%w: %d bytes, at least %d are needed", errMeta, len(b), metaHead)
	}
	flags, machine := b[1], b[2]
	m := &metadata{id: Identity{
		Shard:       binary.LittleEndian.Uint64(b[3:]),
		Replica:     binary.LittleEndian.Uint64(b[11:]),
		Epoch:       [16]byte(b[19:]),
		Incarnation: [16]byte(b[35:]),
	}}
	m.level = binary.LittleEndian.Uint32(b[metaLevel:])
	members, err := parseMembers(binary.LittleEndian.Uint16(b[metaHead-2:]), b[metaHead:])
	if err != nil {
		return nil, err
	}
	switch flags {
	case 0:
		if machine != 0 || len(members) > 0 {
			return nil, fmt.Errorf("%w: bootstrap info without its flag", errMeta)
		}
	case flagBootstrapped, flagBootstrapped | flagJoined:
		m.boot = &pb.Bootstrap{Addresses: members, Join: flags&flagJoined != 0, Type: pb.StateMachineType(machine)}
	default:
		return nil, fmt.Errorf("%w: flags %#x", errMeta, flags)
	}
	return m, nil
}

func parseMembers(n uint16, b []byte) (map[uint64]string, error) {
	members := map[uint64]string{}
	for last := uint64(0); n > 0; n-- {
		if len(b) < 10 || len(b) < 10+int(binary.LittleEndian.Uint16(b[8:])) {
			return nil, fmt.Errorf("%w: they end within the members", errMeta)
		}
		replica, end := binary.LittleEndian.Uint64(b), 10+int(binary.LittleEndian.Uint16(b[8:]))
		if replica <= last && len(members) > 0 {
			return nil, fmt.Errorf("%w: the members are not in order", errMeta)
		}
		members[replica], last, b = string(b[10:end]), replica, b[end:]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow the members", errMeta, len(b))
	}
	return members, nil
}
