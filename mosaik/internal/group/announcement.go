package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// Announcement: what a member sends to each bonded peer, in the handshake and after each
// change. It is a list of fields, at most 4096 bytes. Integers are big-endian.
//
//	offset  size  content
//	     0     2  tag; tags ascend, and none is repeated
//	     2     2  length n of the value
//	     4     n  value
//
//	tag  size  value                                       left out for
//	  1     1  phase: 1 catching up, 2 caught up,          seeking
//	           3 leaving
//	  2     4  flags: 1 observer, 2 opened, 4 poisoned,    0
//	           8 leads, 16 votes, 32 durable
//	  3     1  reluctance factor                           1, for none
//	  4    16  incarnation                                 zero
//	  5    16  process: 8 bytes number of its start,       zero
//	           8 random
//	  6    16  epoch                                       zero, for none
//	  7     8  dense count of applied commands             0
//	  8    14  policy: 2 bytes expected, 2 minimum,        zero
//	           2 maximum, 8 grace in nanoseconds
//	  9     8  id of the last membership change that       0
//	           it knows of
//	 10     8  the start of the digest of the schema's     zero
//	           newest level
//	 11     4  the highest level of the schema that it     1
//	           supports
//	 12    16  id of its network's directory               zero, for none
//	 13     8  when its process started, by its clock, in  0
//	           Unix nanoseconds
//	 14     8  highest fencing token that it knows of,     0
//	           from earlier epochs or its configuration
//	 15     9  more of the policy: 8 bytes the time after  zero
//	           which voters are removed, in nanoseconds,
//	           1 whether a last voter continues alone
//
// A field is left out if its value is the one in the last column. So an announcement has one
// encoding; any other encoding is refused. A receiver ignores unknown tags and flags, which
// come from a newer program, so a sender must not rely on them. The meaning and the size of a
// field never change; different information gets another tag.
const (
	tagPhase        = 1
	tagFlags        = 2
	tagFactor       = 3
	tagIncarnation  = 4
	tagProcess      = 5
	tagEpoch        = 6
	tagAppliedIndex = 7
	tagPolicy       = 8
	tagChange       = 9
	tagSchema       = 10
	tagLevel        = 11
	tagDirectory    = 12
	tagStarted      = 13
	tagToken        = 14
	tagRepair       = 15
)

const (
	// maxAnnouncement is the limit of an announcement in bytes, ignored fields included.
	maxAnnouncement = 4096
	fieldHead       = 4
)

const (
	flagObserver uint32 = 1 << iota
	flagOpened
	flagPoisoned
	flagLeads
	flagVotes
	flagDurable
)

// Phase is the state of a member with respect to an epoch.
type Phase uint8

// The phases in their usual order.
const (
	Seeking    Phase = iota // in no epoch
	CatchingUp              // its replica runs and is behind
	CaughtUp                // its replica has caught up with a live leader
	Leaving                 // it asks to be removed
)

func (p Phase) String() string {
	switch p {
	case Seeking:
		return "seeking"
	case CatchingUp:
		return "catching up"
	case CaughtUp:
		return "caught up"
	case Leaving:
		return "leaving"
	}
	return fmt.Sprintf("phase %d", uint8(p))
}

// Announcement describes a member to its peers. Peers decide by it which epoch to join, which
// replicas to add and whom to promote, so it changes only in the group's goroutine.
type Announcement struct {
	Phase        Phase
	Role         Role
	Opened       bool // its epoch accepts commands
	Poisoned     bool // its machine panicked
	Leads        bool // it leads its epoch
	Votes        bool // it knows that it is a voter, which binds it to its epoch
	Durable      bool // its log outlives its process
	ProcessInfo       // incarnation and process; they determine its replica id
	Epoch        Epoch
	AppliedIndex sm.Index // its AppliedIndex, dense
	Policy       Policy
	Change       uint64 // id of the last membership change that it knows of
	Schema       Schema
	Level        uint32 // the highest level of the schema that its machine supports, from 1
	Token        uint64 // the highest fencing token that it knows of, except for its epoch's
}

