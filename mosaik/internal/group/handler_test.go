package group

import "testing"

// TestUnknownMessagesAreIgnored parses a message of each kind. A message of an unknown kind comes
// from a newer program and is ignored. A message of a known kind must have its form.
func TestUnknownMessagesAreIgnored(t *testing.T) {
	t.Parallel()
	g := &Group{}
	announcement := fullAnnouncement().append([]byte{messageAnnounce})
	for kind := range 256 {
		for _, body := range [][]byte{nil, {1, 2, 3}} {
			handle, err := g.parseMessage(append([]byte{byte(kind)}, body...))
			known := kind >= messageAnnounce && kind <= messageSuperseded || kind == messageGoodbye
			isEmptyAnnouncement := kind == messageAnnounce && body == nil
			if got := err != nil; got != (known && !isEmptyAnnouncement) || (handle != nil) != isEmptyAnnouncement {
				t.Errorf("kind %d with %d bytes: handled %t, error %v", kind, len(body), handle != nil, err)
			}
		}
	}
	for name, payload := range map[string][]byte{
		"an empty message":           {},
		"an announcement cut off":    announcement[:len(announcement)-1],
		"another policy":             announcement,
		"a removal that is too long": append([]byte{messageRemoved}, make([]byte, 25)...),
		"too many voters":            append([]byte{messageGoodbye}, make([]byte, 40+8*(maxGoodbyeVoters+1))...),
	} {
		if handle, err := g.parseMessage(payload); err == nil || handle != nil {
			t.Errorf("%s: handled %t, error %v; want an error", name, handle != nil, err)
		}
	}
	for kind, size := range map[byte]int{messageRemoved: 24, messageSealed: 24, messageSuperseded: 32, messageGoodbye: 40 + 8*maxGoodbyeVoters} {
		if handle, err := g.parseMessage(append([]byte{kind}, make([]byte, size)...)); err != nil || handle == nil {
			t.Errorf("kind %d with %d bytes: handled %t, error %v", kind, size, handle != nil, err)
		}
	}
}
