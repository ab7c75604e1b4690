package tree

import (
	"fmt"
	"slices"
	"testing"
)

// check returns what is wrong with the structure of a tree, or "".
func check[K comparable, V any](t Tree[K, V]) string {
	if t.root == nil {
		return ""
	}
	if len(t.root.kids) == 1 {
		return "the root has one child"
	}
	problem, _ := checkNode(t.root)
	return problem
}

func checkNode[K comparable, V any](n *node[K, V]) (problem string, depth int) {
	if n.width() == 0 || n.width() > n.highest() || len(n.keys) != n.width() {
		return fmt.Sprintf("a node of width %d with %d keys", n.width(), len(n.keys)), 0
	}
	if n.leaf() {
		return "", 1
	}
	end := 0
	for j, kid := range n.kids {
		end += kid.len()
		p, d := checkNode(kid)
		switch {
		case p != "":
			return p, 0
		case depth != 0 && d != depth:
			return "leaves of different depths", 0
		case n.ends[j] != end:
			return fmt.Sprintf("child %d ends at %d, not at %d", j, n.ends[j], end), 0
		case n.keys[j] != kid.keys[0]:
			return fmt.Sprintf("the key of child %d is %v, not %v", j, n.keys[j], kid.keys[0]), 0
		}
		depth = d
	}
	return "", depth + 1
}

// entry is a key with its value.
type entry struct{ k, v int }

// same checks a tree against the entries that it should have, in all ways to read it.
func same(t *testing.T, want []entry, got Tree[int, int], what string) {
	t.Helper()
	if problem := check(got); problem != "" {
		t.Fatalf("%s: %s", what, problem)
	}
	if got.Len() != len(want) {
		t.Fatalf("%s: Len %d, want %d", what, got.Len(), len(want))
	}
	var up, down []entry
	got.Ascend(0, got.Len(), func(k, v int) bool { up = append(up, entry{k, v}); return true })
	got.Descend(0, got.Len(), func(k, v int) bool { down = append(down, entry{k, v}); return true })
	slices.Reverse(down)
	if !slices.Equal(up, want) || !slices.Equal(down, want) {
		t.Fatalf("%s:\nAscend  %v\nDescend %v\nwant    %v", what, up, down, want)
	}
	for i, e := range want {
		if k, v := got.At(i); k != e.k || v != e.v {
			t.Fatalf("%s: At(%d) = %d, %d, want %v", what, i, k, v, e)
		}
	}
}

// sorted returns n entries with the keys 10, 20 and so on.
func sorted(n int) (out []entry) {
	for i := range n {
		out = append(out, entry{10 * (i + 1), i})
	}
	return out
}

func built(of []entry) Tree[int, int] {
	var b Builder[int, int]
	for _, e := range of {
		b.Append(e.k, e.v)
	}
	return b.Tree()
}

// insertedOneByOne builds the tree in an order that leaves its nodes half full.
func insertedOneByOne(of []entry) (t Tree[int, int]) {
	for _, e := range slices.Backward(of) {
		t.Insert(0, e.k, e.v)
	}
	return t
}

// TestEveryOperation applies every operation at every position of trees of every size up
// to three levels, twice in a row, and checks that the trees before are as they were.
func TestEveryOperation(t *testing.T) {
	sizes := []int{0, 1, 2, 7, 8, 9, 15, 16, 17, 40, 63, 64, 65, 80}
	if testing.Short() {
		sizes = sizes[:9]
	}
	for _, n := range sizes {
		for name, build := range map[string]func([]entry) Tree[int, int]{"full": built, "half": insertedOneByOne} {
			first := build(sorted(n))
			eachOperation(first, sorted(n), func(what string, second Tree[int, int], want []entry) {
				same(t, want, second, fmt.Sprintf("%d %s, %s", n, name, what))
				eachOperation(second, want, func(then string, third Tree[int, int], want []entry) {
					if problem := check(third); problem != "" || third.Len() != len(want) {
						t.Fatalf("%d %s, %s, %s: %s", n, name, what, then, problem)
					}
				})
				same(t, want, second, fmt.Sprintf("%d %s, %s, later", n, name, what))
			})
			same(t, sorted(n), first, fmt.Sprintf("%d %s, later", n, name))
		}
	}
}

// eachOperation calls f with what every operation makes of a tree.
func eachOperation(from Tree[int, int], entries []entry, f func(what string, to Tree[int, int], want []entry)) {
	for i := range len(entries) + 1 {
		k := 5
		if i > 0 {
			k = entries[i-1].k + 1
		}
		to := from
		to.Insert(i, k, -1)
		f(fmt.Sprintf("insert %d", i), to, slices.Insert(slices.Clone(entries), i, entry{k, -1}))
		if i == len(entries) {
			return
		}
		to = from
		to.Remove(i)
		f(fmt.Sprintf("remove %d", i), to, slices.Delete(slices.Clone(entries), i, i+1))
		to = from
		to.Replace(i, -2)
		replaced := slices.Clone(entries)
		replaced[i].v = -2
		f(fmt.Sprintf("replace %d", i), to, replaced)
	}
}

