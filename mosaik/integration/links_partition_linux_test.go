package integration_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// namespaceAddr tells a process that it is a node of
// [TestPartitionBetweenNamespaces], and its address.
const namespaceAddr = "MOSAIK_TEST_NAMESPACE_ADDR"

// TestPartitionBetweenNamespaces runs three processes, each in a Linux network
// namespace of its own, on a bridge in another one, and takes the leader's
// interface down. It needs root; the namespaces end with their processes.
func TestPartitionBetweenNamespaces(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs the ip command: ", err)
	}
	// The thread stays locked, so that it ends with this goroutine, and its
	// namespace with the processes that are started from it.
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Skip("may not make a network namespace: ", err)
	}
	if out, err := exec.Command("ip", "link", "add", "bridge", "type", "bridge").CombinedOutput(); err != nil {
		t.Skipf("may not make a bridge: %v: %s", err, out)
	}
	run(t, "ip", "link", "set", "bridge", "up")
	var nodes []*namespaceNode
	for i := range 3 {
		nodes = append(nodes, startInNamespace(t, i))
	}
	for _, n := range nodes {
		n.ask("join", "joined")
	}
	leader := -1
	for i, n := range nodes {
		n.ask("settle", "settled")
		if n.answer("leads") == "true" {
			leader = i
		}
	}
	if leader < 0 {
		t.Fatal("nobody leads")
	}
	cut, rest := nodes[leader], nodes[(leader+1)%3]
	cut.ask("pay 1", "1")

	run(t, "ip", "link", "set", cut.link, "down")
	cut.ask("offline", "offline")
	cut.ask("pay 100", "stalled")
	rest.ask("pay 10", "11")
	run(t, "ip", "link", "set", cut.link, "up")
	for _, n := range nodes {
		n.ask("settle", "settled")
	}
	for _, n := range nodes {
		// What the cut leader was told to pay may have been under way.
		if got := n.answer("sum"); got != "11" && got != "111" {
			t.Errorf("%s reads %s, want 11 or 111", n.link, got)
		}
	}
}

// namespaceNode is a process that runs [TestNamespaceNode].
type namespaceNode struct {
	t    *testing.T
	link string // its interface on the bridge's side
	in   io.Writer
	out  *bufio.Scanner
}

func startInNamespace(t *testing.T, i int) *namespaceNode {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestNamespaceNode$", "-test.timeout", patience.String())
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=10.77.0.%d", namespaceAddr, i+1))
	cmd.Stderr = t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip("may not start a process in a network namespace: ", err)
	}
	t.Cleanup(func() {
		in.Close() // which ends it
		if err := cmd.Wait(); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	})
	n := &namespaceNode{t: t, link: "link" + strconv.Itoa(i), in: in, out: bufio.NewScanner(out)}
	run(t, "ip", "link", "add", n.link, "master", "bridge", "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(cmd.Process.Pid))
	run(t, "ip", "link", "set", n.link, "up")
	return n
}

// answer tells the node to do something and returns what it says.
func (n *namespaceNode) answer(order string) string {
	n.t.Helper()
	if _, err := fmt.Fprintln(n.in, order); err != nil || !n.out.Scan() {
		n.t.Fatalf("%s ended: %v, %v", n.link, err, n.out.Err())
	}
	return n.out.Text()
}

func (n *namespaceNode) ask(order, want string) {
	n.t.Helper()
	if got := n.answer(order); got != want {
		n.t.Fatalf("%s: %s: %s, want %s", n.link, order, got, want)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// TestNamespaceNode is one process of [TestPartitionBetweenNamespaces]. It reads
// orders and writes an answer to each.
func TestNamespaceNode(t *testing.T) {
	addr := os.Getenv(namespaceAddr)
	if addr == "" {
		t.Skip("is run by TestPartitionBetweenNamespaces")
	}
	var g tillGroup
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		order, arg, _ := strings.Cut(orders.Text(), " ")
		ctx := soon(t)
		var said any = order
		var err error
		switch order {
		case "join":
			said = "joined"
			run(t, "ip", "addr", "add", addr+"/24", "dev", "eth0")
			run(t, "ip", "link", "set", "eth0", "up")
			g = joinInNamespace(t, ctx, addr)
		case "settle":
			said, err = "settled", g.When().Settled(ctx)
		case "offline":
			_, err = g.When().Until(ctx, offline)
		case "leads":
			said = g.IsLeader()
		case "pay":
			amount, _ := strconv.ParseInt(arg, 10, 64)
			paid, failed := mosaik.Execute(ctx, g, pay(amount))
			if said, err = paid.Value, failed; errors.Is(err, mosaik.ErrStalled) {
				said, err = "stalled", nil
			}
		case "sum":
			var a mosaik.Result[int64]
			a, err = mosaik.Query(ctx, g, sum{}, mosaik.Strong)
			said = a.Value
		}
		if err != nil {
			said = err
		}
		fmt.Println(said)
	}
}

func joinInNamespace(t *testing.T, ctx context.Context, addr string) tillGroup {
	n, err := mosaik.Open(ctx, mosaik.NetworkID("namespaces"), mosaik.WithListen(addr+":7000"),
		mosaik.WithSeeds("10.77.0.1:7000", "10.77.0.2:7000", "10.77.0.3:7000"), mosaik.WithLeaveTimeout(0),
		mosaik.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, nil))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	key, err := mosaik.KeyFromDigest(sm.ID("namespaces"))
	if err != nil {
		t.Fatal(err)
	}
	b := n.Groups().WithKey(key).WithConsensusConfig(testutil.FastConsensus()).WithMembership(three)
	g, err := mosaik.WithStateMachine(b, newTill).Join(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
