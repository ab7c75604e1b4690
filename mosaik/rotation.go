package mosaik

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/sm"
)

// Rotate returns a key with which the members prove the secrets of next, and
// none of k's, while the group keeps the id that it has under k. Rotating
// repeatedly keeps the id of the first key. The result is the zero GroupKey when
// k or next is.
//
// To change the secret of a living group, restart its members one by one with
// k.Rotate(next).Accepting(k), and when all run with that, one by one with
// k.Rotate(next). Members with either of two successive keys bond, so that the
// group never loses its quorum. What k kept out stays out; who learned k is out
// once the last member runs with k.Rotate(next).
func (k GroupKey) Rotate(next GroupKey) GroupKey {
	if k.IsZero() || next.IsZero() {
		return GroupKey{}
	}
	m := next.material()
	m.anchor = k.Anchor()
	return newKey(m)
}

// Accepting returns a key that also proves, and accepts proofs of, all secrets
// of the others, whatever groups those are of: members bond when they have a
// secret in common. A key holds at most four secrets in all; joining with more
// is an error. The result is the zero GroupKey when k or one of the others is.
func (k GroupKey) Accepting(others ...GroupKey) GroupKey {
	if k.IsZero() || slices.ContainsFunc(others, GroupKey.IsZero) {
		return GroupKey{}
	}
	m := k.material()
	m.accepted = slices.Clone(m.accepted)
	for _, o := range others {
		m.accepted = append(m.accepted, o.secrets()...)
	}
	m.accepted = slices.DeleteFunc(m.accepted, func(d sm.Digest) bool { return d == m.secret })
	slices.SortFunc(m.accepted, func(a, b sm.Digest) int { return sm.PeerID(a).Compare(sm.PeerID(b)) })
	m.accepted = slices.Compact(m.accepted)
	return newKey(m)
}

// Anchor returns the hash of the first secret, which the ids of the key's groups
// are made of and which stays when the key is rotated. It proves nothing; who
// knows it can compute the group's id, which is public on the network. Kept, it
// lets [KeyFromAnchor] do without the first secret. The zero GroupKey has the
// zero anchor.
func (k GroupKey) Anchor() sm.Digest { return k.material().anchor }

// KeyFromAnchor returns the key of the groups that an anchor stands for, with
// the secrets of current: what [GroupKey.Rotate] returns where the first key is
// not at hand any more. A zero anchor or current key is an error.
func KeyFromAnchor(anchor sm.Digest, current GroupKey) (GroupKey, error) {
	switch {
	case anchor.IsZero():
		return GroupKey{}, errors.New("mosaik: make group key: the anchor is all zeros; get it from Anchor")
	case current.IsZero():
		return GroupKey{}, errors.New("mosaik: make group key: the current key is zero")
	}
	m := current.material()
	m.anchor = anchor
	return newKey(m), nil
}

// exportPrefix begins the text of an exported key. It cannot be read as the text
// of KeyFromText by mistake: ParseKey requires it.
const exportPrefix = "mosaik-key-1"

// Export returns the whole key as text, secrets included, for [ParseKey]: keep
// it as the secret that it is. It is the only way to take a key out of the
// process. The zero GroupKey gives "".
//
// The text is mosaik-key-1, the anchor, the current secret and the others that
// are accepted, joined by colons; each but the first is 64 hexadecimal digits.
func (k GroupKey) Export() string {
	if k.IsZero() {
		return ""
	}
	parts := []string{exportPrefix, k.Anchor().String()}
	for _, secret := range k.secrets() {
		parts = append(parts, secret.String())
	}
	return strings.Join(parts, ":")
}

// ParseKey returns the key of which text is the export, with white space around
// it ignored. Errors name what is wrong, and never show the text.
func ParseKey(text string) (GroupKey, error) {
	fail := func(format string, args ...any) (GroupKey, error) {
		return GroupKey{}, fmt.Errorf("mosaik: parse group key: "+format, args...)
	}
	parts := strings.Split(strings.TrimSpace(text), ":")
	switch {
	case parts[0] != exportPrefix:
		return fail("it does not begin with %s:; texts that Export did not make are for KeyFromText", exportPrefix)
	case len(parts) < 3 || len(parts) > 2+bond.MaxSecrets:
		return fail("it has %d parts; an anchor and 1 to %d secrets are expected after %s", len(parts), bond.MaxSecrets, exportPrefix)
	}
	digests := make([]sm.Digest, len(parts)-1)
	for i, part := range parts[1:] {
		d, err := sm.ParseDigest(part)
		if err != nil || d.IsZero() {
			return fail("part %d is not 64 hexadecimal digits that are not all zeros", i+2)
		}
		digests[i] = d
	}
	k := newKey(keyMaterial{anchor: digests[0], secret: digests[1]})
	for _, d := range digests[2:] {
		k = k.Accepting(newKey(keyMaterial{secret: d}))
	}
	return k, nil
}

// secrets returns all secrets, the current one first.
func (k GroupKey) secrets() []sm.Digest {
	if k.IsZero() {
		return nil
	}
	m := k.material()
	return append([]sm.Digest{m.secret}, m.accepted...)
}