// TestDrain removes all values in each of several orders.
func TestDrain(t *testing.T) {
	const n = 600
	orders := map[string]func(left int) int{
		"first":  func(int) int { return 0 },
		"last":   func(left int) int { return left - 1 },
		"middle": func(left int) int { return left / 2 },
		"third":  func(left int) int { return left / 3 },
		"ends":   func(left int) int { return (left % 2) * (left - 1) },
		"strewn": func(left int) int { return left * 7919 % left },
		"seven":  func(left int) int { return min(left-1, left*5/7) },
	}
	for name, next := range orders {
		for build, tree := range map[string]Tree[int, int]{"full": built(sorted(n)), "half": insertedOneByOne(sorted(n))} {
			want := sorted(n)
			for len(want) > 0 {
				i := next(len(want))
				tree.Remove(i)
				want = slices.Delete(want, i, i+1)
				if problem := check(tree); problem != "" {
					t.Fatalf("%s, %s, %d left: %s", name, build, len(want), problem)
				}
				if len(want)%50 < 2 {
					same(t, want, tree, fmt.Sprintf("%s, %s, %d left", name, build, len(want)))
				}
			}
			if tree.root != nil {
				t.Errorf("%s, %s: an empty tree has a root", name, build)
			}
		}
	}
}

// TestAppended checks that values which are appended fill the leaves.
func TestAppended(t *testing.T) {
	var tree Tree[int, int]
	want := sorted(1000)
	for i, e := range want {
		tree.Insert(i, e.k, e.v)
	}
	same(t, want, tree, "appended")
	if n, most := leaves(tree.root), 1000/maxLeaf[int, int]()+1; n > most {
		t.Errorf("%d leaves, want at most %d", n, most)
	}
}

func leaves(n *node[int, int]) (sum int) {
	if n.leaf() {
		return 1
	}
	for _, kid := range n.kids {
		sum += leaves(kid)
	}
	return sum
}

// TestThinned removes all but one value of each leaf, and checks that leaves are joined.
func TestThinned(t *testing.T) {
	width := maxLeaf[int, int]()
	want := sorted(100 * width)
	tree := built(want)
	for i := len(want) - 1; i >= 0; i-- {
		if i%width != 0 {
			tree.Remove(i)
			want = slices.Delete(want, i, i+1)
		}
	}
	same(t, want, tree, "thinned")
	if n := leaves(tree.root); n > len(want)/2 {
		t.Errorf("%d leaves for %d values", n, len(want))
	}
}

// TestRanges reads every range of trees, and stops at every position of it.
func TestRanges(t *testing.T) {
	for _, n := range []int{0, 1, 8, 9, 30, 70} {
		tree := built(sorted(n))
		for lo := range n + 1 {
			for hi := lo; hi <= n; hi++ {
				for _, most := range []int{1, 3, n + 1} {
					var up, down []int
					tree.Ascend(lo, hi, func(_, v int) bool { up = append(up, v); return len(up) < most })
					tree.Descend(lo, hi, func(_, v int) bool { down = append(down, v); return len(down) < most })
					for i := range min(most, hi-lo) {
						if len(up) != min(most, hi-lo) || up[i] != lo+i || len(down) != len(up) || down[i] != hi-1-i {
							t.Fatalf("%d values, [%d, %d), at most %d: %v and %v", n, lo, hi, most, up, down)
						}
					}
				}
			}
		}
	}
}

// TestSearch looks for every key and for what is between two keys.
func TestSearch(t *testing.T) {
	for n := range 200 {
		for _, tree := range []Tree[int, int]{built(sorted(n)), insertedOneByOne(sorted(n))} {
			for i := range n {
				key := 10 * (i + 1)
				if at, ok := Search(tree, key); at != i || !ok {
					t.Fatalf("%d keys: Search(%d) = %d, %v, want %d", n, key, at, ok, i)
				}
				if v, ok := Get(tree, key); v != i || !ok {
					t.Fatalf("%d keys: Get(%d) = %d, %v, want %d", n, key, v, ok, i)
				}
			}
			for i := range n + 1 {
				key := 10*i + 5
				if at, ok := Search(tree, key); at != i || ok {
					t.Fatalf("%d keys: Search(%d) = %d, %v, want %d", n, key, at, ok, i)
				}
				if _, ok := Get(tree, key); ok {
					t.Fatalf("%d keys: Get(%d) found one", n, key)
				}
			}
		}
	}
}

// FuzzTree applies operations to a tree and to a slice, and keeps a copy of both now and
// then. Each operation is two bytes: what to do, and where. A position is a part of the
// length, so that every position of a tree of up to 256 values can be drawn; operations
// that repeat make it larger.
func FuzzTree(f *testing.F) {
	f.Add([]byte("\x07\x00\x17\x80\x27\xff\x02\x10\x04\x40\x12\x00\x05\x00"))
	f.Add([]byte{0xff, 0, 0xff, 255, 0xfa, 128, 6, 0, 0xfa, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		var tree Tree[struct{}, int]
		var list []int
		type copies struct {
			tree Tree[struct{}, int]
			list []int
		}
		var kept []copies
		for n := 0; len(ops) >= 2 && n < 200; n, ops = n+1, ops[2:] {
			for step := range 1 + int(ops[0]>>3) {
				i := int(ops[1]) * (len(list) + 1) >> 8
				switch op := ops[0] & 7; {
				case op == 6 && step == 0:
					kept = append(kept, copies{tree, slices.Clone(list)})
				case op >= 5 || len(list) == 0:
					tree.Insert(i, struct{}{}, n)
					list = slices.Insert(list, i, n)
				case op >= 2:
					i = min(i, len(list)-1)
					tree.Remove(i)
					list = slices.Delete(list, i, i+1)
				default:
					i = min(i, len(list)-1)
					tree.Replace(i, n)
					list[i] = n
				}
			}
			if problem := check(tree); problem != "" {
				t.Fatalf("after %d operations: %s", n+1, problem)
			}
		}
		for i, c := range append(kept, copies{tree, list}) {
			var got []int
			c.tree.Ascend(0, c.tree.Len(), func(_ struct{}, v int) bool { got = append(got, v); return true })
			if !slices.Equal(got, c.list) {
				t.Fatalf("copy %d of %d: %v, want %v", i, len(kept), got, c.list)
			}
		}
	})
}
