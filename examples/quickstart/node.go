package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// How long a node waits for other nodes.
const (
	connectLimit = 5 * time.Second
	callLimit    = 10 * time.Second
	leaveLimit   = 5 * time.Second
)

// nodeConfig holds the flags of a node.
type nodeConfig struct {
	listen  string
	seeds   []string
	key     string
	network string
	name    string
	members int
	verbose bool
}

// nameTag is the prefix of the tag that announces a node's name.
const nameTag = "name="

// node is one node of a real cluster.
type node struct {
	net   *mosaik.Network
	group *group
	name  string

	mu  sync.Mutex // held while a line is printed
	out io.Writer
}

// runNode runs a node until in ends, "quit" is read from it, or ctx ends. It leaves the
// group before it returns.
func runNode(ctx context.Context, c nodeConfig, in io.Reader, out io.Writer) error {
	key, err := mosaik.KeyFromText(c.key)
	if err != nil {
		return err
	}
	opts := []mosaik.Option{mosaik.WithSeeds(c.seeds...), mosaik.WithTick(tick), mosaik.WithLogger(logger(c.verbose))}
	if c.listen != "" {
		opts = append(opts, mosaik.WithListen(c.listen))
	}
	if c.name != "" {
		opts = append(opts, mosaik.WithTags(nameTag+c.name))
	}
	net, err := mosaik.Open(ctx, mosaik.NetworkID(c.network), opts...)
	if err != nil {
		return err
	}
	n := &node{net: net, name: c.name, out: out}
	return errors.Join(n.serve(ctx, c, key, in), net.Close())
}

func logger(verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// serve joins the group, runs the commands, and leaves.
func (n *node) serve(ctx context.Context, c nodeConfig, key mosaik.GroupKey, in io.Reader) error {
	n.say("listening on %s as peer %s", n.net.Addr(), n.net.Self().Short())
	if len(c.seeds) > 0 {
		if err := n.connect(ctx); err != nil {
			n.say("* %v; still trying", err)
		}
	}
	g, err := join(ctx, n.net, key, c.members)
	if err != nil {
		return err
	}
	n.group = g

	n.say("* waiting for the group: commands need %d members", c.members/2+1)
	watching, stop := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { n.tellLeaders(watching) })
	watchers.Go(func() { n.tellSettled(watching) })
	n.prompt(ctx, in)
	stop()
	watchers.Wait()

	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
	defer cancel()
	if err := g.Leave(leaving); err != nil {
		n.say("* %v", err)
		return nil
	}
	n.say("left the group")
	return nil
}

// connect waits for the first other node.
func (n *node) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	return n.net.Connected(ctx)
}

// tellLeaders prints each new leader.
func (n *node) tellLeaders(ctx context.Context) {
	var leader sm.PeerID
	for {
		s, err := n.group.When().Until(ctx, func(s consensus.Status) bool { return s.Leader != leader })
		if err != nil {
			return
		}
		if leader = s.Leader; !leader.IsZero() {
			n.say("* %s leads", n.nameOf(leader))
		}
	}
}

// tellSettled prints once that the group has settled.
func (n *node) tellSettled(ctx context.Context) {
	if err := n.group.When().Settled(ctx); err == nil {
		n.say("* the group has settled: %d members", len(n.group.Status().Members))
	}
}

// prompt runs the commands read from in, one at a time.
func (n *node) prompt(ctx context.Context, in io.Reader) {
	ready := "" // printed before each command when somebody types them
	if isTerminal(in) {
		ready = "> "
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	lines := make(chan string)
	// Only this goroutine may outlive its owner, because nothing interrupts a read
	// from a terminal. The process ends soon after.
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
		if err := scanner.Err(); err != nil {
			n.say("error: read a command: %v", err)
		}
	}()
	if ready != "" {
		n.say(`type "help" for the commands`)
	}
	for {
		n.print(ready)
		select {
		case <-ctx.Done():
			return
		case line, ok := <-lines:
			if !ok {
				return
			}
			words := strings.Fields(line)
			switch {
			case len(words) == 0:
			case words[0] == "quit" || words[0] == "exit":
				return
			default:
				n.call(ctx, words)
			}
		}
	}
}

// isTerminal reports whether in is a terminal.
func isTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// say prints a line.
func (n *node) say(format string, args ...any) { n.print(fmt.Sprintf(format, args...) + "\n") }

func (n *node) print(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	io.WriteString(n.out, text)
}

// nameOf returns the name of a peer.
func (n *node) nameOf(peer sm.PeerID) string {
	if peer == n.net.Self() {
		return cmp.Or(n.name, peer.Short()) + " (this node)"
	}
	for _, p := range n.net.Peers() {
		for _, tag := range p.Tags {
			if name, ok := strings.CutPrefix(tag, nameTag); ok && p.ID == peer {
				return fmt.Sprintf("%s (%s)", name, peer.Short())
			}
		}
	}
	return peer.Short()
}
