package sm_test

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// pair is an entry of a map.
type pair[K, V any] struct {
	k K
	v V
}

func pairs[K, V any](seq iter.Seq2[K, V]) (out []pair[K, V]) {
	for k, v := range seq {
		out = append(out, pair[K, V]{k, v})
	}
	return out
}

// model returns the entries of a plain map in ascending order of the keys.
func model[K cmp.Ordered, V any](of map[K]V) (out []pair[K, V]) {
	for _, k := range slices.Sorted(maps.Keys(of)) {
		out = append(out, pair[K, V]{k, of[k]})
	}
	return out
}

// compareMap reports how a map differs from a plain map, for every way to read it, with
// keys that it may or may not have.
func compareMap[K sm.MapKey, V comparable](t *testing.T, what string, got sm.Map[K, V], plain map[K]V, keys ...K) {
	t.Helper()
	want := model(plain)
	check := func(method string, ok bool, got ...any) {
		t.Helper()
		if !ok {
			t.Fatalf("%s: %s: %v, want those of %v", what, method, got, want)
		}
	}
	reversed := func(of []pair[K, V]) []pair[K, V] {
		out := slices.Clone(of)
		slices.Reverse(out)
		return out
	}
	check("Len", got.Len() == len(want), got.Len())
	check("All", slices.Equal(pairs(got.All()), want), got)
	check("Backward", slices.Equal(pairs(got.Backward()), reversed(want)), got)
	check("String", got.String() == fmt.Sprint(plain), got)
	for i, p := range want {
		k, v := got.At(i)
		check("At", k == p.k && v == p.v, i, k, v)
	}
	first, firstValue, ok := got.First()
	check("First", ok == (len(want) > 0) && (!ok || first == want[0].k && firstValue == want[0].v), first)
	last, lastValue, ok := got.Last()
	check("Last", ok == (len(want) > 0) && (!ok || last == want[len(want)-1].k && lastValue == want[len(want)-1].v), last)
	for _, key := range keys {
		v, ok := got.Get(key)
		plainValue, there := plain[key]
		check("Get", v == plainValue && ok == there && got.Has(key) == there, key, v, ok)
		from := 0
		for from < len(want) && want[from].k < key {
			from++
		}
		i, ok := got.Index(key)
		check("Index", i == from && ok == there, key, i, ok)
		check("From", slices.Equal(pairs(got.From(key)), want[from:]), key, pairs(got.From(key)))
		below := want[:from]
		if there {
			below = want[:from+1]
		}
		check("BackwardFrom", slices.Equal(pairs(got.BackwardFrom(key)), reversed(below)), key)
		for _, hi := range keys {
			var between []pair[K, V]
			for _, p := range want {
				if key <= p.k && p.k < hi {
					between = append(between, p)
				}
			}
			check("Between", slices.Equal(pairs(got.Between(key, hi)), between), key, hi)
		}
	}
}

// TestMapSequences applies every sequence of operations on three keys, with copies between
// them, to a Map and to a plain map.
func TestMapSequences(t *testing.T) {
	t.Parallel()
	length := 5
	if testing.Short() {
		length = 3
	}
	type copies struct {
		m     sm.Map[int8, int]
		plain map[int8]int
	}
	keys := []int8{-1, 0, 1}
	ops := make([]int, length)
	for run := range int(math.Pow(11, float64(length))) {
		for i := range ops {
			ops[i], run = run%11, run/11
		}
		now := copies{plain: map[int8]int{}}
		var kept []copies
		for n, op := range ops {
			switch {
			case op < 3:
				now.m.Set(keys[op], n)
				now.plain[keys[op]] = n
			case op < 6:
				_, there := now.plain[keys[op-3]]
				if now.m.Delete(keys[op-3]) != there {
					t.Fatalf("%v: Delete in step %d", ops, n)
				}
				delete(now.plain, keys[op-3])
			case op < 9:
				now.m.Update(keys[op-6], func(v int) int { return v + 10 })
				now.plain[keys[op-6]] += 10
			case op == 9:
				kept = append(kept, copies{now.m, maps.Clone(now.plain)})
			default:
				now.m.Clear()
				clear(now.plain)
			}
		}
		for _, c := range append(kept, now) {
			if !slices.Equal(pairs(c.m.All()), model(c.plain)) {
				t.Fatalf("%v: %v, want %v", ops, c.m, c.plain)
			}
		}
	}
}

