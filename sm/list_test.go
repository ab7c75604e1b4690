package sm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// compareList reports how a list differs from a slice, for every way to read it.
func compareList(t *testing.T, what string, got sm.List[int], want []int) {
	t.Helper()
	if got.Len() != len(want) || !slices.Equal(slices.Collect(got.Values()), want) || got.String() != fmt.Sprint(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i, v := range got.All() {
		if v != want[i] || got.Get(i) != v {
			t.Fatalf("%s: element %d is %d and %d, want %d", what, i, v, got.Get(i), want[i])
		}
	}
	n := len(want)
	for i, v := range got.Backward() {
		if n--; i != n || v != want[i] {
			t.Fatalf("%s: Backward yields %d, %d", what, i, v)
		}
	}
	first, ok := got.First()
	last, also := got.Last()
	if ok != (len(want) > 0) || also != ok || ok && (first != want[0] || last != want[len(want)-1]) {
		t.Fatalf("%s: First %d, Last %d", what, first, last)
	}
}

// TestListOperations applies every operation at every position to lists of several sizes.
func TestListOperations(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 5, 31, 32, 33, 100} {
		var want []int
		for i := range n {
			want = append(want, i)
		}
		list := sm.CollectList(slices.Values(want))
		for i := range n + 1 {
			for _, values := range [][]int{{}, {-1}, {-1, -2, -3}, make([]int, 40)} {
				l := list
				l.Insert(i, values...)
				compareList(t, fmt.Sprintf("%d, Insert(%d, %v)", n, i, values), l, slices.Insert(slices.Clone(want), i, values...))
			}
			for j := i; j <= n; j++ {
				l := list
				l.Delete(i, j)
				compareList(t, fmt.Sprintf("%d, Delete(%d, %d)", n, i, j), l, slices.Delete(slices.Clone(want), i, j))
				next := i
				for k, v := range list.Between(i, j) {
					if k != next || v != want[k] {
						t.Fatalf("%d, Between(%d, %d) yields %d, %d", n, i, j, k, v)
					}
					next++
				}
				if next != j {
					t.Fatalf("%d, Between(%d, %d) ends at %d", n, i, j, next)
				}
			}
			if i < n {
				l, changed := list, slices.Clone(want)
				l.Update(i, func(v int) int { return -v - 1 })
				changed[i] = -want[i] - 1
				compareList(t, fmt.Sprintf("%d, Update(%d)", n, i), l, changed)
				l.Set(i, want[i])
				compareList(t, fmt.Sprintf("%d, Set(%d)", n, i), l, want)
			}
		}
		compareList(t, fmt.Sprintf("%d, later", n), list, want)
		list.Clear()
		list.Append(1, 2)
		compareList(t, "cleared", list, []int{1, 2})
	}
}

// TestListLarge deletes and inserts parts of a list that has several levels.
func TestListLarge(t *testing.T) {
	t.Parallel()
	var list sm.List[int]
	var want []int
	for i := range 3000 {
		list.Append(i)
		want = append(want, i)
	}
	frozen := list
	list.Delete(100, 2900)
	compareList(t, "half deleted", list, slices.Delete(slices.Clone(want), 100, 2900))
	list = frozen
	list.Insert(1500, want...)
	compareList(t, "doubled", list, slices.Insert(slices.Clone(want), 1500, want...))
	list = frozen
	for list.Len() > 0 { // a queue
		list.Delete(0, 1)
	}
	compareList(t, "frozen", frozen, want)
}

// TestOutOfRange checks that positions which do not exist panic, as with slices.
func TestOutOfRange(t *testing.T) {
	t.Parallel()
	list := sm.CollectList(slices.Values([]int{1, 2}))
	m := sm.CollectMap(slices.All([]int{1, 2}))
	var empty sm.List[int]
	for name, f := range map[string]func(){
		"Get(-1)":       func() { list.Get(-1) },
		"Get(2)":        func() { list.Get(2) },
		"Get of none":   func() { empty.Get(0) },
		"Set(2)":        func() { list.Set(2, 0) },
		"Update(-1)":    func() { list.Update(-1, func(v int) int { return v }) },
		"Insert(3)":     func() { list.Insert(3, 0) },
		"Insert(-1)":    func() { list.Insert(-1, 0) },
		"Delete(0, 3)":  func() { list.Delete(0, 3) },
		"Delete(2, 1)":  func() { list.Delete(2, 1) },
		"Delete(-1, 1)": func() { list.Delete(-1, 1) },
		"Between(1, 3)": func() { list.Between(1, 3) },
		"Map.At(2)":     func() { m.At(2) },
		"Map.At(-1)":    func() { m.At(-1) },
	} {
		func() {
			defer func() {
				if p := recover(); p == nil || !strings.HasPrefix(fmt.Sprint(p), "sm: ") {
					t.Errorf("%s: %v", name, p)
				}
			}()
			f()
		}()
	}
	compareList(t, "after that", list, []int{1, 2})
}

// TestFrozenReaders reads copies on several goroutines while the originals change.
func TestFrozenReaders(t *testing.T) {
	t.Parallel()
	var m sm.Map[int, sm.List[int]]
	done := make(chan error)
	const readers = 8
	for round := range readers {
		for i := range 500 {
			m.Update(i*7%500, func(l sm.List[int]) sm.List[int] {
				l.Append(round)
				return l
			})
		}
		frozen := m
		go func() {
			for k, l := range frozen.All() {
				if l.Len() != round+1 {
					done <- fmt.Errorf("round %d: the list of %d has %d elements", round, k, l.Len())
					return
				}
			}
			done <- nil
		}()
	}
	for range readers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
