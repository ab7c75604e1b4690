package integration_test

import (
	"encoding/gob"
	"hash/maphash"
	"io"
	"maps"
	"strings"

	"github.com/mosaik-go/mosaik/sm"
)

// vault is a machine of bounded size: a number of slots, each with the last
// value that was put there, and the number of each caller's last command.
type vault struct {
	Slots   []string
	Last    map[int64]int64
	Applied int64
	Wrong   []int64 // commands that were not their caller's next
}

func newVault(slots int) *vault { return &vault{Slots: make([]string, slots), Last: map[int64]int64{}} }

func (*vault) Spec() sm.Spec[step] { return sm.Define[step]("vault", 1) }

func (v *vault) Apply(_ sm.ApplyContext, s step) (any, error) {
	caller, number := s.N>>32, s.N&(1<<32-1)
	if number != v.Last[caller]+1 {
		v.Wrong = append(v.Wrong, s.N)
	}
	v.Last[caller] = number
	v.Slots[v.Applied%int64(len(v.Slots))] = s.Verb
	v.Applied++
	return nil, nil
}

func (v *vault) Snapshot(w io.Writer) error { return gob.NewEncoder(w).Encode(v) }
func (v *vault) Restore(r io.Reader) error {
	*v = vault{}
	return gob.NewDecoder(r).Decode(v)
}

// stock is what can be said of a vault in a few words.
type stock struct {
	Last    map[int64]int64
	Applied int64
	Wrong   []int64
	Sum     uint64 // of the values
}

var stockSeed = maphash.MakeSeed()

func (v *vault) stock() (stock, error) {
	return stock{maps.Clone(v.Last), v.Applied, v.Wrong, maphash.String(stockSeed, strings.Join(v.Slots, " "))}, nil
}