// FuzzMap applies operations on keys of one byte to a Map and to a plain map, and keeps
// copies of both. An operation can be repeated for successive keys, so that the map has
// several levels.
func FuzzMap(f *testing.F) {
	f.Add([]byte{0xf8, 0, 0xf8, 100, 0x04, 0, 0xfa, 10, 0x04, 0, 0xf1, 3, 0xfa, 0, 0xfa, 60})
	f.Fuzz(func(t *testing.T, ops []byte) {
		type copies struct {
			m     sm.Map[uint16, int]
			plain map[uint16]int
		}
		now := copies{plain: map[uint16]int{}}
		var kept []copies
		for n := 0; len(ops) >= 2 && n < 100; n, ops = n+1, ops[2:] {
			for i := range 1 + uint16(ops[0]>>3)*uint16(ops[0]>>3)/4 {
				key := uint16(ops[1])*3 + i
				switch ops[0] & 7 {
				case 0, 1, 5:
					now.m.Set(key, n)
					now.plain[key] = n
				case 2, 3:
					now.m.Delete(key)
					delete(now.plain, key)
				case 4:
					kept = append(kept[max(0, len(kept)-5):], copies{now.m, maps.Clone(now.plain)})
				default:
					now.m.Update(key, func(v int) int { return v*2 + 1 })
					now.plain[key] = now.plain[key]*2 + 1
				}
				if ops[0]&7 == 4 {
					break
				}
			}
		}
		for i, c := range append(kept, now) {
			compareMap(t, fmt.Sprint("copy ", i), c.m, c.plain, 0, 100, 256, 1000, math.MaxUint16)
		}
	})
}

// TestMapKinds compares maps with each kind of key, at the ends of its range.
func TestMapKinds(t *testing.T) {
	t.Parallel()
	type name string
	compareKinds[string](t, "", "a", "a\x00", "ab", "\xff", "ä", "Z")
	compareKinds[name](t, "", "x", "xx")
	compareKinds[int](t, math.MinInt, -1, 0, 1, math.MaxInt)
	compareKinds[int8](t, math.MinInt8, -1, 0, math.MaxInt8)
	compareKinds[int16](t, math.MinInt16, -1, 0, math.MaxInt16)
	compareKinds[int32](t, math.MinInt32, -1, 0, math.MaxInt32)
	compareKinds[int64](t, math.MinInt64, -1, 0, math.MaxInt64)
	compareKinds[uint](t, 0, 1, math.MaxUint)
	compareKinds[uint8](t, 0, 1, math.MaxUint8)
	compareKinds[uint16](t, 0, 1, math.MaxUint16)
	compareKinds[uint32](t, 0, 1, math.MaxUint32)
	compareKinds[uint64](t, 0, 1, math.MaxUint64)
}

func compareKinds[K sm.MapKey](t *testing.T, keys ...K) {
	t.Helper()
	plain := map[K]string{}
	var m sm.Map[K, string]
	compareMap(t, "empty", m, plain, keys...)
	for i, k := range slices.Backward(keys) {
		plain[k] = fmt.Sprint(i)
		m.Set(k, fmt.Sprint(i))
		compareMap(t, fmt.Sprintf("%T", k), m, plain, keys...)
	}
}

