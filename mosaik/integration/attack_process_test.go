package integration_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	watching "github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

// assailants replaces the number of assailants that each attack has by default.
var assailants = flag.Int("assailants", 0,
	"how many assailants each attack of TestAdversaries has, 0 for the attack's own number")

// attackerCPU pins the attacker's process. An attacker that shares its processors
// with the members takes their time whether they defend themselves or not.
var attackerCPU = flag.String("attackercpu", "",
	"the processors on which the attacker runs, as taskset -c takes them; empty for all")

// attackerOrder tells a process that it is the attacker of a test, and what to
// attack: an [order] in JSON.
const attackerOrder = "MOSAIK_TEST_ATTACKER"

// order is what the attacker's process gets to know. What it has no right to
// know, such as the key for a stranger, is zero.
type order struct {
	Attack     string
	Who        who
	Network    sm.Digest
	Group      sm.Digest
	Secret     sm.Digest
	Targets    []string // host:port of every victim
	Assailants int
}

// report is what the attacker's process says about its progress, as one line of
// JSON. Reports are cumulative.
type report struct {
	// UnderWay says that the attack has reached its full strength once.
	UnderWay bool
	Counts   map[string]int64
	// Repelled says why an assailant was repelled last.
	Repelled string
	// Failure is an answer of a victim that the attack must not get.
	Failure string
}

// reportEvery is the time between two reports.
const reportEvery = 20 * time.Millisecond

// siege is an attack that is being carried out, on the attacker's side.
type siege struct {
	order

	mu       sync.Mutex
	report   report
	attempts int
}

// count adds one to what the attack counts under the name, and returns it.
func (s *siege) count(what string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Counts[what]++
	return s.report.Counts[what]
}

// attempt counts what an assailant has done or failed to do. When there were as
// many attempts as there are assailants the attack has reached its full strength.
func (s *siege) attempt(what string) {
	s.count(what)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attempts++; s.attempts == s.Assailants {
		s.report.UnderWay = true
	}
}

// repelled counts an assailant that was repelled, which is an attempt.
func (s *siege) repelled(err error) {
	s.attempt("repelled")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Repelled = err.Error()
}

// underWay notes that the attack has reached its full strength.
func (s *siege) underWay() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.UnderWay = true
}

// fail notes what a victim must not do. The first failure counts.
func (s *siege) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.report.Failure == "" && err != nil {
		s.report.Failure = err.Error()
	}
}

func (s *siege) line() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	line, err := json.Marshal(s.report)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return line
}

// target returns the victim of the i-th assailant.
func (s *siege) target(i int) string { return s.Targets[i%len(s.Targets)] }

// each runs do for every assailant, again and again until the context ends. An
// assailant whose attempt failed because of a victim rests for a moment.
func (s *siege) each(ctx context.Context, do func(ctx context.Context, i int) error) {
	var running sync.WaitGroup
	for i := range s.Assailants {
		running.Go(func() {
			for ctx.Err() == nil {
				if err := do(ctx, i); err != nil {
					s.repelled(err)
					rest(ctx, 20*time.Millisecond)
				}
			}
		})
	}
	running.Wait()
}

// rest waits for d or until the context ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// TestAttacker is the attacker's process. It attacks until its standard input
// ends.
func TestAttacker(t *testing.T) {
	text, ok := os.LookupEnv(attackerOrder)
	if !ok {
		t.Skip("the tests of adversaries run it in a process of its own")
	}
	s := &siege{report: report{Counts: map[string]int64{}}}
	if err := json.Unmarshal([]byte(text), &s.order); err != nil {
		t.Fatal(err)
	}
	a, ok := attackNamed(s.Attack)
	if !ok {
		t.Fatalf("there is no attack %q", s.Attack)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			rest(ctx, reportEvery)
			fmt.Printf("%s\n", s.line())
		}
	})
	err := a.do(ctx, s)
	if ctx.Err() == nil && err != nil {
		s.fail(err)
	}
	<-ctx.Done() // an attack may have an end; the test decides when it is over
	running.Wait()
	fmt.Printf("%s\n", s.line())
}

// attacker is the attacker's process, on the test's side.
type attacker struct {
	t      testing.TB
	cmd    *exec.Cmd
	in     io.Closer
	report *watching.Value[report]
	done   chan struct{} // closed when all that the process printed was read
}

// startAttacker runs an attack in a process of its own.
func startAttacker(t testing.TB, c *testutil.Cluster, a attack, group sm.Digest) *attacker {
	t.Helper()
	o := order{Attack: a.name, Who: a.who, Network: c.Node(0).Net().ID(), Assailants: a.assailants}
	if *assailants > 0 {
		o.Assailants = *assailants
	}
	if a.who != aStranger {
		secret, err := sm.ParseDigest(strings.Split(c.Key().Export(), ":")[2])
		if err != nil {
			t.Fatal(err)
		}
		o.Secret = secret
	}
	o.Group = group // it is public on the network
	for i := range c.Len() {
		o.Targets = append(o.Targets, c.Node(i).Addr())
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	name, args := os.Args[0], []string{"-test.run", "^TestAttacker$", "-test.timeout", "0"}
	if *attackerCPU != "" {
		// A real attacker has processors of its own.
		name, args = "taskset", append([]string{"-c", *attackerCPU, os.Args[0]}, args...)
	}
	p := &attacker{
		t: t, cmd: exec.Command(name, args...),
		report: watching.New(report{}), done: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), attackerOrder+"="+string(text))
	p.cmd.Stderr = t.Output()
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	go p.listen(out)
	return p
}

// listen reads reports until the process has closed its output.
func (p *attacker) listen(out io.Reader) {
	defer close(p.done)
	defer p.report.End(errors.New("the attacker's process has ended"))
	var rest []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var r report
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			rest = append(rest, lines.Text()) // what the testing package prints
			continue
		}
		p.report.Set(r)
	}
	if len(rest) > 0 && rest[0] != "PASS" {
		p.t.Logf("the attacker says:\n%s", strings.Join(rest, "\n"))
	}
}

// await waits until the attacker has reported what is wanted.
func (p *attacker) await(what string, reached func(report) bool) report {
	p.t.Helper()
	r, err := p.report.Wait(soon(p.t), reached)
	if err != nil {
		p.t.Fatalf("attack: wait until it is %s: %v; the last report is %v", what, err, p.report.Get())
	}
	return r
}

// stop ends the attack in an orderly way and returns the last report. It fails
// the test if a victim did what it must not do.
func (p *attacker) stop() report {
	p.t.Helper()
	p.in.Close()
	<-p.done
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the attacker's process: %v", err)
	}
	p.cmd = nil
	r := p.report.Get()
	if r.Failure != "" {
		p.t.Errorf("an assailant got an answer that it must not get: %s", r.Failure)
	}
	return r
}

// kill ends the process if it still runs.
func (p *attacker) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
	_ = p.cmd.Wait()
}

// String lists the counts.
func (r report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "under way %t", r.UnderWay)
	for _, what := range slices.Sorted(maps.Keys(r.Counts)) {
		fmt.Fprintf(&b, ", %s %d", what, r.Counts[what])
	}
	if r.Repelled != "" {
		fmt.Fprintf(&b, ", at last by %q", r.Repelled)
	}
	if r.Failure != "" {
		fmt.Fprintf(&b, ", failure %q", r.Failure)
	}
	return b.String()
}
