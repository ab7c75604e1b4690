// Quickstart replicates a ledger.
//
// Without flags it runs three nodes in this process, and shows how a group forms, accepts
// commands, loses its leader and recovers:
//
//	go run ./examples/quickstart
//
// With -listen or -seed it runs one node of a real cluster, with a prompt. In three
// terminals:
//
//	go run ./examples/quickstart -listen 127.0.0.1:7001 -name ada
//	go run ./examples/quickstart -seed 127.0.0.1:7001 -name ben
//	go run ./examples/quickstart -seed 127.0.0.1:7001 -name cleo
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// demoLimit is the timeout of the demonstration.
const demoLimit = time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var c nodeConfig
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.StringVar(&c.listen, "listen", "", "be a node that listens on this `address`, host:port")
	flags.Func("seed", "be a node that finds the others through this `address`; may be repeated", func(s string) error {
		c.seeds = append(c.seeds, strings.Split(s, ",")...)
		return nil
	})
	flags.StringVar(&c.key, "key", "quickstart: not a secret", "the group's `secret`; the same on every node")
	flags.StringVar(&c.network, "network", "quickstart", "the `name` of the network; the same on every node")
	flags.StringVar(&c.name, "name", "", "what to call this node")
	flags.IntVar(&c.members, "members", 3, "how many nodes the group will have; the same on every node")
	flags.BoolVar(&c.verbose, "v", false, "log what happens to standard error")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q; see -help", flags.Arg(0))
	case c.listen != "" || len(c.seeds) > 0:
		return runNode(ctx, c, os.Stdin, os.Stdout)
	}
	ctx, cancel := context.WithTimeout(ctx, demoLimit)
	defer cancel()
	_, err = demo(ctx, os.Stdout)
	return err
}
