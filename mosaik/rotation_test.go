package mosaik

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

func TestRotatedKeyKeepsTheIDAndProvesTheNewSecret(t *testing.T) {
	t.Parallel()
	first, second, third := textKey(t, "first"), textKey(t, "second"), textKey(t, "third")
	rotated := first.Rotate(second).Rotate(third)
	if m := rotated.material(); m.anchor != sm.ID("first").Hashed() || m.secret != sm.ID("third") || m.accepted != nil {
		t.Errorf("material of the rotated key is %v, want the anchor of the first and the last secret", m)
	}
	id := func(key GroupKey) sm.Digest {
		return groupID(key, consensus.Config{}, sm.ID("machine"), sm.ID("sync"), nil)
	}
	if id(rotated) != id(first) || id(rotated) == id(third) {
		t.Error("rotation changed the group id")
	}

	type pair struct{ A, B GroupKey }
	for name, p := range map[string]pair{
		"another secret": {rotated, first},
		"another anchor": {rotated, third},
		"other path":     {rotated, second.Rotate(third)},
		"none":           {rotated, GroupKey{}},
	} {
		if p.A.Equal(p.B) || p.B.Equal(p.A) {
			t.Errorf("%s: %v and %v are equal", name, p.A, p.B)
		}
	}
	if !rotated.Equal(first.Rotate(third)) || !cmp.Equal(pair{first, rotated}, pair{first, first.Rotate(third)}) {
		t.Error("rotation through a middle key differs from a direct one")
	}
	if !(GroupKey{}).Equal(GroupKey{}) {
		t.Error("the zero key is not equal to itself")
	}
	// Neither half of a rotation may be missing.
	if !first.Rotate(GroupKey{}).IsZero() || !(GroupKey{}).Rotate(first).IsZero() {
		t.Error("rotation with no key gives a key")
	}
}

func TestAcceptingHoldsEverySecret(t *testing.T) {
	t.Parallel()
	first, second, third := textKey(t, "first"), textKey(t, "second"), textKey(t, "third")
	secrets := func(names ...string) []sm.Digest {
		all := make([]sm.Digest, len(names))
		for i, n := range names {
			all[i] = sm.ID(n)
		}
		slices.SortFunc(all[1:], func(a, b sm.Digest) int { return sm.PeerID(a).Compare(sm.PeerID(b)) })
		return all
	}
	for name, c := range map[string]struct {
		key  GroupKey
		want []sm.Digest
	}{
		"none":               {first, secrets("first")},
		"after a rotation":   {first.Rotate(second).Accepting(first), secrets("second", "first")},
		"before a rotation":  {first.Accepting(second), secrets("first", "second")},
		"itself":             {first.Accepting(first), secrets("first")},
		"one twice":          {first.Accepting(second, second).Accepting(second), secrets("first", "second")},
		"what another holds": {first.Accepting(second.Accepting(third)), secrets("first", "second", "third")},
		"rotated away":       {first.Accepting(second).Rotate(third), secrets("third")},
		"rotated to both":    {first.Rotate(second.Accepting(first)), secrets("second", "first")},
	} {
		if diff := cmp.Diff(c.want, c.key.secrets()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if c.key.anchor() != first.anchor() {
			t.Errorf("%s: the anchor changed", name)
		}
	}
	if !first.Accepting(second, third).Equal(first.Accepting(third).Accepting(second)) {
		t.Error("the order in which secrets are accepted matters")
	}
	for name, p := range map[string][2]GroupKey{
		"one more":    {first, first.Accepting(second)},
		"another":     {first.Accepting(third), first.Accepting(second)},
		"the current": {first.Rotate(second).Accepting(first), first.Accepting(second)},
	} {
		if p[0].Equal(p[1]) || p[1].Equal(p[0]) {
			t.Errorf("%s: keys with other secrets are equal", name)
		}
	}
	if !first.Accepting(second, GroupKey{}).IsZero() || !(GroupKey{}).Accepting(first).IsZero() || !(GroupKey{}).Accepting().IsZero() {
		t.Error("accepting with no key gives a key")
	}
}

func TestExportedKeysParse(t *testing.T) {
	t.Parallel()
	first, second, third := textKey(t, "first"), textKey(t, "second"), textKey(t, "third")
	for name, key := range map[string]GroupKey{
		"random": RandomKey(), "text": first, "rotated": first.Rotate(second),
		"accepting": first.Rotate(second).Accepting(first, third), "most": first.Accepting(second, third, RandomKey()),
	} {
		text := key.Export()
		if got, err := KeyFromText(" " + text + "\n"); err != nil || !got.Equal(key) {
			t.Errorf("%s: read as %v, %v, want %v", name, got, err, key)
		}
		digits := exportPrefix + strings.ToUpper(text[len(exportPrefix):])
		if got, err := KeyFromText(digits); err != nil || !got.Equal(key) {
			t.Errorf("%s in upper case: read as %v, %v, want %v", name, got, err, key)
		}
	}
	want := fmt.Sprintf("mosaik-key-1:%s:%s", sm.ID("test-key").Hashed(), testKeyHex)
	if got := textKey(t, "test-key").Export(); got != want {
		t.Errorf("exported as %s, want %s", got, want)
	}
	if got := (GroupKey{}).Export(); got != "" {
		t.Errorf("no key is exported as %s", got)
	}
}

// TestExportedKeysAreChecked holds that no damaged export is taken for the text of
// another key.
func TestExportedKeysAreChecked(t *testing.T) {
	t.Parallel()
	whole := textKey(t, "test-key").Export()
	for name, c := range map[string]struct{ text, want string }{
		"other version":  {strings.Replace(whole, "-1", "-2", 1), "does not begin with"},
		"no parts":       {exportPrefix, "it has 1 parts: must be mosaik-key-1, a hash and 1 to 4 secrets"},
		"no secret":      {whole[:len(exportPrefix)+65], "it has 2 parts"},
		"five secrets":   {whole + strings.Repeat(":"+testKeyHex, 4), "it has 7 parts"},
		"cut off":        {whole[:len(whole)-1], "part 3 is not"},
		"no hexadecimal": {whole[:len(whole)-1] + "g", "part 3 is not"},
		"zero anchor":    {exportPrefix + ":" + strings.Repeat("0", 64) + ":" + testKeyHex, "part 2 is not"},
		"zero secret":    {whole + ":" + strings.Repeat("0", 64), "part 4 is not"},
		"space within":   {strings.Replace(whole, ":", ": ", 1), "part 2 is not"},
	} {
		key, err := KeyFromText(c.text)
		if err == nil || !key.IsZero() || !strings.HasPrefix(err.Error(), "mosaik: make group key: read exported key: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want an error with %q", name, key, err, c.want)
		}
		if err != nil && leak(err.Error()) != "" {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}
