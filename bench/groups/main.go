//go:build unix

// Command groups measures what idle groups cost, and how long groups take to
// form and to recover from a rolling restart:
//
//	go run ./groups
//
// All members are in this process and talk over TCP on the loopback interface
// with mutual TLS; their logs are in memory. The result is Markdown.
//
//   - Form: from joining on every node, whose networks are connected, until all
//     members have settled.
//   - Rolling restart: each of five members in turn leaves, ends its network,
//     opens another one and joins, and the next one follows once it has settled.
//     The gap is the longest time between two acknowledged writes of a writer
//     that always has one write in flight, on any member that is running.
//   - Idle: processor time, heap and goroutines of all members together, in the
//     default configuration, by the number of groups and by that of members.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/lni/dragonboat/v4/logger"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// plan is what to measure.
type plan struct {
	rounds int
	idle   time.Duration
	sizes  []int // members of the groups that form
	groups []int // on three nodes, idle
	nodes  []int // of one idle group
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("groups", flag.ContinueOnError)
	flags.SetOutput(stderr)
	p := plan{sizes: []int{3, 5, 9}, groups: []int{1, 10, 100}, nodes: []int{3, 5, 9, 15}}
	flags.IntVar(&p.rounds, "rounds", 3, "how often forming and restarting are measured; medians are reported")
	flags.DurationVar(&p.idle, "idle", 5*time.Second, "how long idle groups are watched")
	small := flags.Bool("small", false, "measure the smallest cases only")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if p.rounds < 1 || p.idle <= 0 {
		return fmt.Errorf("groups: -rounds is %d and -idle is %v; both must be positive", p.rounds, p.idle)
	}
	if *small {
		p.sizes, p.groups, p.nodes = p.sizes[:1], p.groups[:1], nil
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	for _, pkg := range []string{"dragonboat", "raft", "rsm", "transport", "grpc", "util", "logdb", "config", "settings"} {
		logger.GetLogger(pkg).SetLevel(logger.CRITICAL)
	}
	return p.measure(ctx, stdout)
}

func (p plan) measure(ctx context.Context, w io.Writer) error {
	fmt.Fprintf(w, "| configuration | members | forming to settled | rolling restart of five | longest gap in writes |\n|---|--:|--:|--:|--:|\n")
	for _, t := range clockworks() {
		for _, n := range p.sizes {
			if err := p.formation(ctx, w, t, n); err != nil {
				return fmt.Errorf("groups: %d members, %s: %w", n, t.name, err)
			}
		}
	}
	fmt.Fprintf(w, "\n| members | groups | processor | heap | goroutines |\n|--:|--:|--:|--:|--:|\n")
	for _, g := range p.groups {
		if err := p.idleness(ctx, w, 3, g); err != nil {
			return fmt.Errorf("groups: %d idle groups: %w", g, err)
		}
	}
	for _, n := range p.nodes[min(1, len(p.nodes)):] { // three are above
		if err := p.idleness(ctx, w, n, 1); err != nil {
			return fmt.Errorf("groups: idle group of %d: %w", n, err)
		}
	}
	return nil
}

func (p plan) formation(ctx context.Context, w io.Writer, t clockwork, n int) error {
	var formed, restarted, gaps []time.Duration
	for range p.rounds {
		took, err := timeForming(ctx, t, n)
		if err != nil {
			return err
		}
		formed = append(formed, took)
		if n != 5 {
			continue
		}
		total, gap, err := timeRolling(ctx, t, n)
		if err != nil {
			return err
		}
		restarted, gaps = append(restarted, total), append(gaps, gap)
	}
	_, err := fmt.Fprintf(w, "| %s | %d | %s | %s | %s |\n", t.name, n, median(formed), median(restarted), median(gaps))
	return err
}

// median words the median of some durations, "" for none.
func median(d []time.Duration) string {
	if len(d) == 0 {
		return ""
	}
	slices.Sort(d)
	return d[len(d)/2].Round(time.Millisecond).String()
}
