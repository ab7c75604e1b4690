// Election runs a job on one of several processes at a time.
//
// In three terminals:
//
//	go run ./examples/election -dir /tmp/a -listen 127.0.0.1:7001
//	go run ./examples/election -dir /tmp/b -listen 127.0.0.1:7002 -seed 127.0.0.1:7001
//	go run ./examples/election -dir /tmp/c -listen 127.0.0.1:7003 -seed 127.0.0.1:7001
//
// A deploy stops each process with SIGTERM and starts it again. Two things keep the group
// available. The process closes its network before it ends, which transfers the leadership
// and gives up its vote. And the directory keeps its identity, so that the other members
// recognize it even if it could not close its network.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "election:", err)
		os.Exit(1)
	}
}

// run takes part in the election until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("election", flag.ContinueOnError)
	dir := flags.String("dir", "", "the `directory` that keeps this process's identity")
	listen := flags.String("listen", "127.0.0.1:0", "the `address` to listen on, host:port")
	seed := flags.String("seed", "", "the `address` of another process")
	members := flags.Int("members", 3, "how many processes there will be; the same on each")
	secret := flags.String("key", "election: not a secret", "the group's `secret`; the same on each")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("-dir is missing: without a directory, each restart is a new peer")
	}
	opts := []mosaik.Option{mosaik.WithDir(*dir), mosaik.WithListen(*listen)}
	if *seed != "" {
		opts = append(opts, mosaik.WithSeeds(*seed))
	}
	net, err := mosaik.Open(ctx, mosaik.NetworkID("election"), opts...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, net.Close()) }()
	key, err := mosaik.KeyFromText(*secret)
	if err != nil {
		return err
	}
	group, err := net.Groups().WithKey(key).WithMembership(consensus.Policy{Expected: *members}).Join(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "listening on", net.Addr())
	for ctx.Err() == nil {
		if _, err := group.When().Leading(ctx); err != nil {
			break // ctx ended
		}
		work(ctx, group, out)
	}
	return nil
}

// pause is the time between two jobs of the leader.
const pause = time.Second

type election interface {
	Leadership() (consensus.Leadership, bool)
	When() mosaik.When
}

// work does jobs while this process leads. Their effects outside of the group must carry
// the fencing token, because a leader that was replaced can be late to learn of its
// successor.
func work(ctx context.Context, group election, out io.Writer) {
	for {
		lead, ok := group.Leadership()
		if !ok || ctx.Err() != nil {
			return
		}
		fmt.Fprintln(out, "leading with token", lead.Token)
		waiting, cancel := context.WithTimeout(ctx, pause)
		_, _ = group.When().Until(waiting, func(consensus.Status) bool { // or the pause ends
			now, ok := group.Leadership()
			return !ok || now != lead
		})
		cancel()
	}
}
