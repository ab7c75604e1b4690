package integration_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

var (
	killRounds = flag.Int("kills", 6, "how often TestKilledProcesses kills processes")
	killSeed   = flag.Uint64("killseed", 0, "the seed of TestKilledProcesses, 0 for another one each time")
)

// killedNode tells a process that it is a node of [TestKilledProcesses]: a
// [killOrder] in JSON.
const killedNode = "MOSAIK_TEST_KILLED_NODE"

// killOrder is what such a process is to do.
type killOrder struct {
	Dir     string
	Network string
	Seeds   []string
	Process int64 // its number, which no other had
}

// TestKilledProcesses runs a group of three processes with logs on disk under
// load and kills some or all of them, again and again, at moments that are
// drawn. In the end every acknowledged command was applied, and none twice:
//
//	go test ./mosaik/integration -run TestKilledProcesses -kills 500 -timeout 2h
func TestKilledProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("a campaign")
	}
	t.Parallel()
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-killseed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	v := &victims{t: t, network: fmt.Sprintf("%s %d", t.Name(), seed), acked: map[int64]bool{}}
	t.Cleanup(v.end)
	for i := range v.nodes {
		v.nodes[i].dir = t.TempDir()
		v.start(i)
	}
	for range *killRounds {
		v.awaitAcks(10 + draw.IntN(50))
		time.Sleep(time.Duration(draw.Int64N(int64(20 * time.Millisecond)))) // the moment is drawn
		var killed []int
		for _, i := range draw.Perm(len(v.nodes))[:1+draw.IntN(len(v.nodes))] {
			v.kill(i)
			killed = append(killed, i)
		}
		for _, i := range killed {
			v.start(i)
		}
	}
	v.awaitAcks(10)
	v.calm()
	for i := range v.nodes {
		v.check(i, v.history(i))
	}
	t.Logf("%d commands acknowledged by %d processes", len(v.acked), v.started)
}

// victims are the processes, and what they said.
type victims struct {
	t       *testing.T
	network string
	nodes   [3]victim
	started int64

	mu    sync.Mutex
	acked map[int64]bool
}

// victim is a node, which is one process after the other.
type victim struct {
	dir   string
	cmd   *exec.Cmd
	in    io.WriteCloser
	addr  string
	acks  chan struct{} // one for each acknowledgment, as far as there is room
	calm  chan struct{} // closed when its callers have ended
	reads chan []int64  // the history
	done  chan struct{} // closed when all was read that it said
}

// start starts a node's next process.
func (v *victims) start(i int) {
	v.t.Helper()
	v.started++
	n := &v.nodes[i]
	order := killOrder{Dir: n.dir, Network: v.network, Process: v.started}
	for _, o := range v.nodes {
		if o.cmd != nil {
			order.Seeds = append(order.Seeds, o.addr)
		}
	}
	text, err := json.Marshal(order)
	if err != nil {
		v.t.Fatal(err)
	}
	n.cmd = exec.Command(os.Args[0], "-test.run", "^TestKilledNode$", "-test.timeout", "0")
	n.cmd.Env = append(os.Environ(), killedNode+"="+string(text))
	n.cmd.Stderr = v.t.Output()
	if n.in, err = n.cmd.StdinPipe(); err != nil {
		v.t.Fatal(err)
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	addr := make(chan string, 1)
	n.acks, n.calm = make(chan struct{}, 1000), make(chan struct{})
	n.reads, n.done = make(chan []int64, 1), make(chan struct{})
	go v.listen(out, addr, *n)
	select {
	case n.addr = <-addr:
	case <-n.done:
		v.t.Fatalf("node %d ended at its start", i)
	case <-soon(v.t).Done():
		v.t.Fatalf("node %d does not start", i)
	}
}

// listen notes what a process says until it is dead.
func (v *victims) listen(out io.Reader, addr chan<- string, n victim) {
	defer close(n.done)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<26)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "at":
			addr <- rest
		case "ack":
			number, err := strconv.ParseInt(rest, 10, 64)
			if err != nil {
				continue // the last line of one that was killed
			}
			v.mu.Lock()
			v.acked[number] = true
			v.mu.Unlock()
			select {
			case n.acks <- struct{}{}:
			default:
			}
		case "calm":
			close(n.calm)
		case "history":
			var h []int64
			if err := json.Unmarshal([]byte(rest), &h); err != nil {
				v.t.Error(err)
			}
			n.reads <- h
		}
	}
}

