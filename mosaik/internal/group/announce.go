package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// Announcement v1: what a member tells every peer that it has a bond with, in
// the handshake and at each change. Integers are big-endian.
//
//	offset  size  field
//	0       1     version, 1
//	1       1     phase: 0 seeking, 1 catching up, 2 caught up, 3 leaving
//	2       1     flags: 1 observer, 2 opened, 4 poisoned, 8 leads, 16 votes
//	3       1     reluctance factor, 1 for none
//	4       16    incarnation
//	20      16    epoch, zero for none
//	36      8     dense count of applied commands
//	44      2     policy: expected
//	46      2     policy: minimum
//	48      2     policy: maximum
//	50      8     policy: grace in nanoseconds
//	58      8     id of the last membership change that it knows of
//	66      8     the start of the digest of the schema's newest level
//	74      16    process: 8 bytes number of its start, 8 random
const (
	announcementVersion = 1
	announcementSize    = 90
)

const (
	flagObserver = 1 << iota
	flagOpened
	flagPoisoned
	flagLeads
	flagVotes
	knownFlags = flagObserver | flagOpened | flagPoisoned | flagLeads | flagVotes
)

// Phase is where a member stands on its way into an epoch.
type Phase uint8

// The phases in their usual order.
const (
	Seeking    Phase = iota // in no epoch
	CatchingUp              // its replica runs and is behind
	CaughtUp                // its replica was level with a live leader
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

// Announcement is what a member tells its peers about itself.
type Announcement struct {
	Phase    Phase
	Role     Role
	Opened   bool // its epoch accepts commands
	Poisoned bool // its machine panicked
	Leads    bool // it leads its epoch
	Votes    bool // it knows that it is a voter, and is bound to its epoch by it
	Tenure
	Epoch  Epoch
	Count  sm.Index // commands applied, dense
	Policy Policy
	Change uint64 // the last membership change that it knows of
	Schema Schema
}

// Schema stands for the commands that a member knows: the start of the digest of
// the newest level of its machine's schema. Members must agree on it.
type Schema [8]byte

// replica returns the id of the announcer's replica in its epoch, 0 for none.
func (a Announcement) replica(peer sm.PeerID) uint64 {
	if a.Epoch.IsZero() {
		return 0
	}
	return replicaID(peer, a.Epoch, a.Incarnation)
}

var errAnnouncement = errors.New("malformed announcement")

func (a Announcement) append(b []byte) []byte {
	var flags byte
	if a.Role.Observer {
		flags |= flagObserver
	}
	if a.Opened {
		flags |= flagOpened
	}
	if a.Poisoned {
		flags |= flagPoisoned
	}
	if a.Leads {
		flags |= flagLeads
	}
	if a.Votes {
		flags |= flagVotes
	}
	b = append(b, announcementVersion, byte(a.Phase), flags, byte(a.Role.Factor))
	b = append(b, a.Incarnation[:]...)
	b = append(b, a.Epoch[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(a.Count))
	b = binary.BigEndian.AppendUint16(b, uint16(a.Policy.Expected))
	b = binary.BigEndian.AppendUint16(b, uint16(a.Policy.Minimum))
	b = binary.BigEndian.AppendUint16(b, uint16(a.Policy.Maximum))
	b = binary.BigEndian.AppendUint64(b, uint64(a.Policy.Grace))
	b = binary.BigEndian.AppendUint64(b, a.Change)
	b = append(b, a.Schema[:]...)
	return append(b, a.Process[:]...)
}

func parseAnnouncement(b []byte) (Announcement, error) {
	if len(b) == 0 || b[0] != announcementVersion {
		return Announcement{}, fmt.Errorf("%w: version is not %d", errAnnouncement, announcementVersion)
	}
	if len(b) != announcementSize {
		return Announcement{}, fmt.Errorf("%w: %d bytes, not %d", errAnnouncement, len(b), announcementSize)
	}
	a := Announcement{
		Phase:    Phase(b[1]),
		Role:     Role{Observer: b[2]&flagObserver != 0, Factor: int(b[3])},
		Opened:   b[2]&flagOpened != 0,
		Poisoned: b[2]&flagPoisoned != 0,
		Leads:    b[2]&flagLeads != 0,
		Votes:    b[2]&flagVotes != 0,
		Tenure:   Tenure{Incarnation(b[4:20]), Process(b[74:])},
		Epoch:    Epoch(b[20:36]),
		Count:    sm.Index(binary.BigEndian.Uint64(b[36:])),
		Policy: Policy{
			Expected: int(binary.BigEndian.Uint16(b[44:])),
			Minimum:  int(binary.BigEndian.Uint16(b[46:])),
			Maximum:  int(binary.BigEndian.Uint16(b[48:])),
			Grace:    time.Duration(binary.BigEndian.Uint64(b[50:])),
		},
		Change: binary.BigEndian.Uint64(b[58:]),
		Schema: Schema(b[66:74]),
	}
	switch {
	case a.Phase > Leaving:
		return Announcement{}, fmt.Errorf("%w: unknown %v", errAnnouncement, a.Phase)
	case b[2]&^knownFlags != 0:
		return Announcement{}, fmt.Errorf("%w: unknown flags %#x", errAnnouncement, b[2])
	case a.Role.Factor < 1:
		return Announcement{}, fmt.Errorf("%w: reluctance factor 0", errAnnouncement)
	case (a.Phase == CatchingUp || a.Phase == CaughtUp) && a.Epoch.IsZero():
		return Announcement{}, fmt.Errorf("%w: %v in no epoch", errAnnouncement, a.Phase)
	}
	return a, nil
}
