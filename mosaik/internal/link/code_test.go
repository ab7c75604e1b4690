package link

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRefusedErrorSaysWhoAndWhy(t *testing.T) {
	t.Parallel()
	peer := identityOf(t, 1).Peer()
	got := map[Code]string{}
	for _, code := range []Code{
		CodeAccepted, CodeOtherNetwork, CodeCancelled, CodeUnexpectedClose, CodeProtocolViolation, CodeUnknownPeer, CodeUndecodable,
		CodeTicketRefused, CodeUnknownGroup, CodeWrongProof, CodeTimeout, CodeAlreadyBonded, 7,
	} {
		got[code] = (&RefusedError{Peer: peer, Code: code}).Error()
	}
	prefix := "link: peer 8a88e3dd74 refused: "
	want := map[Code]string{
		0:     prefix + "0, accepted",
		7:     prefix + "7, code without a name",
		101:   prefix + "101, other network",
		102:   prefix + "102, cancelled or leaving",
		103:   prefix + "103, unexpected close",
		400:   prefix + "400, protocol violation",
		401:   prefix + "401, unknown peer",
		30400: prefix + "30400, undecodable message",
		30403: prefix + "30403, ticket refused",
		30404: prefix + "30404, unknown group",
		30405: prefix + "30405, wrong proof of the group key",
		30408: prefix + "30408, timed out",
		30429: prefix + "30429, already bonded",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors differ (-want +got):\n%s", diff)
	}
}
