package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/sm"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errBusy    = errors.New("no leader") // the entry is void
	errTimeout = errors.New("timeout")   // the entry may be in the log
)

func isBusy(err error) bool { return errors.Is(err, errBusy) }

// journal is a machine that records its commands; the result is the command.
type journal struct{ Lines []string }

func (j *journal) Apply(_ sm.ApplyContext, _ uint32, cmd []byte) (any, error, bool) {
	if string(cmd) == "panic" {
		panic("the machine is broken")
	}
	j.Lines = append(j.Lines, string(cmd))
	return string(cmd), nil, true
}
func (j *journal) CanSnapshot() bool          { return true }
func (j *journal) Snapshot(w io.Writer) error { return json.NewEncoder(w).Encode(j.Lines) }
func (j *journal) Restore(r io.Reader) error {
	j.Lines = nil
	return json.NewDecoder(r).Decode(&j.Lines)
}

// local is a proposer and its replica. The transport between them does with each entry of commands
// what the test decides.
type local struct {
	*Proposer
	state   *state.State
	machine *journal

	// propose decides about each attempt at an entry of commands; nil applies all. Other
	// entries are applied.
	propose func(ctx context.Context, data []byte) error
	// session decides about each attempt at an entry that opens a session.
	session func(ctx context.Context, data []byte) error

	mu    sync.Mutex
	index sm.Index
	sent  []sent // the entries of commands, one for each attempt
}

// sent is an attempt at an entry of commands.
type sent struct {
	session  format.SessionID
	sequence uint64
	cmds     []string
	data     string
	at       time.Time
}

// newLocal returns a running proposer in an open group, with one entry in flight at a time. The
// test closes it.
func newLocal(edit func(*local, *Config)) *local {
	l := &local{machine: &journal{}}
	cfg := Config{Transport: l, IsVoid: isBusy, MaxInflight: 1, SetSession: func(id format.SessionID) { l.state.SetOwnSession(id) }}
	if edit != nil {
		edit(l, &cfg)
	}
	l.state = state.New(state.Config{Machine: l.machine, Level: 5, Deliver: func(d state.Delivery) { l.Deliver(d) }})
	l.kind(format.KindOpen)
	l.Proposer = New(cfg)
	return l
}

// attempt is an attempt that runs in a goroutine.
type attempt chan error

func (a attempt) Wait(_ context.Context, interrupt <-chan struct{}) (settled bool, err error) {
	select {
	case err := <-a:
		return true, err
	case <-interrupt:
		return false, nil
	}
}

// Start implements Transport.
func (l *local) Start(ctx context.Context, data []byte) (Attempt, error) {
	a := make(attempt, 1)
	propose, data := l.begin(data), bytes.Clone(data)
	go func() { a <- propose(ctx, data) }()
	return a, nil
}

// begin returns what the transport does with an entry.
func (l *local) begin(data []byte) func(ctx context.Context, data []byte) error {
	e, err := format.Parse(data)
	if err != nil {
		panic(err)
	}
	if e.Kind == format.KindSession {
		if l.session != nil {
			return l.session
		}
		return l.applyEntry
	}
	s := sent{session: e.Session, sequence: e.Sequence, data: string(data), at: time.Now()}
	for _, cmd := range e.Commands.All() {
		s.cmds = append(s.cmds, string(cmd))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, s)
	if l.propose != nil {
		return l.propose
	}
	return l.applyEntry
}

// then replaces propose while the proposer runs.
func (l *local) then(propose func(ctx context.Context, data []byte) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.propose = propose
}

// apply lets the replica apply an entry.
func (l *local) apply(data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index++
	return l.state.Apply(l.index, 1, data)
}

// raise raises the replica's level by one, to level.
func (l *local) raise(level uint32) {
	_ = l.apply(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindLevel, Level: level}}))
}

func (l *local) kind(k format.Kind) {
	_ = l.apply(format.Append(nil, &format.Envelope{Header: format.Header{Kind: k}}))
}

func (l *local) attempts() []sent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent)
}

// entries returns the commands of each attempt.
func (l *local) entries() [][]string {
	var all [][]string
	for _, s := range l.attempts() {
		all = append(all, s.cmds)
	}
	return all
}

// submit submits a call, which must succeed.
func (l *local) submit(t testing.TB, cmds ...string) *Call {
	t.Helper()
	c, err := l.Submit(t.Context(), 1, encode(cmds), format.Span{})
	if err != nil {
		t.Fatalf("submit %q: %v", cmds, err)
	}
	return c
}

func encode(cmds []string) [][]byte {
	var b [][]byte
	for _, cmd := range cmds {
		b = append(b, []byte(cmd))
	}
	return b
}

// values returns what a successful call returned.
func values(t testing.TB, c *Call) (first sm.Index, values []string) {
	t.Helper()
	first, results, err := c.Wait(t.Context())
	if err != nil {
		t.Fatalf("wait: %v", err)
	}
	for _, r := range results {
		values = append(values, r.Value.(string))
	}
	return first, values
}

// fails fails the test unless a call ends with all of the errors.
func fails(t testing.TB, c *Call, want ...error) {
	t.Helper()
	_, results, err := c.Wait(t.Context())
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Errorf("the call ends with %v, want %v", err, w)
		}
	}
	if results != nil {
		t.Errorf("the call has results %v and error %v", results, err)
	}
}

// bubble runs f in a bubble with its own time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// script returns a propose that goes through the steps, then applies.
func (l *local) script(steps ...func(ctx context.Context, data []byte) error) func(context.Context, []byte) error {
	var mu sync.Mutex
	return func(ctx context.Context, data []byte) error {
		mu.Lock()
		step := l.applyEntry
		if len(steps) > 0 {
			step, steps = steps[0], steps[1:]
		}
		mu.Unlock()
		return step(ctx, data)
	}
}

func (l *local) applyEntry(_ context.Context, data []byte) error { return l.apply(data) }

// Steps of a script.

func answer(err error) func(context.Context, []byte) error {
	return func(context.Context, []byte) error { return err }
}

// silent never answers.
func silent(ctx context.Context, _ []byte) error {
	<-ctx.Done()
	return ctx.Err()
}
