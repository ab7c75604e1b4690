package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is all that was measured.
type Report struct {
	Machine  Machine       `json:"machine"`
	Span     time.Duration `json:"span_ns"`
	Rounds   int           `json:"rounds"`
	Speeds   []Speed       `json:"speeds,omitempty"`
	Joins    []Join        `json:"joins,omitempty"`
	Gaps     []Gap         `json:"gaps,omitempty"`
	Growths  []Growth      `json:"growths,omitempty"`
	Restarts []Restart     `json:"restarts,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	Cores int    `json:"cores"`
	Procs int    `json:"gomaxprocs"`
	Go    string `json:"go"`
}

func thisMachine() Machine {
	return Machine{runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.GOMAXPROCS(0), runtime.Version()}
}

// markdown writes the report as Markdown tables.
func (r Report) markdown(w io.Writer) error {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%d cores (GOMAXPROCS %d), %s/%s, %s; three members in one process over loopback TCP with mutual TLS,\n",
		m.Cores, m.Procs, m.OS, m.Arch, m.Go)
	fmt.Fprintf(&b, "16-byte commands; %v per load, medians of %d rounds.\n", r.Span, r.Rounds)
	for _, log := range logKinds {
		if speeds := r.with(log.durable); len(speeds) > 0 {
			ratios(&b, log.name, speeds)
			details(&b, log.name, speeds)
		}
	}
	if len(r.Joins) > 0 {
		table(&b, "A fourth member joins a group of three", "consensus configuration", "open to online", "join to online", "slowest join to online", "joins")
		for _, j := range r.Joins {
			row(&b, j.Timing, short(median(j.Total)), short(median(j.Online)), short(slices.Max(j.Online)), fmt.Sprint(len(j.Online)))
		}
	}
	if len(r.Gaps) > 0 {
		table(&b, "Crash of the leader to the next acknowledged write", "consensus configuration", "median", "shortest", "longest", "crashes")
		for _, g := range r.Gaps {
			row(&b, g.Timing, short(median(g.Took)), short(slices.Min(g.Took)), short(slices.Max(g.Took)), fmt.Sprint(len(g.Took)))
		}
	}
	if len(r.Growths) > 0 {
		r.growth(&b)
	}
	if len(r.Restarts) > 0 {
		r.restarts(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// logKinds are the kinds of logs, whose systems are compared with each other.
var logKinds = []struct {
	name    string
	durable bool
}{{"logs in memory", false}, {"logs on disk", true}}

// with returns the speeds of the systems whose logs are of one kind.
func (r Report) with(durable bool) []Speed {
	var speeds []Speed
	for _, s := range r.Speeds {
		if s.Durable == durable {
			speeds = append(speeds, s)
		}
	}
	return speeds
}

// ratios writes one row for each load, with a column for each system and the
// ratio of the first system to each of the others.
func ratios(b *strings.Builder, log string, speeds []Speed) {
	names := systemsOf(speeds)
	head := append([]string{"", "callers"}, names...)
	for _, name := range names[1:] {
		head = append(head, names[0]+" / "+name)
	}
	table(b, "Per second, "+log, head...)
	for len(speeds) > 0 {
		load := speeds[:loadOf(speeds)]
		speeds = speeds[len(load):]
		per := make(map[string]float64, len(load))
		for _, s := range load {
			per[s.System] = s.median().PerSecond
		}
		cells := []string{load[0].Workload, fmt.Sprint(load[0].Callers)}
		for _, name := range names {
			cells = append(cells, orNone(per[name], thousands))
		}
		for _, name := range names[1:] {
			ratio := 0.0
			if per[name] > 0 {
				ratio = per[names[0]] / per[name]
			}
			cells = append(cells, orNone(ratio, func(n float64) string { return fmt.Sprintf("%.2f", n) }))
		}
		row(b, cells...)
	}
}

// systemsOf returns the systems in the order in which they first come.
func systemsOf(speeds []Speed) []string {
	var names []string
	for _, s := range speeds {
		if !slices.Contains(names, s.System) {
			names = append(names, s.System)
		}
	}
	return names
}

// loadOf returns how many of the speeds, from the first on, are of one load.
func loadOf(speeds []Speed) int {
	n := slices.IndexFunc(speeds, func(s Speed) bool {
		return s.Workload != speeds[0].Workload || s.Callers != speeds[0].Callers
	})
	if n < 0 {
		return len(speeds)
	}
	return n
}

// orNone formats a figure, and 0 as one that was not measured.
func orNone(n float64, format func(float64) string) string {
	if n == 0 {
		return "–"
	}
	return format(n)
}

// details writes one row for each load and system.
func details(b *strings.Builder, log string, speeds []Speed) {
	table(b, "Latency, and cost to the whole process per call, "+log,
		"", "callers", "system", "p50", "p99", "allocations", "bytes", "CPU", "behind", "unanswered")
	for _, s := range speeds {
		m := s.median()
		row(b, s.Workload, fmt.Sprint(s.Callers), s.System, short(m.P50), short(m.P99),
			fmt.Sprintf("%.1f", m.Allocs), fmt.Sprintf("%.0f", m.Bytes), short(m.CPU), fmt.Sprint(m.Behind), fmt.Sprint(m.Unanswered))
	}
}

func table(b *strings.Builder, title string, head ...string) {
	fmt.Fprintf(b, "\n### %s\n\n", title)
	row(b, head...)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// thousands prints a rate with three digits.
func thousands(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.2f M", n/1e6)
	case n >= 1e5:
		return fmt.Sprintf("%.0f k", n/1e3)
	case n >= 1e4:
		return fmt.Sprintf("%.1f k", n/1e3)
	default:
		return fmt.Sprintf("%.2f k", n/1e3)
	}
}

// short prints a duration with about three digits.
func short(d time.Duration) string {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}

// median returns the middle of the values, the mean of the two in the middle of
// an even number, 0 of none.
func median[T float64 | time.Duration | uint64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[mid-1] + sorted[mid]) / 2
	}
	return sorted[mid]
}

// medianOf returns the median of one figure.
func medianOf[S any, T float64 | time.Duration](all []S, figure func(S) T) T {
	values := make([]T, len(all))
	for i, s := range all {
		values[i] = figure(s)
	}
	return median(values)
}
