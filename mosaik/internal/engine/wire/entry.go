package wire

import (
	"fmt"

	pb "github.com/lni/dragonboat/v4/raftpb"

	"github.com/mosaik-go/mosaik/sm"
)

// ProposalClient is the client id in the entries of all proposals.
const ProposalClient uint64 = 1

// PlainPayload is the first byte of an entry that holds a payload in dragonboat's
// encoding: version 0, not compressed, no session.
const PlainPayload = 0

// Payload returns the data that was proposed, which aliases the entry. dragonboat puts a
// byte before it that names its encoding; mosaik never lets dragonboat compress entries.
func Payload(e *pb.Entry) ([]byte, error) {
	switch {
	case e.Type == pb.ApplicationEntry:
		return e.Cmd, nil
	case e.Type == pb.EncodedEntry && len(e.Cmd) > 0 && e.Cmd[0] == PlainPayload:
		return e.Cmd[1:], nil
	}
	return nil, fmt.Errorf("engine: read proposal at %d: no replica of mosaik writes an entry of type %d and %d bytes",
		e.Index, e.Type, len(e.Cmd))
}

// checkEntry accepts the entries that replicas of mosaik write: proposals, the empty entry
// of a new leader, and membership changes.
func checkEntry(e *pb.Entry) error {
	switch {
	case e.Type == pb.ConfigChangeEntry && (e.ClientID != 0 || e.SeriesID != 0 || e.RespondedTo != 0):
		return fmt.Errorf("%w: membership change of client %d, series %d", ErrBad, e.ClientID, e.SeriesID)
	case e.Type == pb.ConfigChangeEntry:
		var change pb.ConfigChange
		if err := Unmarshal(&change, e.Cmd); err != nil {
			return err
		}
		return checkChange(&change)
	case e.Type == pb.ApplicationEntry && len(e.Cmd) == 0 && e.ClientID == 0 && e.SeriesID == 0 && e.RespondedTo == 0:
		return nil
	case e.ClientID != ProposalClient || e.SeriesID != 0 || e.RespondedTo != 0 || e.Key == 0:
		return fmt.Errorf("%w: entry of client %d, series %d", ErrBad, e.ClientID, e.SeriesID)
	case e.Type == pb.ApplicationEntry && len(e.Cmd) == 0:
		return nil
	case e.Type == pb.EncodedEntry && len(e.Cmd) > 1 && e.Cmd[0] == PlainPayload:
		return nil
	}
	return fmt.Errorf("%w: entry of type %d with %d bytes", ErrBad, e.Type, len(e.Cmd))
}

func checkChange(c *pb.ConfigChange) error {
	if c.ReplicaID == 0 {
		return fmt.Errorf("%w: a membership change of replica 0", ErrBad)
	}
	switch c.Type {
	case pb.RemoveNode:
		return nil
	case pb.AddNode, pb.AddNonVoting:
		if ValidTarget(c.Address) {
			return nil
		}
	}
	return fmt.Errorf("%w: membership change of type %d with target %q", ErrBad, c.Type, c.Address)
}

// ValidTarget reports whether s is a target as mosaik writes it: the text form of a peer
// id other than zero. It does not allocate, since dragonboat asks for each message that
// it receives.
func ValidTarget(s string) bool {
	if len(s) != 2*len(sm.PeerID{}) {
		return false
	}
	isZero := true
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
		isZero = isZero && c == '0'
	}
	return !isZero
}
