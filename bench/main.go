// Command bench measures mosaik beside other systems, in one run on one machine.
//
//	go run . -rounds 3
//	go run . -systems all -measure commands,pipelined,reads -plot throughput.png
//
// Every group has three members in this process, which talk over TCP on the
// loopback interface with mutual TLS. Callers submit commands of 16 bytes and
// await each result.
//
//   - Speed: commands per second on the leader and on a follower, with one and
//     with 64 outstanding for each caller, and linearizable reads on the leader;
//     their latency, their cost, and the lag of the slowest member. The systems
//     take turns, so that other load on the machine affects all of them alike.
//   - Join: from opening a fourth network, and from joining on it, until the new
//     member is online.
//   - Gap: from the crash of the leader until a write is acknowledged that
//     another member began afterwards.
//   - Growth: commands of mosaik with more groups, members and bytes, which takes
//     4 GB of memory and a few minutes.
//   - Restart: until a member of mosaik that comes back with its log on disk, and
//     one that joins with nothing, holds all that the group does, and how much
//     memory that takes. With the default of a GiB that is up to 8 GB, and a
//     few minutes.
//
// With logs in memory:
//
//   - mosaik, in its default configuration: [mosaik.Group.Execute], Feed and
//     strong reads.
//   - dragonboat: v4 with MutualTLS, its default log database on an in-memory
//     file system with its configuration for little memory, SyncPropose with a
//     no-op session, Propose and SyncRead.
//   - hashicorp: hashicorp/raft with its store in memory, BatchApplyCh and at
//     most 1024 entries in a request, Apply. Its reads are VerifyLeader, which
//     does not wait for the machine: a weaker promise than that of the others.
//     Its followers take no commands.
//
// With logs on disk, every command synced by a majority before its result:
//
//   - mosaik-disk: the same with logstore.Disk.
//   - dragonboat-tan: the same with its log database tan.
//   - hashicorp-wal: the same with hashicorp/raft-wal.
//   - etcd: embedded, with a client in the process that makes no connection; Put
//     and Get of one key. It has no calls that do not wait.
//
// None takes snapshots. Calls that a system lost, and that nobody would ever
// answer, are reported as unanswered: their callers idle until the load is over.
//
// The result is Markdown, or JSON with every round.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options says what to measure and how.
type options struct {
	span     time.Duration
	callers  []int
	systems  []system
	measures []string
	rounds   int
	timings  []timing
	profile  profiler
	dir      string
	plot     string
	restart  int64 // bytes
	courses  []Course
	asJSON   bool
	verbose  bool
	progress func(format string, args ...any)
}

// The measures beside the workloads.
const (
	slugJoin    = "join"
	slugGap     = "gap"
	slugGrowth  = "growth"
	slugRestart = "restart"
)

var allMeasures = []string{commands.slug, followerCommands.slug, pipelined.slug, reads.slug, slugJoin, slugGap, slugGrowth, slugRestart}

func parse(args []string, stderr io.Writer) (options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o := options{timings: []timing{defaultTiming(), fastTiming()}}
	flags.DurationVar(&o.span, "for", 3*time.Second, "how long each load is measured")
	flags.IntVar(&o.rounds, "rounds", 3, "how often everything is measured; medians are reported")
	callers := flags.String("callers", "1,64,1024", "numbers of concurrent callers")
	names := flags.String("systems", "mosaik,dragonboat", "systems to compare: mosaik, dragonboat, hashicorp in memory, "+
		"mosaik-disk, dragonboat-tan, hashicorp-wal, etcd on disk; or all")
	flags.StringVar(&o.dir, "dir", "", "logs on disk are kept in a directory that is made here, and removed; \"\" for the system's directory for such files")
	flags.StringVar(&o.plot, "plot", "", "draw the throughput of the measured workloads into this PNG file")
	mib := flags.Int64("mib", 1024, "how many MiB the log, or the snapshot, has with which a restart is measured")
	ways := flags.String("courses", "all", "which restarts are measured: "+strings.Join(courseNames(courses()), ", ")+"; or all")
	measures := flags.String("measure", "commands,followers,reads,join,gap", "what to measure: "+strings.Join(allMeasures, ", "))
	profile := flags.String("profile", "", "write profiles of each load into this directory, which exists")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, with all rounds")
	flags.BoolVar(&o.verbose, "v", false, "report progress on the standard error")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	o.profile = profiler(*profile)
	o.progress = func(format string, args ...any) {
		if o.verbose {
			fmt.Fprintf(stderr, format+"\n", args...)
		}
	}
	if o.span <= 0 || o.rounds < 1 {
		return options{}, fmt.Errorf("bench: -for is %v and -rounds is %d; both must be positive", o.span, o.rounds)
	}
	if o.restart = *mib << 20; *mib < 1 || *mib > 1<<20 {
		return options{}, fmt.Errorf("bench: -mib is %d; it must be from 1 to %d", *mib, 1<<20)
	}
	for text := range strings.SplitSeq(*callers, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return options{}, fmt.Errorf("bench: -callers: %q is not a positive number", text)
		}
		o.callers = append(o.callers, n)
	}
	for measure := range strings.SplitSeq(*measures, ",") {
		if !slices.Contains(allMeasures, measure) {
			return options{}, fmt.Errorf("bench: -measure: unknown %q; there are %s", measure, strings.Join(allMeasures, ", "))
		}
		o.measures = append(o.measures, measure)
	}
	var err error
	if o.courses, err = coursesNamed(strings.Split(*ways, ",")); err != nil {
		return options{}, err
	}
	o.systems, err = systemsNamed(strings.Split(*names, ","))
	return o, err
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if !o.verbose {
		quieten()
	}
	r, err := o.measure(ctx)
	if err != nil {
		return err
	}
	if o.plot != "" {
		if err := r.draw(o.plot); err != nil {
			return err
		}
	}
	if o.asJSON {
		out := json.NewEncoder(stdout)
		out.SetIndent("", "  ")
		return out.Encode(r)
	}
	return r.markdown(stdout)
}

// measure measures everything that was asked for.
func (o options) measure(ctx context.Context) (r Report, err error) {
	r = Report{Machine: thisMachine(), Span: o.span, Rounds: o.rounds}
	var workloads []workload
	for _, w := range allWorkloads {
		if slices.Contains(o.measures, w.slug) {
			workloads = append(workloads, w)
		}
	}
	if len(workloads) > 0 {
		if r.Speeds, err = measureSpeed(ctx, o, workloads); err != nil {
			return Report{}, err
		}
	}
	if slices.Contains(o.measures, slugJoin) {
		if r.Joins, err = measureJoins(ctx, o); err != nil {
			return Report{}, err
		}
	}
	if slices.Contains(o.measures, slugGap) {
		if r.Gaps, err = measureGaps(ctx, o); err != nil {
			return Report{}, err
		}
	}
	if slices.Contains(o.measures, slugGrowth) {
		if r.Growths, err = measureGrowth(ctx, o, shapes()); err != nil {
			return Report{}, err
		}
	}
	if slices.Contains(o.measures, slugRestart) {
		if r.Restarts, err = measureRestarts(ctx, o); err != nil {
			return Report{}, err
		}
	}
	return r, nil
}
