package sm_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// TestBLAKE3Vectors compares digests with the official test vectors of BLAKE3. Of the
// vectors the first 32 bytes of hash apply: a digest is the hash of default length.
// Longer outputs, keyed_hash and derive_key are other modes, which nothing here uses;
// Derive hashes a digest and bytes behind it.
func TestBLAKE3Vectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/blake3/test_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Cases []struct {
			Length int    `json:"input_len"`
			Hash   string `json:"hash"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Cases) < 35 {
		t.Fatalf("found %d vectors, want 35 or more", len(vectors.Cases))
	}
	for _, c := range vectors.Cases {
		hash, err := hex.DecodeString(c.Hash)
		if err != nil {
			t.Fatal(err)
		}
		want := sm.Digest(hash[:sm.DigestSize])
		input := make([]byte, c.Length)
		for i := range input {
			input[i] = byte(i % 251)
		}
		half := c.Length / 2
		for name, got := range map[string]sm.Digest{
			"in one part":    sm.Parts(input),
			"in three parts": sm.Parts(input[:half], nil, input[half:]),
			"as a name":      sm.ID(string(input)),
		} {
			if got != want {
				t.Errorf("%d bytes %s: %s, want %s", c.Length, name, got, want)
			}
		}
		if c.Length >= sm.DigestSize {
			if got := sm.Digest(input[:sm.DigestSize]).Derive(input[sm.DigestSize:]); got != want {
				t.Errorf("%d bytes, derived: %s, want %s", c.Length, got, want)
			}
		}
	}
}
