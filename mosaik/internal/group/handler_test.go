package group

import (
	"log/slog"
	"testing"
)

// A message of a kind that is not known is a newer program's; one that is known
// keeps to its form.
func TestUnknownMessagesAreIgnored(t *testing.T) {
	announcement := fullAnnouncement().append([]byte{messageAnnounce})
	for kind := range 256 {
		for _, body := range [][]byte{nil, {1, 2, 3}} {
			g := &Group{inbox: newInbox(), log: slog.New(slog.DiscardHandler)}
			bondHandler{g}.Message(peerOf("p"), append([]byte{byte(kind)}, body...))
			posted, _ := g.inbox.take()
			known := kind >= messageAnnounce && kind <= messageSuperseded || kind == messageGoodbye
			if got := len(posted) > 0; got != known && (kind != messageAnnounce || body != nil) {
				t.Errorf("kind %d with %d bytes: acted on is %t, want %t", kind, len(body), got, known)
			}
		}
	}
	for name, payload := range map[string][]byte{
		"nothing":                    {},
		"an announcement cut off":    announcement[:len(announcement)-1],
		"a removal that is too long": append([]byte{messageRemoved}, make([]byte, 25)...),
	} {
		g := &Group{inbox: newInbox(), log: slog.New(slog.DiscardHandler)}
		bondHandler{g}.Message(peerOf("p"), payload)
		if posted, _ := g.inbox.take(); len(posted) != 1 {
			t.Errorf("%s: acted on %d times, want once", name, len(posted))
		}
	}
}
