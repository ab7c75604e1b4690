package bad

import (
	crand "crypto/rand"
	"hash/maphash"
	mathrand "math/rand"
	"math/rand/v2"
	"time"

	"github.com/mosaik-go/mosaik/gen/determinism/testdata/zoo/lib"
	"github.com/mosaik-go/mosaik/sm"
)

// Dice draws from the global source.
type Dice struct{ last int }

type Roll struct{}

func (Roll) ApplyTo(m *Dice, _ sm.ApplyContext) (int, error) {
	m.last = rand.IntN(6) + 1 // want `rand.IntN draws a random number; use at.Rand\(\)`
	return m.last, nil
}

// Deck shuffles with a source that is seeded by the clock.
type Deck struct{ cards []int }

type Shuffle struct{}

func (Shuffle) ApplyTo(m *Deck, _ sm.ApplyContext) (bool, error) {
	r := mathrand.New(mathrand.NewSource(time.Now().UnixNano())) // want `time.Now reads the clock`
	r.Shuffle(len(m.cards), func(i, j int) { m.cards[i], m.cards[j] = m.cards[j], m.cards[i] })
	return true, nil
}

// Tokens draws secrets.
type Tokens struct{ tokens map[string]bool }

type Issue struct{}

func (Issue) ApplyTo(m *Tokens, _ sm.ApplyContext) (string, error) {
	token := rand2() // the chain leads to another function
	m.tokens[token] = true
	return token, nil
}

func rand2() string { return lib.NewID() } // want `rand.Read draws a random number; use at.Rand\(\), or pass the secret in the command \(in Issue.ApplyTo → rand2 → lib.NewID at lib.go:`

// Readers draws from the reader of crypto/rand.
type Readers struct{ b [4]byte }

type Fill struct{}

func (Fill) ApplyTo(m *Readers, _ sm.ApplyContext) (bool, error) {
	_, err := entropy.Read(m.b[:]) // want `rand.Reader draws a random number`
	return err == nil, err
}

var entropy = crand.Reader

// Kept holds a source that snapshots do not hold.
type Kept struct {
	rng *rand.Rand
	n   int
}

type Draw struct{}

func (Draw) ApplyTo(m *Kept, _ sm.ApplyContext) (int, error) {
	m.n = m.rng.IntN(10) // want `m.rng is a source of random numbers that snapshots do not hold`
	return m.n, nil
}

// Buckets distributes names by a hash with a seed of the process.
type Buckets struct{ buckets [16][]string }

var seed = maphash.MakeSeed()

type Insert struct{ Name string }

func (c Insert) ApplyTo(m *Buckets, _ sm.ApplyContext) (bool, error) {
	i := maphash.String(seed, c.Name) % 16 // want `maphash.String hashes with a seed of this process`
	m.buckets[i] = append(m.buckets[i], c.Name)
	return true, nil
}
