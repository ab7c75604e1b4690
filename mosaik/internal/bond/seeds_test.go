package bond

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"sync"
)

// orderedSeeds returns the seeds of keys in the order of their peer ids, so that tests know which
// end selects connections.
var orderedSeeds = sync.OnceValue(func() [][]byte {
	var seeds [][]byte
	for i := range 64 {
		seeds = append(seeds, bytes.Repeat([]byte{byte(i + 1)}, ed25519.SeedSize))
	}
	public := func(seed []byte) []byte {
		return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	}
	slices.SortFunc(seeds, func(a, b []byte) int { return bytes.Compare(public(a), public(b)) })
	return seeds
})
