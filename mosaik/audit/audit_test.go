package audit_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/codec"
	"github.com/mosaik-go/mosaik/logstore"
	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/audit"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
	"github.com/mosaik-go/mosaik/testutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// till adds up what is paid in.
type till struct{ sum int64 }

func newTill() *till { return &till{} }

// step is the command of a till.
type step struct{ Paid int64 }

func (*till) Spec() sm.Spec[step] { return sm.Define[step]("till", 1) }

func (c *till) Apply(_ sm.ApplyContext, s step) (any, error) {
	c.sum += s.Paid
	return c.sum, nil
}

func mustPay(t *testing.T, g *mosaik.Group[step, *till], n int64) {
	t.Helper()
	if _, err := g.Execute(soon(t), step{n}); err != nil {
		t.Fatal(err)
	}
}

// soon returns a context that ends when a test has taken too long.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// lentStorage is a memory storage whose log others can read, too.
type lentStorage struct{ log *logstore.Log }

func (s lentStorage) Open(o logstore.OpenOptions[step]) (log logstore.Log, err error) {
	log, err = logstore.NewMemory[step]().Open(o)
	*s.log = log
	return log, err
}

// logged is what a log says, in words.
func logged(t *testing.T, log logstore.Log) (kinds []string, commands []step) {
	t.Helper()
	var before sm.Cursor
	var sequence uint64 // of the one session that each test has for each epoch
	for e, err := range audit.Read(log, newTill().Spec().Codec) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Cursor.Index <= before.Index || e.Cursor.Term < before.Term {
			t.Fatalf("entry %+v follows %+v", e.Cursor, before)
		}
		if age := time.Since(e.Time); e.Kind == audit.KindCommands && (age < 0 || age > time.Hour || e.Sequence == 0) {
			t.Errorf("entry %+v is of %v", e, e.Time)
		}
		before = e.Cursor
		switch {
		case e.Kind == audit.KindSession:
			sequence = 0
		case e.Kind == audit.KindCommands && e.Sequence <= sequence:
			continue // sent again
		}
		sequence = max(sequence, e.Sequence)
		kinds = append(kinds, e.Kind.String())
		commands = append(commands, e.Commands...)
	}
	return kinds, commands
}

func TestRead(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 1)
	var log logstore.Log
	g := testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(c.Node(0).Builder(), newTill).WithLogStorage(lentStorage{&log}))
	testutil.Settle(t, g)
	mustPay(t, g, 5)
	mustPay(t, g, 7)

	kinds, commands := logged(t, log)
	if diff := cmp.Diff([]step{{5}, {7}}, commands); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if !slices.Equal(kinds, []string{"open", "session", "commands", "commands"}) {
		t.Errorf("the log holds %v", kinds)
	}
	for range audit.Read(log, newTill().Spec().Codec) {
		break // which ends the reading
	}

	for e, err := range audit.Read(log, codec.Reflect[int]()) { // another machine's
		if err != nil {
			if !errors.Is(err, codec.ErrType) || !strings.Contains(err.Error(), "command 0") {
				t.Errorf("read as numbers: %v, want ErrType of command 0", err)
			}
			break
		}
		if e.Kind == audit.KindCommands {
			t.Errorf("entry %+v was read as numbers", e)
		}
	}
	if err := g.Leave(soon(t)); err != nil {
		t.Fatal(err)
	}
	for _, err := range audit.Read(log, newTill().Spec().Codec) {
		if !errors.Is(err, logstore.ErrClosed) {
			t.Errorf("read a closed log: %v, want ErrClosed", err)
		}
	}
}

// TestCommitted reads a member's log when three commands were acknowledged there: it
// knows at least of all before the last one that they are committed. Of the last
// one it may learn so later, like a log whose commit index stops before it.
func TestCommitted(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 3)
	var log logstore.Log
	groups := []*mosaik.Group[step, *till]{testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(c.Node(0).Builder(), newTill).WithLogStorage(lentStorage{&log}))}
	for i := 1; i < 3; i++ {
		groups = append(groups, testutil.JoinWith(c.Node(i), mosaik.WithStateMachine(c.Node(i).Builder(), newTill)))
	}
	testutil.Settle(t, groups...)
	for n := range 3 {
		mustPay(t, groups[0], int64(n))
	}
	var sequence uint64 // of the one session
	for e, err := range audit.Read(log, newTill().Spec().Codec) {
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(e.Commands, step{2}) {
			break
		}
		again := e.Kind == audit.KindCommands && e.Sequence <= sequence
		if sequence = max(sequence, e.Sequence); !e.Committed && !again {
			t.Errorf("entry %+v is not committed, and was acknowledged before another one was asked for", e)
		}
	}

	state, err := log.State()
	if err != nil {
		t.Fatal(err)
	}
	var entries []logstore.Entry
	for e, err := range log.Entries(state.Pruned.Index+1, state.Last.Index+1) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	for commit := state.Pruned.Index; commit <= state.Last.Index; commit++ {
		other, err := logstore.NewMemory[step]().Open(logstore.OpenOptions[step]{})
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Save(logstore.Batch{Reset: &state.Pruned, Entries: entries, Hard: &logstore.HardState{Commit: commit}}); err != nil {
			t.Fatal(err)
		}
		for e, err := range audit.Read(other, newTill().Spec().Codec) {
			if err != nil || e.Committed != (e.Cursor.Index <= commit) {
				t.Errorf("with commit index %d: entry %+v, error %v", commit, e, err)
			}
		}
	}
}

