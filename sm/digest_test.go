package sm_test

import (
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/sm"
)

// The test key and its text form, from which several vectors start.
const keyText = "5094fec74e8100087263e20cc010b7a3f46d37247e64b0be1c7faae7aac863b4"

func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// u128 is the little-endian form of the numbers in the consensus digest.
func u128(v uint64) []byte { return append(u64(v), make([]byte, 8)...) }

// TestDigestVectors holds the recipes of identities against the digests of the
// original mosaik: an id written down anywhere means the same in both.
func TestDigestVectors(t *testing.T) {
	t.Parallel()
	key := sm.ID("test-key")
	consensus := sm.Parts(u128(500), u128(150), u128(10))
	spec := sm.NoOp{}.Spec()
	replay := sm.ID("mosaik_log_replay_sync").Derive([]byte(spec.Name)).Derive(u64(2000)).Derive(u64(25))
	group := key.Hashed().Derive(consensus[:]).Derive(spec.Signature[:]).Derive(replay[:])
	validator := sm.ID("validator-a")
	for _, tt := range []struct {
		name string
		got  sm.Digest
		want string
	}{
		{"id", sm.ID("counter_v1"), "1c519b0b8c364a91969d643d60425dcc4813e50ff45bfaafe7de672f39e738f0"},
		{"derive", sm.ID("counter_v1").Derive([]byte("x")), "1ae06256f648bb7bee42baac124a6d2bdb350a3f850e746933854d4320f61de1"},
		{"hashed", sm.ID("counter_v1").Hashed(), "1fc612f7d967655915928b4827c89a5734ae7e643fbded2e0c8fab41d70bf625"},
		{"key", key, keyText},
		{"hashed key", key.Hashed(), "06a3e70c62756927108c0f6c539d80a9a9e78b0a934841ab72ad49d8ddd4e19d"},
		{"consensus digest", consensus, "adfe74a86dd01a601b37bf2fa5b6bb292ac49656393b7e0ad47f7766c5bb8022"},
		{"no-op machine's signature", spec.Signature, "8149f518646f75ad984e3d0256bff30e9256ec4659057f2bfe8f57282bb0cf61"},
		{"no-op machine's log replay", replay, "eaaef1b2c7c7717fda72accddba9b23ba259f2b149ceb20e365253e58f667d64"},
		{"group", group, "2657d6e273e1373242327cafc6301c5b98059c18f80b54acf0da68266f87104e"},
		{"group with a validator", group.Derive(validator[:]), "2250323d559f7dc5d6013de80af0b0d1d21ca6f7602f72642255fe788d3e74c3"},
		{"hexadecimal id", sm.ID(keyText), keyText},
		{"upper-case id", sm.ID(strings.ToUpper(keyText)), keyText},
		{"parts", sm.Parts([]byte("cou"), nil, []byte("nter_v1")), "1c519b0b8c364a91969d643d60425dcc4813e50ff45bfaafe7de672f39e738f0"},
	} {
		if got := tt.got.String(); got != tt.want {
			t.Errorf("%s = %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestIDHashesWhatIsNotHexadecimal(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", keyText[:63], keyText + "0", keyText + "00", keyText[:63] + "g", " " + keyText[:63], string(make([]byte, 32))} {
		if got, want := sm.ID(s), sm.Parts([]byte(s)); got != want {
			t.Errorf("ID(%q) = %s, want the hash %s", s, got, want)
		}
	}
}

func TestDigestText(t *testing.T) {
	t.Parallel()
	d := sm.ID("test-key")
	if got := d.Short(); got != keyText[:10] {
		t.Errorf("Short = %q, want %q", got, keyText[:10])
	}
	if d.IsZero() || !(sm.Digest{}).IsZero() {
		t.Error("IsZero must hold for the zero digest alone")
	}
	for _, text := range []string{keyText, strings.ToUpper(keyText)} {
		if got, err := sm.ParseDigest(text); err != nil || got != d {
			t.Errorf("ParseDigest(%q) = %s, %v; want %s", text, got, err, d)
		}
	}
	type named struct{ Digest sm.Digest }
	b, err := json.Marshal(named{d})
	if want := `{"Digest":"` + keyText + `"}`; err != nil || string(b) != want {
		t.Errorf("as JSON %s, %v; want %s", b, err, want)
	}
	var back named
	if err := json.Unmarshal(b, &back); err != nil || back.Digest != d {
		t.Errorf("from JSON %s, %v; want %s", back.Digest, err, d)
	}
}

func TestPeerIDText(t *testing.T) {
	t.Parallel()
	p := sm.PeerID(sm.ID("test-key"))
	if p.String() != keyText || p.Short() != keyText[:10] {
		t.Errorf("String, Short = %q, %q; want %q and its start", p, p.Short(), keyText)
	}
	if p.IsZero() || !(sm.PeerID{}).IsZero() {
		t.Error("IsZero must hold for the zero peer id alone")
	}
	for _, text := range []string{keyText, strings.ToUpper(keyText)} {
		if got, err := sm.ParsePeerID(text); err != nil || got != p {
			t.Errorf("ParsePeerID(%q) = %s, %v; want %s", text, got, err, p)
		}
	}
	b, err := json.Marshal(map[sm.PeerID]int{p: 1})
	if want := `{"` + keyText + `":1}`; err != nil || string(b) != want {
		t.Errorf("as JSON key %s, %v; want %s", b, err, want)
	}
	var back map[sm.PeerID]int
	if err := json.Unmarshal(b, &back); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[sm.PeerID]int{p: 1}, back); diff != "" {
		t.Errorf("from JSON (-want +got):\n%s", diff)
	}
}

func TestTextErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, digest, peer string }{
		{"", "sm: a digest is 64 hexadecimal digits, not 0 characters", "sm: parse peer id: sm: a digest is 64 hexadecimal digits, not 0 characters"},
		{keyText[:62], "sm: a digest is 64 hexadecimal digits, not 62 characters", "sm: parse peer id: sm: a digest is 64 hexadecimal digits, not 62 characters"},
		{"x" + keyText[1:], "sm: a digest is 64 hexadecimal digits: encoding/hex: invalid byte: U+0078 'x'", "sm: parse peer id: sm: a digest is 64 hexadecimal digits: encoding/hex: invalid byte: U+0078 'x'"},
	} {
		d, p := sm.ID("kept"), sm.PeerID(sm.ID("kept"))
		for _, text := range []struct {
			into encoding.TextUnmarshaler
			want string
		}{{&d, tt.digest}, {&p, tt.peer}} {
			err := text.into.UnmarshalText([]byte(tt.text))
			if !errors.Is(err, sm.ErrDigest) || err.Error() != text.want {
				t.Errorf("UnmarshalText(%q) into %T: %v, want %q", tt.text, text.into, err, text.want)
			}
		}
		if d != sm.ID("kept") || p != sm.PeerID(d) {
			t.Errorf("UnmarshalText(%q) changed its target on error", tt.text)
		}
		if d, err := sm.ParseDigest(tt.text); err == nil || !d.IsZero() {
			t.Errorf("ParseDigest(%q) = %s, %v; want zero and an error", tt.text, d, err)
		}
		if p, err := sm.ParsePeerID(tt.text); err == nil || !p.IsZero() {
			t.Errorf("ParsePeerID(%q) = %s, %v; want zero and an error", tt.text, p, err)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	low, high := sm.PeerID{0: 1, 31: 9}, sm.PeerID{0: 2}
	if low.Compare(high) != -1 || high.Compare(low) != 1 || low.Compare(low) != 0 {
		t.Error("peer ids are not ordered by their bytes")
	}
	for _, tt := range []struct {
		a, b sm.Cursor
		want int
	}{
		{sm.Cursor{Term: 1, Index: 9}, sm.Cursor{Term: 2, Index: 1}, -1},
		{sm.Cursor{Term: 2, Index: 1}, sm.Cursor{Term: 2, Index: 2}, -1},
		{sm.Cursor{Term: 2, Index: 2}, sm.Cursor{Term: 2, Index: 2}, 0},
		{sm.Cursor{Term: 3}, sm.Cursor{Term: 2, Index: 2}, 1},
	} {
		if got := tt.a.Compare(tt.b); got != tt.want {
			t.Errorf("%s compared with %s is %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := tt.b.Compare(tt.a); got != -tt.want {
			t.Errorf("%s compared with %s is %d, want %d", tt.b, tt.a, got, -tt.want)
		}
	}
	if got := (sm.Cursor{Term: 3, Index: 17}).String(); got != "t3/i17" {
		t.Errorf("a cursor prints as %q, want t3/i17", got)
	}
}