// TestMapIsAValue checks what users of copies rely on.
func TestMapIsAValue(t *testing.T) {
	t.Parallel()
	type account struct {
		balance int
		history sm.List[string]
	}
	var m sm.Map[string, account]
	m.Set("alice", account{balance: 1})
	before := m
	alice, _ := m.Get("alice")
	alice.history.Append("not stored")
	if a, _ := m.Get("alice"); a.history.Len() != 0 {
		t.Error("a change of a value that was read changed the map")
	}
	m.Update("alice", func(a account) account {
		a.balance++
		a.history.Append("stored")
		return a
	})
	if a, _ := m.Get("alice"); a.balance != 2 || a.history.String() != "[stored]" {
		t.Errorf("after Update: %v", a)
	}
	if a, _ := before.Get("alice"); a.balance != 1 || a.history.Len() != 0 {
		t.Errorf("the copy from before: %v", a)
	}
	for k := range m.All() {
		m.Delete(k)
		m.Set("bob", account{})
		m.Set("zoe", account{})
	}
	if got := slices.Collect(m.Keys()); !slices.Equal(got, []string{"bob", "zoe"}) {
		t.Errorf("after changes during an iteration: %v", got)
	}
}

// TestMapUpdateThatChangesTheMap checks that the change and the result both count.
func TestMapUpdateThatChangesTheMap(t *testing.T) {
	t.Parallel()
	var m sm.Map[int, int]
	for i := range 100 {
		m.Set(i, i)
	}
	m.Update(50, func(v int) int {
		for i := range 60 {
			m.Delete(i)
		}
		return -v
	})
	if v, _ := m.Get(50); v != -50 || m.Len() != 41 {
		t.Errorf("%d entries, the value %d", m.Len(), v)
	}
	func() {
		defer func() { recover() }()
		m.Update(50, func(int) int { panic("broken") })
	}()
	if v, _ := m.Get(50); v != -50 || m.Len() != 41 {
		t.Errorf("after a panic: %d entries, the value %d", m.Len(), v)
	}
}

func TestCollectMap(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]int{{}, {1}, {1, 2, 3}, {3, 2, 1}, {1, 2, 2, 3}, {1, 3, 2, 4}, {2, 1, 2, 1}, rand.New(rand.NewPCG(1, 1)).Perm(500)} {
		plain := map[int]int{}
		m := sm.CollectMap(func(yield func(int, int) bool) {
			for i, k := range keys {
				plain[k] = i
				yield(k, i)
			}
		})
		compareMap(t, fmt.Sprint(keys), m, plain, 0, 1, 2, 3, 4, 5)
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	var s sm.Set[string]
	if _, ok := s.First(); ok || s.String() != "[]" {
		t.Error("the zero Set is not empty")
	}
	for i, add := range []string{"b", "a", "b", "c"} {
		if got := s.Add(add); got != (i != 2) {
			t.Errorf("Add(%q) = %v", add, got)
		}
	}
	before := s
	if s.Delete("x") || !s.Delete("b") || s.Delete("b") || s.Has("b") || !s.Has("a") {
		t.Error("Delete or Has")
	}
	for got, want := range map[string]string{
		s.String(): "[a c]", before.String(): "[a b c]",
		fmt.Sprint(slices.Collect(before.Backward())):                  "[c b a]",
		fmt.Sprint(slices.Collect(before.From("b"))):                   "[b c]",
		fmt.Sprint(slices.Collect(before.Between("a", "c"))):           "[a b]",
		fmt.Sprint(slices.Collect(before.BackwardFrom("b"))):           "[b a]",
		sm.CollectSet(slices.Values(strings.Fields("z y z"))).String(): "[y z]",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	first, _ := before.First()
	last, _ := before.Last()
	if i, ok := before.Index("b"); i != 1 || !ok || first != "a" || last != "c" || before.At(2) != "c" || before.Len() != 3 {
		t.Errorf("Index %d, First %q, Last %q", i, first, last)
	}
	s.Clear()
	if s.Len() != 0 {
		t.Error("Clear")
	}
}
