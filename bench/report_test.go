package main

import (
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	t.Parallel()
	sample := func(perSecond float64, p50 time.Duration) Sample {
		return Sample{PerSecond: perSecond, P50: p50, P99: 2 * p50, Allocs: 10, Bytes: 800, CPU: 4300, Behind: 5, Unanswered: 7}
	}
	r := Report{
		Machine: Machine{"linux", "amd64", 2, 2, "go1.26"},
		Span:    time.Second,
		Rounds:  3,
		Speeds: []Speed{
			{"mosaik", false, commands.name, 64, []Sample{sample(100e3, 5e5), sample(300e3, 7e5), sample(200e3, 6e5)}},
			{"dragonboat", false, commands.name, 64, []Sample{sample(50e3, 1e6), sample(40e3, 1e6), sample(60e3, 1e6)}},
			{"etcd", true, commands.name, 64, []Sample{sample(10e3, 1e6)}},
			{"mosaik", false, pipelined.name, 1, []Sample{sample(100e3, 5e5)}},
		},
		Joins: []Join{{"default", []time.Duration{2e8}, []time.Duration{1e8, 3e8}}},
		Gaps:  []Gap{{"default", []time.Duration{2e9, 3e9, 4e9}}},
	}
	const want = `2 cores (GOMAXPROCS 2), linux/amd64, go1.26; three members in one process over loopback TCP with mutual TLS,
16-byte commands; 1s per load, medians of 3 rounds.

### Per second, logs in memory

|  | callers | mosaik | dragonboat | mosaik / dragonboat |
|---|---|---|---|---|
| Commands | 64 | 200 k | 50.0 k | 4.00 |
| Commands, 64 outstanding for each caller | 1 | 100 k | – | – |

### Latency, and cost to the whole process per call, logs in memory

|  | callers | system | p50 | p99 | allocations | bytes | CPU | behind | unanswered |
|---|---|---|---|---|---|---|---|---|---|
| Commands | 64 | mosaik | 600µs | 1.2ms | 10.0 | 800 | 4.3µs | 5 | 7 |
| Commands | 64 | dragonboat | 1ms | 2ms | 10.0 | 800 | 4.3µs | 5 | 7 |
| Commands, 64 outstanding for each caller | 1 | mosaik | 500µs | 1ms | 10.0 | 800 | 4.3µs | 5 | 7 |

### Per second, logs on disk

|  | callers | etcd |
|---|---|---|
| Commands | 64 | 10.0 k |

### Latency, and cost to the whole process per call, logs on disk

|  | callers | system | p50 | p99 | allocations | bytes | CPU | behind | unanswered |
|---|---|---|---|---|---|---|---|---|---|
| Commands | 64 | etcd | 1ms | 2ms | 10.0 | 800 | 4.3µs | 5 | 7 |

### A fourth member joins a group of three

| consensus configuration | open to online | join to online | slowest join to online | joins |
|---|---|---|---|---|
| default | 200ms | 200ms | 300ms | 2 |

### Crash of the leader to the next acknowledged write

| consensus configuration | median | shortest | longest | crashes |
|---|---|---|---|---|
| default | 3s | 2s | 4s | 3 |
`
	var got strings.Builder
	if err := r.markdown(&got); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
}

// TestDraw checks that a drawing has room for each workload and kind of log.
func TestDraw(t *testing.T) {
	t.Parallel()
	speed := func(system string, durable bool, workload string, callers int) Speed {
		return Speed{system, durable, workload, callers, []Sample{{PerSecond: 1000 * float64(callers)}}}
	}
	r := Report{Speeds: []Speed{
		speed("mosaik", false, commands.name, 1), speed("dragonboat", false, commands.name, 1),
		speed("mosaik", false, commands.name, 64), speed("dragonboat", false, commands.name, 64),
		speed("etcd", true, commands.name, 1), speed("mosaik", false, reads.name, 1),
	}}
	file := filepath.Join(t.TempDir(), "plot.png")
	if err := r.draw(file); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	// 96 dots per inch; two rows of two charts, of which one is missing.
	if b := img.Bounds(); b.Dx() != 1058 || b.Dy() != 680 {
		t.Errorf("the drawing has %d × %d dots, want 1058 × 680", b.Dx(), b.Dy())
	}
	if err := r.draw(t.TempDir()); err == nil {
		t.Error("drawing into a directory succeeded")
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{4, 1}, 2.5},
		{[]float64{9, 1, 2}, 2},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}