// Schema identifies the commands that a member knows: the first bytes of the digest of the
// newest level of its machine's schema. All members must have the same.
type Schema [8]byte

// replica returns the id of the announcer's replica in its epoch, 0 without an epoch.
func (a Announcement) replica(peer sm.PeerID) uint64 {
	if a.Epoch.IsZero() {
		return 0
	}
	return replicaID(peer, a.Epoch, a.Incarnation)
}

var errAnnouncement = errors.New("malformed announcement")

func (a Announcement) flags() (flags uint32) {
	for _, f := range []struct {
		set bool
		bit uint32
	}{
		{a.Role.Observer, flagObserver}, {a.Opened, flagOpened}, {a.Poisoned, flagPoisoned},
		{a.Leads, flagLeads}, {a.Votes, flagVotes}, {a.Durable, flagDurable},
	} {
		if f.set {
			flags |= f.bit
		}
	}
	return flags
}

// append appends the announcement to b. A level of 0 counts as 1.
func (a Announcement) append(b []byte) []byte {
	var value [16]byte
	be := binary.BigEndian
	if a.Phase != Seeking {
		b = appendField(b, tagPhase, []byte{byte(a.Phase)})
	}
	if flags := a.flags(); flags != 0 {
		b = appendField(b, tagFlags, be.AppendUint32(value[:0], flags))
	}
	if isReluctant(a.Role) {
		b = appendField(b, tagFactor, []byte{byte(a.Role.Reluctance)})
	}
	if a.Incarnation != (Incarnation{}) {
		b = appendField(b, tagIncarnation, a.Incarnation[:])
	}
	if a.Process != (Process{}) {
		b = appendField(b, tagProcess, a.Process[:])
	}
	if !a.Epoch.IsZero() {
		b = appendField(b, tagEpoch, a.Epoch[:])
	}
	if a.AppliedIndex != 0 {
		b = appendField(b, tagAppliedIndex, be.AppendUint64(value[:0], uint64(a.AppliedIndex)))
	}
	if p := a.Policy; (formationOf(p) != Policy{}) {
		v := be.AppendUint16(value[:0], uint16(p.Expected))
		v = be.AppendUint16(v, uint16(p.MinimumVoters))
		v = be.AppendUint16(v, uint16(p.MaximumVoters))
		b = appendField(b, tagPolicy, be.AppendUint64(v, uint64(p.Grace)))
	}
	if a.Change != 0 {
		b = appendField(b, tagChange, be.AppendUint64(value[:0], a.Change))
	}
	if a.Schema != (Schema{}) {
		b = appendField(b, tagSchema, a.Schema[:])
	}
	if a.Level > 1 {
		b = appendField(b, tagLevel, be.AppendUint32(value[:0], a.Level))
	}
	if a.Directory != (Directory{}) {
		b = appendField(b, tagDirectory, a.Directory[:])
	}
	if a.Started != 0 {
		b = appendField(b, tagStarted, be.AppendUint64(value[:0], a.Started))
	}
	if a.Token != 0 {
		b = appendField(b, tagToken, be.AppendUint64(value[:0], a.Token))
	}
	if p := a.Policy; p.RemoveAfter != 0 || p.ContinueAlone {
		v := be.AppendUint64(value[:0], uint64(p.RemoveAfter))
		if p.ContinueAlone {
			v = append(v, 1)
		} else {
			v = append(v, 0)
		}
		b = appendField(b, tagRepair, v)
	}
	return b
}

func appendField(b []byte, tag uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, tag)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// parseAnnouncement decodes an announcement from hostile bytes. It ignores unknown tags and
// flags.
func parseAnnouncement(b []byte) (Announcement, error) {
	a := Announcement{Level: 1}
	if len(b) > maxAnnouncement {
		return a, fmt.Errorf("%w: %d bytes, at most %d are allowed", errAnnouncement, len(b), maxAnnouncement)
	}
	for last := -1; len(b) > 0; {
		if len(b) < fieldHead {
			return a, fmt.Errorf("%w: %d bytes follow field %d", errAnnouncement, len(b), last)
		}
		tag, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		b = b[fieldHead:]
		switch {
		case int(tag) <= last:
			return a, fmt.Errorf("%w: field %d follows field %d", errAnnouncement, tag, last)
		case size > len(b):
			return a, fmt.Errorf("%w: field %d has %d bytes, %d are left", errAnnouncement, tag, size, len(b))
		}
		if err := a.set(tag, b[:size]); err != nil {
			return a, err
		}
		last, b = int(tag), b[size:]
	}
	if (a.Phase == CatchingUp || a.Phase == CaughtUp) && a.Epoch.IsZero() {
		return a, fmt.Errorf("%w: %v in no epoch", errAnnouncement, a.Phase)
	}
	return a, nil
}

