package mosaik

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mosaik-go/mosaik/mosaik/internal/bond"
	"github.com/mosaik-go/mosaik/sm"
)

// Rotate returns a key with the group ids of k and the secrets of next: it proves those of
// next and none of k's. A key that is rotated repeatedly keeps the ids of the first key. The
// result is the zero GroupKey if k or next is.
//
// To change the secret of a running group, restart its members one by one with
// k.Rotate(next).Accepting(k), and once all run with that, one by one with
// k.Rotate(next). Members with two successive keys of these accept each other, so the
// group keeps its quorum. Once the last member runs with k.Rotate(next), a process that
// knows only k is excluded. Store the rotated key itself ([GroupKey.Export]): next alone
// has other group ids.
func (k GroupKey) Rotate(next GroupKey) GroupKey {
	if k.IsZero() || next.IsZero() {
		return GroupKey{}
	}
	m := next.material()
	m.anchor = k.anchor()
	return newKey(m)
}

// Accepting returns a key that also proves, and accepts proofs of, all secrets of the
// others, which may be keys of other groups. Two members accept each other if their keys
// have a secret in common. A key holds at most four secrets; joining with more is an
// error. The result is the zero GroupKey if k or one of the others is.
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

// anchor returns the hash of the first secret, from which the ids of the key's groups
// are derived. Rotation keeps it. It proves nothing. The zero GroupKey has the zero
// anchor.
func (k GroupKey) anchor() sm.Digest { return k.material().anchor }

// exportName and the version begin the text of an exported key.
const (
	exportName   = "mosaik-key-"
	exportPrefix = exportName + "1"
)

// Export returns the whole key as text, secrets included, for [KeyFromText]. Keep it as
// secret as a password. The zero GroupKey returns "".
//
// The text is mosaik-key-1, the hash of the first secret of a rotated key, the current
// secret, and the other secrets that are accepted, joined by colons. Each part but the
// first is 64 hexadecimal digits.
func (k GroupKey) Export() string {
	if k.IsZero() {
		return ""
	}
	parts := []string{exportPrefix, k.anchor().String()}
	for _, secret := range k.secrets() {
		parts = append(parts, secret.String())
	}
	return strings.Join(parts, ":")
}

// parseExport returns the key that was exported as text.
func parseExport(text string) (GroupKey, error) {
	fail := func(format string, args ...any) (GroupKey, error) {
		return GroupKey{}, fmt.Errorf("mosaik: make group key: read exported key: "+format, args...)
	}
	parts := strings.Split(text, ":")
	switch {
	case parts[0] != exportPrefix:
		return fail("it does not begin with %s:, the only version that this release reads", exportPrefix)
	case len(parts) < 3 || len(parts) > 2+bond.MaxSecrets:
		return fail("it has %d parts: must be %[3]s, a hash and 1 to %[2]d secrets", len(parts), bond.MaxSecrets, exportPrefix)
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