// What an epoch takes over from another is in its log as well.
func TestReadOfARecoveredGroup(t *testing.T) {
	t.Parallel()
	c := testutil.NewCluster(t, 2)
	var log logstore.Log
	two := consensus.Policy{Expected: 2}
	g := testutil.JoinWith(c.Node(0), mosaik.WithStateMachine(c.Node(0).Builder(), newTill).WithMembership(two).WithLogStorage(lentStorage{&log}))
	other := testutil.JoinWith(c.Node(1), mosaik.WithStateMachine(c.Node(1).Builder(), newTill).WithMembership(two))
	testutil.Settle(t, g, other)
	mustPay(t, g, 5)
	c.Node(1).Crash()
	for s := range g.When().Statuses(soon(t)) {
		if s.Stalled {
			break
		}
	}
	if err := g.Recover(soon(t)); err != nil {
		t.Fatal(err)
	}
	mustPay(t, g, 7)
	kinds, commands := logged(t, log)
	if diff := cmp.Diff([]step{{5}, {7}}, commands); diff != "" {
		t.Errorf("commands (-want +got):\n%s\nof %v", diff, kinds)
	}
	if !slices.Contains(kinds, "ancestor") || !slices.Contains(kinds, "replay") {
		t.Errorf("the log holds %v, want what was taken over", kinds)
	}
}

// shopCodec is the codec of a machine with several levels: payments of 100 and more
// came with level 2.
type shopCodec struct{ codec.Codec[step] }

func (c shopCodec) AppendLevel(dst []byte, s step, _ uint32) ([]byte, error) { return c.Append(dst, s) }

func (c shopCodec) DecodeLevel(src []byte, level uint32) (step, error) {
	s, err := c.Decode(src)
	if err == nil && (level > 2 || level < 2 && s.Paid >= 100) {
		return step{}, &codec.Error{Op: "decode", Path: "step", Err: codec.ErrLevel}
	}
	return s, err
}

// Commands are decoded at the level of their entry, and where it is not known at the
// newest.
func TestReadDecodesAtTheLevel(t *testing.T) {
	t.Parallel()
	log, err := logstore.NewMemory[step]().Open(logstore.OpenOptions[step]{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	leveled := shopCodec{newTill().Spec().Codec}
	entry := func(level uint32, paid int64) []byte {
		cmd, err := leveled.Append(nil, step{paid})
		if err != nil {
			t.Fatal(err)
		}
		h := format.Header{Kind: format.KindCommands, Level: level, Sequence: 1}
		return format.AppendCommand(format.Begin(nil, h, nil, 1), cmd)
	}
	mark := func(h format.Header) []byte { return format.Append(nil, &format.Envelope{Header: h}) }
	replay := func(entries ...[]byte) []byte {
		b := format.Begin(nil, format.Header{Kind: format.KindReplay, Sequence: 1}, nil, len(entries))
		for _, e := range entries {
			b = format.AppendCommand(b, e)
		}
		return b
	}
	// What an entry holds, and what is wrong with it for each codec.
	for i, test := range []struct {
		data           []byte
		level          uint32
		commands       []step
		leveled, plain error
	}{
		{entry(1, 7), 1, []step{{7}}, nil, nil},
		{entry(2, 100), 2, []step{{100}}, nil, codec.ErrLevel},
		{entry(0, 100), 0, []step{{100}}, nil, nil},
		{mark(format.Header{Kind: format.KindLevel, Level: 2}), 2, nil, nil, nil},
		{entry(1, 100), 1, nil, codec.ErrLevel, nil},
		{entry(3, 7), 3, nil, codec.ErrLevel, codec.ErrLevel},
		{replay(entry(1, 7), entry(2, 100)), 0, []step{{7}, {100}}, nil, codec.ErrLevel},
		{replay(entry(2, 100), entry(1, 100)), 0, nil, codec.ErrLevel, codec.ErrLevel},
	} {
		b := logstore.Batch{Clear: true, Entries: []logstore.Entry{{Index: 1, Term: 1, Kind: 1<<7 | 2, Data: append([]byte{0}, test.data...)}}}
		if err := log.Save(b); err != nil {
			t.Fatal(err)
		}
		for e, err := range audit.Read(log, codec.Codec[step](leveled)) {
			if !errors.Is(err, test.leveled) {
				t.Errorf("entry %d: error %v, want %v", i, err, test.leveled)
			}
			if err == nil && (e.Level != test.level || !slices.Equal(e.Commands, test.commands)) {
				t.Errorf("entry %d: %+v, want level %d and %v", i, e, test.level, test.commands)
			}
		}
		for _, err := range audit.Read(log, leveled.Codec) {
			if !errors.Is(err, test.plain) {
				t.Errorf("entry %d without levels: error %v, want %v", i, err, test.plain)
			}
		}
	}
}