// fieldSizes are the sizes in bytes of the values of the known fields.
var fieldSizes = map[uint16]int{
	tagPhase: 1, tagFlags: 4, tagFactor: 1, tagIncarnation: 16, tagProcess: 16, tagEpoch: 16,
	tagAppliedIndex: 8, tagPolicy: 14, tagChange: 8, tagSchema: 8, tagLevel: 4, tagDirectory: 16, tagStarted: 8, tagToken: 8,
	tagRepair: 9,
}

// set decodes the value v of a field. It ignores a tag that is not known.
func (a *Announcement) set(tag uint16, v []byte) error {
	want, known := fieldSizes[tag]
	if !known {
		return nil
	}
	if len(v) != want {
		return fmt.Errorf("%w: field %d has %d bytes, not %d", errAnnouncement, tag, len(v), want)
	}
	before, be := *a, binary.BigEndian
	switch tag {
	case tagPhase:
		a.Phase = Phase(v[0])
	case tagFlags:
		flags := be.Uint32(v)
		if flags == 0 {
			return leftOut(tag)
		}
		a.setFlags(flags)
		return nil // all flags may be unknown, which leaves a unchanged
	case tagFactor:
		if v[0] == 0 {
			return fmt.Errorf("%w: reluctance factor 0", errAnnouncement)
		}
		if v[0] > 1 { // 1 is that of a member without reluctance
			a.Role.Reluctance = int(v[0])
		}
	case tagIncarnation:
		a.Incarnation = Incarnation(v)
	case tagProcess:
		a.Process = Process(v)
	case tagEpoch:
		a.Epoch = Epoch(v)
	case tagAppliedIndex:
		a.AppliedIndex = sm.Index(be.Uint64(v))
	case tagPolicy:
		a.Policy = Policy{
			Expected:      int(be.Uint16(v)),
			MinimumVoters: int(be.Uint16(v[2:])),
			MaximumVoters: int(be.Uint16(v[4:])),
			Grace:         time.Duration(be.Uint64(v[6:])),
		}
	case tagChange:
		a.Change = be.Uint64(v)
	case tagSchema:
		a.Schema = Schema(v)
	case tagLevel:
		a.Level = be.Uint32(v)
	case tagDirectory:
		a.Directory = Directory(v)
	case tagStarted:
		a.Started = be.Uint64(v)
	case tagToken:
		a.Token = be.Uint64(v)
	case tagRepair:
		if v[8] > 1 {
			return fmt.Errorf("%w: field %d ends in %d, neither 0 nor 1", errAnnouncement, tag, v[8])
		}
		a.Policy.RemoveAfter, a.Policy.ContinueAlone = time.Duration(be.Uint64(v)), v[8] == 1
	}
	switch {
	case *a == before:
		return leftOut(tag)
	case a.Phase > Leaving:
		return fmt.Errorf("%w: unknown %v", errAnnouncement, a.Phase)
	case a.Level < 1:
		return fmt.Errorf("%w: level 0; want 1 or more", errAnnouncement)
	}
	return nil
}

func (a *Announcement) setFlags(flags uint32) {
	a.Role.Observer = flags&flagObserver != 0
	a.Opened = flags&flagOpened != 0
	a.Poisoned = flags&flagPoisoned != 0
	a.Leads = flags&flagLeads != 0
	a.Votes = flags&flagVotes != 0
	a.Durable = flags&flagDurable != 0
}

func leftOut(tag uint16) error {
	return fmt.Errorf("%w: field %d has its default value; it must be left out", errAnnouncement, tag)
}
