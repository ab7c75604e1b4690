// Command codec measures the codec that mosaik-gen writes beside others, in one
// process.
//
//	go run ./codec
//
// Three commands are encoded and decoded: Tiny is one integer, Put a key, 64
// bytes and an integer, Order four integers, 14 strings, a map and two slices.
//
//   - Encoding appends to a buffer that is used again, where the codec can.
//   - Decoding makes a new value each time, as applying a log does.
//   - mosaik's codec and the hand-written one are called through [codec.Codec]
//     on the machine's command interface: they write and read the variant's tag
//     as well. The others are called on the command's type.
//
// The codecs take turns in short runs, so that other load on the machine affects
// all of them alike. Times are medians over all rounds, and a ratio is the median
// of the ratios within a round. With -fastest both are from the fastest rounds,
// which a busy machine disturbs least. The process holds 64 MB, so that the garbage
// collector runs as rarely as where there is a state to replicate. The result is
// Markdown; with -summary a short table comes last.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("codec", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 101, "how often everything is measured; medians are reported")
	span := flags.Duration("for", 5*time.Millisecond, "how long each run takes, about")
	fastest := flags.Bool("fastest", false, "report the fastest rounds instead of medians")
	summary := flags.Bool("summary", false, "end with the table that docs/performance.md quotes")
	only := flags.String("only", "", "measure only codecs whose name matches this regular expression")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 || *span <= 0 {
		return fmt.Errorf("codec: -rounds is %d and -for is %v; both must be positive", *rounds, *span)
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("codec: -only: %w", err)
	}
	var peers []peer
	for _, p := range allPeers() {
		if pattern.MatchString(p.name) {
			peers = append(peers, p)
		}
	}
	if len(peers) == 0 {
		return fmt.Errorf("codec: -only: no codec matches %q", *only)
	}
	results, err := measure(peers, *rounds, *span)
	if err != nil {
		return err
	}
	r := report{peers, results, *fastest}
	kind := "medians"
	if r.fastest {
		kind = "the fastest"
	}
	if _, err := fmt.Fprintf(stdout, "%d cores, %s/%s, %s; %s of %d rounds of %v.\n",
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), kind, *rounds, *span); err != nil {
		return err
	}
	if err := r.markdown(stdout); err != nil || !*summary {
		return err
	}
	return r.summary(stdout)
}
