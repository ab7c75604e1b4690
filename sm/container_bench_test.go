//go:build unix

package sm_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/sm"
)

// cpuTime returns the processor time of the process, which includes that of the garbage
// collector, and does not depend on what else runs on the machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, since time.Duration) {
	b.ReportMetric(float64(cpuTime()-since)/float64(b.N), "cpu-ns/op")
}

// BenchmarkMap compares a Map with a plain map: random keys of 16 bytes, values of 8. With
// a view, a copy of the Map is outstanding and renewed every 10 000 operations.
func BenchmarkMap(b *testing.B) {
	for _, n := range []int{1e3, 1e6} {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("%016x", rand.New(rand.NewPCG(uint64(i), 1)).Uint64())
		}
		plain := make(map[string]int64, n)
		var m sm.Map[string, int64]
		for i, k := range keys {
			plain[k] = int64(i)
			m.Set(k, int64(i))
		}
		order := rand.New(rand.NewPCG(1, 1)).Perm(n)
		run := func(name string, f func(key string, i int)) {
			b.Run(name+"/"+strconv.Itoa(n), func(b *testing.B) {
				b.ReportAllocs()
				defer reportCPU(b, cpuTime())
				for i := 0; b.Loop(); i++ {
					f(keys[order[i%n]], i)
				}
			})
		}
		var sum int64
		run("get/plain", func(k string, _ int) { sum += plain[k] })
		run("get/Map", func(k string, _ int) { v, _ := m.Get(k); sum += v })
		run("set/plain", func(k string, i int) { plain[k] = int64(i) })
		run("set/Map", func(k string, i int) { m.Set(k, int64(i)) })
		view := m
		run("set/Map with a view", func(k string, i int) {
			if i%10000 == 0 {
				view = m
			}
			m.Set(k, int64(i))
		})
		sum += int64(view.Len())
		run("delete and insert/plain", func(k string, i int) { delete(plain, k); plain[k] = int64(i) })
		run("delete and insert/Map", func(k string, i int) { m.Delete(k); m.Set(k, int64(i)) })
	}
}

// BenchmarkList compares a List with a slice: values of 8 bytes.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{1e3, 1e6} {
		plain := make([]int64, n)
		var l sm.List[int64]
		for range n {
			l.Append(0)
		}
		order := rand.New(rand.NewPCG(1, 1)).Perm(n)
		run := func(name string, f func(at, i int)) {
			b.Run(name+"/"+strconv.Itoa(n), func(b *testing.B) {
				b.ReportAllocs()
				defer reportCPU(b, cpuTime())
				for i := 0; b.Loop(); i++ {
					f(order[i%n], i)
				}
			})
		}
		var sum int64
		run("get/slice", func(at, _ int) { sum += plain[at] })
		run("get/List", func(at, _ int) { sum += l.Get(at) })
		run("set/slice", func(at, i int) { plain[at] = int64(i) })
		run("set/List", func(at, i int) { l.Set(at, int64(i)) })
		run("append and delete first/List", func(_, i int) { l.Append(int64(i)); l.Delete(0, 1) })
	}
}

// BenchmarkAll iterates over a million entries.
func BenchmarkAll(b *testing.B) {
	m := sm.CollectMap(func(yield func(int64, int64) bool) {
		for i := range int64(1e6) {
			yield(i, i)
		}
	})
	for b.Loop() {
		var sum int64
		for k := range m.All() {
			sum += k
		}
	}
}
