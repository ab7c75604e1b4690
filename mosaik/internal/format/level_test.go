package format

import (
	"bytes"
	"testing"
)

// carry returns an entry with parts in place of commands.
func carry(kind Kind, sequence uint64, parts ...[]byte) []byte {
	return build(Header{Kind: kind, Sequence: sequence}, nil, parts)
}

func TestLevelOf(t *testing.T) {
	t.Parallel()
	level := func(n uint32) []byte { return Append(nil, &Envelope{Header: Header{Kind: KindLevel, Level: n}}) }
	leveled := write(t, Snapshot{Level: 9}, []byte("machine"))
	other := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 0x40; return b }
	for name, c := range map[string]struct {
		b    []byte
		want uint32
	}{
		"nothing":                        {nil, 0},
		"commands":                       {build(header, traces, commands()), 0},
		"open":                           {Append(nil, &Envelope{Header: Header{Kind: KindOpen, Level: 3}}), 0},
		"level":                          {level(3), 3},
		"level cut off":                  {level(3)[:headerSize-1], 0},
		"level of a newer version":       {other(level(3), 0), 0},
		"replay":                         {carry(KindReplay, 5, level(2), build(header, nil, nil), level(4), level(3)), 4},
		"replay of commands":             {carry(KindReplay, 5, build(header, nil, nil)), 0},
		"replay of a cut level":          {carry(KindReplay, 5, level(2)[:10], level(7)[:headerSize-1]), 0},
		"replay of nothing":              {carry(KindReplay, 5), 0},
		"replay cut off":                 {carry(KindReplay, 5, level(2))[:headerSize+20], 0},
		"restore":                        {carry(KindRestore, 1, leveled), 9},
		"restore, first of parts":        {carry(KindRestore, 1, leveled[:60], leveled[60:]), 9},
		"restore, a later part":          {carry(KindRestore, 2, leveled), 0},
		"restore of something else":      {carry(KindRestore, 1, other(leveled, 0)), 0},
		"restore of a beginning":         {carry(KindRestore, 1, leveled[:snapshotHeaderSize-1]), 0},
		"restore of nothing":             {carry(KindRestore, 1), 0},
		"restore of a leveless snapshot": {carry(KindRestore, 1, write(t, Snapshot{}, nil)), 0},
	} {
		if got := LevelOf(c.b); got != c.want {
			t.Errorf("%s: level %d, want %d", name, got, c.want)
		}
	}
}

// LevelOf reads no more of an entry of commands than its kind, because it is called for each.
func TestLevelOfIsCheap(t *testing.T) {
	data := build(header, traces, commands())
	if allocs := testing.AllocsPerRun(100, func() { LevelOf(data) }); allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

func FuzzLevelOf(f *testing.F) {
	level := Append(nil, &Envelope{Header: Header{Kind: KindLevel, Level: 3}})
	f.Add(level)
	f.Add(carry(KindReplay, 1, level, level))
	f.Add(carry(KindRestore, 1, write(f, Snapshot{Level: 9}, nil)))
	f.Add(build(header, traces, commands()))
	f.Fuzz(func(t *testing.T, b []byte) {
		level := LevelOf(b)
		e, err := Parse(b)
		switch {
		case err == nil && e.Kind == KindLevel && level != e.Level:
			t.Errorf("level %d of an entry that raises to %d", level, e.Level)
		case err == nil && level != 0 && e.Kind != KindLevel && e.Kind != KindReplay && e.Kind != KindRestore:
			t.Errorf("level %d of an entry of kind %d", level, e.Kind)
		}
	})
}
