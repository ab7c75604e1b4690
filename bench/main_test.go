package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	quieten()
	// etcd leaves the connections between its servers to net/http, which ends
	// them when they have idled. Nothing else here speaks HTTP.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
		goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead"))
}

// TestSpeed measures every workload on every system once, and reports it.
func TestSpeed(t *testing.T) {
	for _, system := range systems() {
		t.Run(system.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			args := []string{"-for", "20ms", "-rounds", "1", "-callers", "1,16", "-systems", system.name,
				"-measure", "commands,followers,pipelined,reads", "-dir", t.TempDir(), "-json"}
			if err := run(t.Context(), args, &out, t.Output()); err != nil {
				t.Fatal(err)
			}
			var r Report
			if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
				t.Fatal(err)
			}
			if want := 2 * (len(allWorkloads) - len(system.lacks)); len(r.Speeds) != want {
				t.Errorf("%d loads were reported, want %d:\n%s", len(r.Speeds), want, &out)
			}
			for _, s := range r.Speeds {
				if s.System != system.name || s.Durable != system.durable || len(s.Rounds) != 1 ||
					s.Rounds[0].PerSecond <= 0 || s.Rounds[0].P99 < s.Rounds[0].P50 {
					t.Errorf("bad figures: %+v", s)
				}
			}
		})
	}
}

// TestJoin lets members join once.
func TestJoin(t *testing.T) {
	t.Parallel()
	joins, err := measureJoins(t.Context(), quick())
	if err != nil {
		t.Fatal(err)
	}
	if len(joins) != 1 || len(joins[0].Total) != joinsEach || len(joins[0].Online) != joinsEach {
		t.Fatalf("measured %+v, want %d joins of each kind", joins, joinsEach)
	}
	if median(joins[0].Online) <= 0 || median(joins[0].Total) <= 0 {
		t.Errorf("bad figures: %+v", joins)
	}
}

// TestGap crashes one leader.
func TestGap(t *testing.T) {
	t.Parallel()
	gaps, err := measureGaps(t.Context(), quick())
	if err != nil {
		t.Fatal(err)
	}
	if len(gaps) != 1 || len(gaps[0].Took) != 1 || gaps[0].Took[0] <= 0 {
		t.Errorf("bad figures: %+v", gaps)
	}
}

// TestGrowth measures a small shape with each kind of log.
func TestGrowth(t *testing.T) {
	t.Parallel()
	o := quick()
	o.span, o.dir = 20*time.Millisecond, t.TempDir()
	want := []Shape{{false, 2, 5, 100}, {true, 2, 3, 100}}
	growths, err := measureGrowth(t.Context(), o, want)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range growths {
		if g.Shape != want[i] || len(g.Rounds) != 1 || g.Rounds[0].PerSecond <= 0 || len(g.Heap) != 1 {
			t.Errorf("bad figures: %+v", g)
		}
	}
	var b strings.Builder
	if err := (Report{Growths: growths}).markdown(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "\n| memory | 2 | 5 | 100 | ") || !strings.Contains(b.String(), "\n| disk | 2 | 3 | 100 | ") {
		t.Errorf("the report is:\n%s", &b)
	}
}

// TestRestart takes every course with 4 MiB. No other test runs meanwhile: it looks
// at the memory of the process.
func TestRestart(t *testing.T) {
	o := quick()
	o.dir, o.restart, o.courses = t.TempDir(), 4<<20, courses()
	restarts, err := measureRestarts(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(restarts) != len(courses()) {
		t.Errorf("%d courses were measured, want %d", len(restarts), len(courses()))
	}
	for _, r := range restarts {
		// Peak and Whole have zero points of their own, so neither bounds the other.
		if len(r.Took) != 1 || r.Took[0] <= 0 || r.Peak[0] == 0 || r.Whole[0] == 0 {
			t.Errorf("bad figures: %s: took %v, peak %d, whole peak %d", r.Course, r.Took, r.Peak, r.Whole)
		}
	}
	var b strings.Builder
	if err := (Report{Restarts: restarts}).markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\n| restart | snapshot | disk | ", "\n| catch-up | log | memory | "} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &b)
		}
	}
}

func quick() options {
	return options{rounds: 1, timings: []timing{fastTiming()}, progress: func(string, ...any) {}}
}

func TestParse(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-callers", "2,3", "-systems", "dragonboat", "-measure", "reads", "-for", "1s"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.callers) != 2 || o.callers[1] != 3 || len(o.systems) != 1 || o.systems[0].name != "dragonboat" || o.span != time.Second {
		t.Errorf("parsed %+v", o)
	}
	for args, want := range map[string]string{
		"-callers 0":     `-callers: "0" is not a positive number`,
		"-callers x":     `-callers: "x" is not a positive number`,
		"-systems redis": `unknown system "redis"; there are mosaik, dragonboat, hashicorp, mosaik-disk, dragonboat-tan, hashicorp-wal, etcd, and all`,
		"-measure speed": `-measure: unknown "speed"; there are commands, followers, pipelined, reads, join, gap, growth, restart`,
		"-rounds 0":      "-rounds is 0",
		"-courses none":  `-courses: unknown "none"; there are restart-log-disk, restart-snapshot-disk, catch-up-log-memory, catch-up-log-disk, catch-up-snapshot-memory, catch-up-snapshot-disk, and all`,
		"-mib 0":         "-mib is 0; it must be from 1 to 1048576",
		"-for -1s":       "-for is -1s",
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parse %s: %v, want an error with %q", args, err, want)
		}
	}
}