// awaitAcks waits until each node's process has acknowledged so many commands.
func (v *victims) awaitAcks(count int) {
	v.t.Helper()
	ctx := soon(v.t)
	for i, n := range v.nodes {
		for range count {
			select {
			case <-n.acks:
			case <-n.done:
				v.t.Fatalf("node %d ended by itself", i)
			case <-ctx.Done():
				v.t.Fatalf("node %d acknowledges nothing", i)
			}
		}
	}
}

// kill kills a node's process and reads what it still said.
func (v *victims) kill(i int) {
	n := &v.nodes[i]
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Kill() // it may have ended by itself
	<-n.done
	_ = n.cmd.Wait() // was killed
	n.cmd = nil
}

func (v *victims) end() {
	for i := range v.nodes {
		v.kill(i)
	}
}

// calm waits until no caller of any node calls any more.
func (v *victims) calm() {
	v.t.Helper()
	for i := range v.nodes {
		if _, err := fmt.Fprintln(v.nodes[i].in, "calm"); err != nil {
			v.t.Fatal(err)
		}
	}
	for i, n := range v.nodes {
		select {
		case <-n.calm:
		case <-n.done:
			v.t.Fatalf("node %d ended by itself", i)
		case <-soon(v.t).Done():
			v.t.Fatalf("node %d goes on calling", i)
		}
	}
}

// history asks a node what was applied.
func (v *victims) history(i int) []int64 {
	v.t.Helper()
	n := &v.nodes[i]
	n.in.Close()
	select {
	case h := <-n.reads:
		return h
	case <-n.done:
		v.t.Fatalf("node %d ended before it told its history", i)
	case <-soon(v.t).Done():
		v.t.Fatalf("node %d does not tell its history", i)
	}
	return nil
}

// check fails the test unless what was acknowledged so far is in the history,
// nothing twice, and each caller's commands in their order.
func (v *victims) check(node int, history []int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	last, there := map[int64]int64{}, map[int64]bool{}
	for _, n := range history {
		if caller := n >> 32; n <= last[caller] {
			v.t.Errorf("node %d applied %x after %x", node, n, last[caller])
		}
		last[n>>32], there[n] = n, true
	}
	for n := range v.acked {
		if !there[n] {
			v.t.Errorf("node %d lost %x, which was acknowledged", node, n)
		}
	}
}

// callersPerNode is how many callers each process has.
const callersPerNode = 4

// TestKilledNode is a process of [TestKilledProcesses].
func TestKilledNode(t *testing.T) {
	text, ok := os.LookupEnv(killedNode)
	if !ok {
		t.Skip("it is run by TestKilledProcesses")
	}
	var order killOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	in, asked := bufio.NewReader(os.Stdin), make(chan struct{})
	go func() {
		defer close(asked) // the test closes it to ask for the history
		_, _ = in.ReadString('\n')
		stop()
		_, _ = io.Copy(io.Discard, in)
	}()
	n, err := mosaik.Open(t.Context(), mosaik.NetworkID(order.Network), mosaik.WithDir(order.Dir), mosaik.WithListen("127.0.0.1:0"),
		mosaik.WithSeeds(order.Seeds...), mosaik.WithTick(10*time.Millisecond),
		mosaik.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("at", n.Addr())
	key, err := mosaik.KeyFromDigest(sm.ID(order.Network))
	if err != nil {
		t.Fatal(err)
	}
	b := n.Groups().WithKey(key).WithConsensusConfig(testutil.FastConsensus()).WithMembership(consensus.Policy{Expected: 3})
	g, err := mosaik.WithStateMachine(b, newKeptTill).WithSnapshots(300, 64<<20).WithLogStorage(logstore.Disk[step]()).Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var calling sync.WaitGroup
	var broken atomic.Pointer[error]
	for caller := range int64(callersPerNode) {
		calling.Go(func() {
			for number := (order.Process*callersPerNode+caller)<<32 + 1; ctx.Err() == nil; number++ {
				_, err := g.Execute(ctx, step{"pay", number})
				switch {
				case err == nil:
					fmt.Println("ack", number)
				case ctx.Err() == nil && g.When().Online(ctx) != nil && ctx.Err() == nil:
					broken.Store(&err)
					stop()
				}
			}
		})
	}
	calling.Wait()
	if err := broken.Load(); err != nil {
		t.Fatal(*err)
	}
	fmt.Println("calm")
	<-asked
	got, err := mosaik.Read(soon(t), g, mosaik.Strong, func(c *keptTill) ([]int64, error) { return slices.Clone(c.done), nil })
	if err != nil {
		t.Fatal(err)
	}
	history, err := json.Marshal(got.Value)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("history", string(history))
	<-soon(t).Done() // the others need its vote; it is killed
}
