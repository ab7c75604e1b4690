package discovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// The limits of an entry. An entry that exceeds one is neither signed nor accepted.
const (
	MaxAddrs          = 16        // addresses
	MaxAddr           = 255       // bytes of one address
	MaxGroups         = 4096      // groups
	MaxTags           = 64        // tags
	MaxTag            = 64        // bytes of one tag
	MaxExtensions     = 64        // extensions
	MaxExtensionBytes = 64 << 10  // bytes of all extensions' data together
	MaxSize           = 256 << 10 // bytes of a signed entry
)

// ErrEntry reports an entry that breaks a rule: malformed bytes, a wrong signature, or a
// limit that is exceeded.
var ErrEntry = errors.New("bad entry")

// ErrIncompatible reports an [ErrEntry] that an honest peer may have relayed: an entry of
// another format version, or one whose owner signed it although it breaks a rule of this
// program. Another version of the program may not have that rule.
var ErrIncompatible = fmt.Errorf("%w: of another version", ErrEntry)

// Entry is what a peer states about itself.
type Entry struct {
	Peer    sm.PeerID
	Network sm.Digest
	Version uint64 // of two entries of a peer the higher version is valid

	Addrs  []string    // host:port on which the peer listens, printable ASCII, best first; may be empty
	Groups []sm.Digest // ids of the groups that the peer has joined, ascending
	Tags   []string    // words chosen by the operator, ascending

	// Extensions hold what later versions add. They are signed with the rest. Peers that do
	// not know a type keep and relay it. Types ascend; extensions of one type keep their
	// order.
	Extensions []Extension
}

// Extension is a part of an entry. Its type gives the data its meaning.
type Extension struct {
	Type uint16
	Data []byte
}

// HasGroup reports whether the entry lists the group.
func (e *Entry) HasGroup(group sm.Digest) bool {
	_, found := slices.BinarySearchFunc(e.Groups, group, compareDigests)
	return found
}

// Extension returns the data of the extensions of one type, in their order. The caller must
// not change the data.
func (e *Entry) Extension(kind uint16) [][]byte {
	var data [][]byte
	for _, x := range e.Extensions {
		if x.Type == kind {
			data = append(data, x.Data)
		}
	}
	return data
}

// Clone returns a copy that shares nothing with e.
func (e *Entry) Clone() Entry {
	c := *e
	c.Addrs = slices.Clone(e.Addrs)
	c.Groups = slices.Clone(e.Groups)
	c.Tags = slices.Clone(e.Tags)
	c.Extensions = slices.Clone(e.Extensions)
	for i, x := range c.Extensions {
		c.Extensions[i].Data = slices.Clone(x.Data)
	}
	return c
}

// sort brings the entry into its canonical order. Groups and tags are sets.
func (e *Entry) sort() {
	slices.SortFunc(e.Groups, compareDigests)
	e.Groups = slices.Compact(e.Groups)
	slices.Sort(e.Tags)
	e.Tags = slices.Compact(e.Tags)
	slices.SortStableFunc(e.Extensions, func(a, b Extension) int { return int(a.Type) - int(b.Type) })
}

// check returns an error if the entry breaks a rule. It holds for entries that this peer
// signs and for those that it parses.
func (e *Entry) check() error {
	switch {
	case e.Peer.IsZero():
		return fmt.Errorf("%w: the peer is zero", ErrEntry)
	case e.Network.IsZero():
		return fmt.Errorf("%w: the network is zero", ErrEntry)
	case len(e.Addrs) > MaxAddrs:
		return tooMany("addresses", len(e.Addrs), MaxAddrs)
	case len(e.Groups) > MaxGroups:
		return tooMany("groups", len(e.Groups), MaxGroups)
	case len(e.Tags) > MaxTags:
		return tooMany("tags", len(e.Tags), MaxTags)
	case len(e.Extensions) > MaxExtensions:
		return tooMany("extensions", len(e.Extensions), MaxExtensions)
	}
	for i, addr := range e.Addrs {
		if err := checkAddr(addr); err != nil {
			return err
		}
		if slices.Contains(e.Addrs[:i], addr) {
			return fmt.Errorf("%w: address %q is listed twice", ErrEntry, addr)
		}
	}
	for i := range e.Groups {
		if i > 0 && compareDigests(e.Groups[i-1], e.Groups[i]) >= 0 {
			return fmt.Errorf("%w: the groups do not ascend", ErrEntry)
		}
	}
	for i, tag := range e.Tags {
		switch {
		case tag == "" || len(tag) > MaxTag || !isPrintable(tag):
			return fmt.Errorf("%w: tag %q is not 1 to %d bytes of printable UTF-8", ErrEntry, tag, MaxTag)
		case i > 0 && e.Tags[i-1] >= tag:
			return fmt.Errorf("%w: the tags do not ascend", ErrEntry)
		}
	}
	size := 0
	for i, x := range e.Extensions {
		if i > 0 && e.Extensions[i-1].Type > x.Type {
			return fmt.Errorf("%w: the extensions' types do not ascend", ErrEntry)
		}
		size += len(x.Data)
	}
	if size > MaxExtensionBytes {
		return fmt.Errorf("%w: the extensions hold %d bytes, at most %d are allowed", ErrEntry, size, MaxExtensionBytes)
	}
	return nil
}

func tooMany(what string, n, most int) error {
	return fmt.Errorf("%w: it has %d %s, at most %d are allowed", ErrEntry, n, what, most)
}

func compareDigests(a, b sm.Digest) int { return sm.PeerID(a).Compare(sm.PeerID(b)) }

// Signed is an entry with its owner's signature. Only [Sign] and [Parse] make one, so the
// signature of a Signed that is not zero is valid. It is immutable: its slices must not be
// changed.
type Signed struct {
	Entry
	raw []byte
}

// Bytes returns the signed bytes, which [Parse] reads. The caller must not
// change them.
func (s Signed) Bytes() []byte { return s.raw }

// IsZero reports whether s is the zero Signed, which is no entry.
func (s Signed) IsZero() bool { return s.raw == nil }

// Sign returns a copy of the entry in canonical order, signed by its owner. A zero Peer
// becomes the identity's. Another peer's id, and an entry that breaks a rule, are
// [ErrEntry].
func Sign(id link.Identity, e Entry) (Signed, error) {
	e = e.Clone()
	if e.Peer.IsZero() {
		e.Peer = id.Peer()
	}
	if e.Peer != id.Peer() {
		return Signed{}, fmt.Errorf("%w: sign: peer %s cannot sign for peer %s", ErrEntry, id.Peer().Short(), e.Peer.Short())
	}
	e.sort()
	if err := e.check(); err != nil {
		return Signed{}, fmt.Errorf("sign: %w", err)
	}
	body := appendBody(nil, &e)
	return Signed{Entry: e, raw: append(body, id.Sign(signed(body))...)}, nil
}

// isPrintable reports whether s is UTF-8 without control characters, line breaks and changes
// of direction, which could forge lines of a log.
func isPrintable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
