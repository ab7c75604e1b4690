package discovery

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/link"
	"github.com/mosaik-go/mosaik/sm"
)

// TestIncompatible distinguishes entries that an honest peer may have relayed from those that it
// would have rejected.
func TestIncompatible(t *testing.T) {
	t.Parallel()
	id := identity(t, 2)
	sign := func(e Entry) []byte {
		e.Peer = id.Peer()
		body := appendBody(nil, &e)
		return append(body, id.Sign(signed(body))...)
	}
	good := sign(Entry{Network: network, Version: 7})
	for name, c := range map[string]struct {
		raw          []byte
		incompatible bool
	}{
		"another format":      {append([]byte{2}, good[1:]...), true},
		"a rule broken":       {sign(Entry{Network: network, Tags: []string{"b", "a"}}), true},
		"no network":          {sign(Entry{}), true},
		"a forged signature":  {append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1), false},
		"a version forged":    {append(append(bytes.Clone(good[:72]), 9), good[73:]...), false},
		"cut":                 {good[:len(good)-1], false},
		"too long":            {append(bytes.Clone(good), 0), false},
		"nothing":             {nil, false},
		"larger than allowed": {make([]byte, MaxSize+1), false},
	} {
		if _, err := Parse(c.raw); !errors.Is(err, ErrEntry) || errors.Is(err, ErrIncompatible) != c.incompatible {
			t.Errorf("%s: error %v, want ErrEntry, incompatible %v", name, err, c.incompatible)
		}
	}
}

func TestPeek(t *testing.T) {
	t.Parallel()
	raw := of(t, 2, 7).Bytes()
	if peer, version := Peek(raw); peer != identity(t, 2).Peer() || version != 7 {
		t.Errorf("peer %s, version %d", peer.Short(), version)
	}
	for name, b := range map[string][]byte{"nothing": nil, "short": raw[:versionEnd-1], "another format": append([]byte{2}, raw[1:]...)} {
		if peer, version := Peek(b); peer != (sm.PeerID{}) || version != 0 {
			t.Errorf("%s: peer %s, version %d, want zeros", name, peer.Short(), version)
		}
	}
}

// BenchmarkParse measures the verification of the smallest and of the largest entry.
func BenchmarkParse(b *testing.B) {
	largest := Entry{Network: network, Version: 1, Extensions: []Extension{{Type: 4711, Data: make([]byte, MaxExtensionBytes)}}}
	for i := range MaxGroups {
		largest.Groups = append(largest.Groups, sm.Digest{byte(i >> 8), byte(i)})
	}
	for name, e := range map[string]Entry{"smallest": {Network: network, Version: 1}, "largest": largest} {
		b.Run(name, func(b *testing.B) {
			id, err := link.NewIdentity(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
			if err != nil {
				b.Fatal(err)
			}
			s, err := Sign(id, e)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(s.Bytes())))
			for b.Loop() {
				if _, err := Parse(s.Bytes()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
