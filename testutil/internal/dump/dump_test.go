package dump

import (
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/mosaik-go/mosaik/sm"
)

type point struct{ X, y int }

type ring struct {
	Next *ring
	Any  any
	All  []*ring
	By   map[string]*ring
}

type Base struct{ ID int }

func TestValue(t *testing.T) {
	loop := &ring{}
	loop.Next, loop.Any, loop.All, loop.By = loop, loop, []*ring{loop}, map[string]*ring{"a": loop}
	self := []any{nil}
	self[0] = self
	for _, c := range []struct {
		name string
		v    any
		want string
	}{
		{"nil", nil, "v: nil\n"},
		{"numbers", [3]any{int8(-3), uint64(7), true}, "v: length 3\nv[0].(int8): -3\nv[1].(uint64): 7\nv[2].(bool): true\n"},
		{"floats", []float64{0.1, math.Copysign(0, -1), math.NaN()}, "v: length 3\nv[0]: 0.1\nv[1]: -0\nv[2]: NaN\n"},
		{"complex", complex(1, -2), "v: 1 -2i\n"},
		{"text", "a\n\"b\"", `v: "a\n\"b\""` + "\n"},
		{"bytes", []byte{0, 255}, "v: 00ff\n"},
		{"named bytes", [2]point{{1, 2}, {3, 4}}, "v: length 2\nv[0].X: 1\nv[0].y: 2\nv[1].X: 3\nv[1].y: 4\n"},
		{"nil and empty", struct {
			A, B []int
			C    map[int]int
		}{B: []int{}}, "v.A: nil\nv.B: length 0\nv.C: nil\n"},
		{"map by key", map[point]string{{2, 1}: "b", {1, 9}: "a"},
			"v: length 2\nv[.X: 1, .y: 9]: \"a\"\nv[.X: 2, .y: 1]: \"b\"\n"},
		{"not a number as a key", map[float64]int{math.NaN(): 2, math.Inf(1): 1}, "v: length 2\nv[+Inf]: 1\nv[NaN]: 2\n"},
		{"pointer", &point{1, 2}, "v.X: 1\nv.y: 2\n"},
		{"one pointer twice", [2]*int{new(int), new(int)}, "v: length 2\nv[0]: 0\nv[1]: 0\n"},
		{"cycles", loop, "v.Next: cycle\nv.Any.(*dump.ring): cycle\nv.All: length 1\nv.All[0]: cycle\nv.By: length 1\nv.By[\"a\"]: cycle\n"},
		{"slice in itself", self, "v: length 1\nv[0].([]interface {}): cycle\n"},
		{"opaque", struct {
			F, G func()
			C    chan int
			P    unsafe.Pointer
		}{F: func() {}}, "v.F: func\nv.G: nil func\nv.C: nil chan\nv.P: nil unsafe.Pointer\n"},
		{"embedded", struct {
			Base
			Name string
		}{Base{7}, "x"}, "v.ID: 7\nv.Name: \"x\"\n"},
		{"empty struct", struct{ E struct{} }{}, "v.E: {}\n"},
		{"unexported time", struct{ at time.Time }{time.Unix(1, 5).In(time.FixedZone("X", 3600))}, "v.at: 1970-01-01T00:00:01.000000005Z\n"},
		{"time in a map in an interface", any(map[string]any{"k": time.Unix(1, 0)}), "v: length 1\nv[\"k\"].(time.Time): 1970-01-01T00:00:01Z\n"},
		{"standard", struct {
			a netip.Addr
			p netip.Prefix
			i big.Int
			u *url.URL
		}{netip.MustParseAddr("127.0.0.1"), netip.MustParsePrefix("::1/128"), *big.NewInt(-9), &url.URL{Path: "/x"}},
			"v.a: 127.0.0.1\nv.p: ::1/128\nv.i: -9\nv.u: \"/x\"\n"},
		{"lock", &struct {
			mu sync.Mutex
			n  int
		}{}, "v.mu._: {}\nv.mu.mu.state: 0\nv.mu.mu.sema: 0\nv.n: 0\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Value("v", c.v); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestContainers writes containers that are equal and were made in different ways.
func TestContainers(t *testing.T) {
	type state struct {
		m sm.Map[string, sm.List[int]]
		s sm.Set[int]
	}
	want := "v.m: length 1\nv.m[\"a\"]: length 2\nv.m[\"a\"][0]: 7\nv.m[\"a\"][1]: 8\nv.s: length 2\nv.s[1]: {}\nv.s[2]: {}\n"
	var one, other state
	var l sm.List[int]
	l.Append(7, 8)
	one.m.Set("a", l)
	one.s.Add(1)
	one.s.Add(2)
	for i := range 1000 { // makes nodes that stay when the elements are gone
		other.s.Add(1000 - i)
	}
	for i := range 998 {
		other.s.Delete(i + 3)
	}
	other.m = one.m
	for name, s := range map[string]*state{"added": &one, "deleted": &other} {
		if got := Value("v", s); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
	if got, want := Value("v", state{}), "v.m: length 0\nv.s: length 0\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestValueOrder writes a map twice, whose order of iteration differs.
func TestValueOrder(t *testing.T) {
	m := make(map[string]map[int]bool)
	for i := range 50 {
		m[strings.Repeat("k", i)] = map[int]bool{i: true, -i: false}
	}
	if a, b := Value("m", m), Value("m", m); a != b {
		t.Errorf("one map has two texts:\n%s\n%s", a, b)
	}
}
