package testutil

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"sync"
	"testing"

	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil/internal/determinism"
)

// CheckDeterminism checks that a machine is deterministic: that replicas which apply the same
// commands have the same state and return the same results. newMachine must return a new, empty
// machine on each call. [CheckDeterminismWith] has options.
//
// The check draws random sequences of commands. It applies each to several instances of the
// machine, in this process and in others, which have other seeds for the order of maps, another
// time zone and another GOMAXPROCS. Some instances move their state to a new machine by
// Snapshot and Restore between two commands. If the machine is an [sm.BatchApplier], some apply
// the commands in batches. If it is an [sm.Freezer], some freeze a view before each command, which
// later commands must not change. All results and the states at the end must be equal. States are
// compared by what Snapshot writes or, without it, by all fields. A machine that panics fails, and
// so does one whose results are changed by later commands.
//
// On a failure, the test reports the shortest sequence that still shows the difference, the
// difference by field, and the seed.
//
// It runs the test once more in each of its processes, up to the same check. So make it
// the first step of a test of its own:
//
//	func TestDeterminism(t *testing.T) { testutil.CheckDeterminism(t, ledger.New) }
//
// What no random sequence reaches is not found. Neither is the use of a clock of which the
// machine keeps only the day, since all instances run at about the same time.
func CheckDeterminism[C any, M sm.StateMachine[C]](t *testing.T, newMachine func() M) {
	t.Helper()
	CheckDeterminismWith(t, newMachine, Determinism[C]{})
}

// CheckDeterminismWith is [CheckDeterminism] with options:
//
//	testutil.CheckDeterminismWith(t, ledger.New, testutil.Determinism[ledger.Command]{Sequences: 1000})
func CheckDeterminismWith[C any, M sm.StateMachine[C]](t *testing.T, newMachine func() M, options Determinism[C]) {
	t.Helper()
	options.check(t, subject[C](t, newMachine))
}

// Determinism holds the options of [CheckDeterminismWith]. The zero value of each field stands
// for its default.
type Determinism[C any] struct {
	// Sequences is the number of random sequences, 0 for 20.
	Sequences int
	// Commands is the highest number of commands in a sequence, 0 for 100.
	Commands int
	// Processes is the number of other processes, 0 for 3 and -1 for none.
	Processes int
	// Seed decides which commands are drawn, 0 for a seed that differs from run to run.
	// The report of a failure names it.
	Seed uint64
	// Generate draws a command. nil draws the command's type and all of its exported fields,
	// which needs a machine whose code mosaik-gen generated, or a C that is no interface.
	// Set it if random commands are nearly all refused, for example because they name no
	// account that exists.
	Generate func(r *rand.Rand) C
}

const (
	defaultSequences = 20
	defaultCommands  = 100
	defaultProcesses = 3
)

// checks counts the calls of checks by their test.
var checks = struct {
	sync.Mutex
	calls map[*testing.T]int
}{calls: make(map[*testing.T]int)}

// nextCheck returns how many checks the test has made before.
func nextCheck(t *testing.T) int {
	checks.Lock()
	defer checks.Unlock()
	n, again := checks.calls[t]
	checks.calls[t] = n + 1
	if !again {
		t.Cleanup(func() {
			checks.Lock()
			defer checks.Unlock()
			delete(checks.calls, t)
		})
	}
	return n
}

func (d Determinism[C]) check(t *testing.T, s *checked[C]) {
	t.Helper()
	report, err := d.report(t, s)
	if err != nil {
		t.Fatalf("testutil: check determinism of machine %q: %v", s.spec.Name, err)
	}
	if report != "" {
		t.Fatal(report)
	}
}

// report makes the check and returns what it found, or "". In a process that was started by the
// same check, it executes what the other process sends, and ends the test.
func (d Determinism[C]) report(t *testing.T, s *checked[C]) (string, error) {
	call := nextCheck(t)
	served, test, isWorker := determinism.Served()
	switch {
	case !isWorker:
		return d.run(s, t.Name(), call)
	case test == t.Name() && served == call:
		if err := determinism.Serve(s.machine(), os.Stdin, os.Stdout); err != nil {
			return "", err
		}
		t.SkipNow() // the rest of the test is not for this process
	}
	return "", nil
}

// run returns a report of the first difference, or "".
func (d Determinism[C]) run(s *checked[C], test string, call int) (report string, err error) {
	if d.Seed == 0 {
		d.Seed = rand.Uint64() | 1
	}
	workers, err := d.start(test, call)
	defer func() {
		for _, w := range workers {
			w.Close()
		}
	}()
	if err != nil {
		return "", err
	}
	find := func(script determinism.Script) (*determinism.Difference, error) {
		return compare(s.machine(), workers, script)
	}
	for i := range orDefault(d.Sequences, defaultSequences) {
		script, err := d.draw(s, rand.New(rand.NewPCG(d.Seed, uint64(i))))
		if err != nil {
			return "", err
		}
		found, err := find(script)
		if err != nil {
			return "", err
		}
		if found != nil {
			drawn := len(script.Commands)
			script, found, err = determinism.Shrink(script, found, find)
			return d.describe(s, script, found, drawn), err
		}
	}
	return "", nil
}

func orDefault(n, byDefault int) int {
	if n == 0 {
		return byDefault
	}
	return n
}

func (d Determinism[C]) start(test string, call int) (workers []*determinism.Worker, err error) {
	for i := range max(0, orDefault(d.Processes, defaultProcesses)) {
		w, err := determinism.Start(test, call, 1<<(i%4))
		if err != nil {
			return workers, err
		}
		workers = append(workers, w)
	}
	return workers, nil
}

// compare executes the script in all processes.
func compare(m determinism.Machine, workers []*determinism.Worker, script determinism.Script) (*determinism.Difference, error) {
	for _, w := range workers {
		if err := w.Send(script); err != nil {
			return nil, err
		}
	}
	all := determinism.Execute(m, script, "this process")
	for _, w := range workers {
		theirs, err := w.Receive()
		if err != nil {
			return nil, err
		}
		all = append(all, theirs...)
	}
	return determinism.Compare(all), nil
}

// describe describes a difference to the author of the machine.
func (d Determinism[C]) describe(s *checked[C], script determinism.Script, found *determinism.Difference, drawn int) string {
	text := fmt.Sprintf("testutil: machine %q is not deterministic; testutil.Determinism[%s]{Seed: %#x} finds it again\n\n",
		s.spec.Name, reflect.TypeFor[C](), d.Seed)
	text += fmt.Sprintf("the shortest sequence of %d drawn commands that shows it:\n", drawn)
	for i, c := range script.Commands {
		text += fmt.Sprintf("%4d  %s\n", i+1, s.describe(c))
	}
	return text + fmt.Sprintf("\nafter command %d, %s", found.Command+1, found.What)
}
