package wire

import (
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// TestValidTargets compares the check with the text form of peer ids, of which each has one.
func TestValidTargets(t *testing.T) {
	t.Parallel()
	good := sm.PeerID{0: 0x0f, 31: 0xa9}.String()
	targets := []string{"", good, strings.ToUpper(good), good[1:], good + "0", strings.Repeat("0", 64), strings.Repeat("f", 64)}
	for c := range 256 {
		targets = append(targets, good[:63]+string([]byte{byte(c)}))
	}
	for _, s := range targets {
		id, err := sm.ParsePeerID(s)
		want := err == nil && !id.IsZero() && id.String() == s
		if ValidTarget(s) != want {
			t.Errorf("target %q: %v, want %v", s, !want, want)
		}
	}
}
