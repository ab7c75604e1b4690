package state

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/sm"
)

func TestCommandsHaveDenseIndices(t *testing.T) {
	t.Parallel()
	r := ready()
	r.commands(mine, 1, "a", "b")
	r.kind(format.KindLevel)
	r.commands(others, 1, "c")
	r.next(nil)
	r.commands(mine, 2, "d")
	var got []sm.Index
	for _, at := range r.machine.contexts {
		got = append(got, at.Index())
	}
	if diff := cmp.Diff([]sm.Index{1, 2, 3, 4}, got); diff != "" {
		t.Errorf("indices (-want +got):\n%s", diff)
	}
	want := []Delivery{
		{Session: mine, Sequence: 1, First: 1, Results: []Result{{Value: 1}, {Value: 2}}},
		{Session: mine, Sequence: 2, First: 4, Results: []Result{{Value: 4}}},
	}
	if diff := cmp.Diff(want, r.deliveries); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	wantStatus := Status{
		AppliedIndex: 4, Raft: sm.Cursor{Term: 1, Index: r.index}, Time: time.Unix(0, 2).UTC(),
		Level: 2, Sessions: 2, Opened: true,
	}
	if diff := cmp.Diff(wantStatus, r.Status()); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if r.at != wantStatus.Raft {
		t.Errorf("Applied received %v last, want %v", r.at, wantStatus.Raft)
	}
}

func TestApplyContext(t *testing.T) {
	t.Parallel()
	r := ready()
	r.Apply(70, 6, entry(others, 1, "a"))
	at := r.machine.contexts[0]
	want := sm.NewApplyContext(sm.ApplyInfo{
		Index: 1, Term: 6, Group: sm.ID("group"), Network: sm.ID("network"), Time: time.Unix(0, 1), Seed: 9,
	})
	if diff := cmp.Diff(want, at, cmp.AllowUnexported(sm.ApplyContext{})); diff != "" {
		t.Errorf("context (-want +got):\n%s", diff)
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	t.Parallel()
	r := ready()
	for i, proposed := range []int64{50, 40, 60, -1} {
		b := format.Begin(nil, format.Header{
			Kind: format.KindCommands, Session: mine, Sequence: uint64(i + 1), Time: proposed,
		}, nil, 1)
		r.next(format.AppendCommand(b, []byte("x")))
	}
	var got []int64
	for _, at := range r.machine.contexts {
		got = append(got, at.Now().UnixNano())
	}
	if diff := cmp.Diff([]int64{50, 50, 60, 60}, got); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
}

func TestCommandsBeforeOpenAreRejected(t *testing.T) {
	t.Parallel()
	r := newReplica()
	r.open(mine)
	rejected := entry(mine, 1, "early")
	r.next(rejected)
	if d := r.last(t); !errors.Is(d.Err, ErrForming) || d.First != 0 || d.Results != nil {
		t.Errorf("delivered %+v, want %v", d, ErrForming)
	}
	if s := r.Status(); s.AppliedIndex != 0 || s.Opened {
		t.Errorf("status %+v after a rejected command, want no command", s)
	}
	r.kind(format.KindOpen)
	r.kind(format.KindOpen)
	if !r.Status().Opened {
		t.Error("an open entry does not open the group")
	}
	// The caller knows that the entry was not applied, so a late copy must not be applied.
	r.next(rejected)
	r.commands(mine, 2, "in time")
	if diff := cmp.Diff([]string{"in time"}, r.machine.Lines); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	if d := r.last(t); d.First != 1 || d.Err != nil {
		t.Errorf("delivered %+v, want index 1", d)
	}
	if diff := cmp.Diff([]string{"deliver 1", "opened", "deliver 2"}, r.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestSealOfAnEmptyGroup(t *testing.T) {
	t.Parallel()
	r := ready()
	seal := format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindSeal}})
	if !r.SealedBy(seal) {
		t.Error("a seal would not seal an empty group")
	}
	r.kind(format.KindSeal)
	if r.SealedBy(seal) {
		t.Error("a second seal would seal it again")
	}
	r.kind(format.KindSeal)
	r.commands(mine, 1, "late")
	if d := r.last(t); !errors.Is(d.Err, ErrSealed) {
		t.Errorf("delivered %+v, want %v", d, ErrSealed)
	}
	if s := r.Status(); !s.Sealed || s.AppliedIndex != 0 || len(r.machine.Lines) != 0 {
		t.Errorf("status %+v with %d commands applied, want a sealed and empty group", s, len(r.machine.Lines))
	}
	if diff := cmp.Diff([]string{"opened", "sealed", "deliver 1"}, r.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestSealOfAGroupWithCommandsIsVoid(t *testing.T) {
	t.Parallel()
	r := ready()
	r.commands(others, 1, "a")
	if r.SealedBy(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindSeal}})) {
		t.Error("a seal would seal a group with commands")
	}
	r.kind(format.KindSeal)
	r.commands(mine, 1, "b")
	if d := r.last(t); d.Err != nil || r.Status().Sealed {
		t.Errorf("delivered %+v, sealed %v, want the outcome of the command and no seal", d, r.Status().Sealed)
	}
	if slices.Contains(r.events, "sealed") {
		t.Error("a void seal is reported")
	}
}

func TestSessionRules(t *testing.T) {
	t.Parallel()
	r := ready()
	r.commands(mine, 1, "one")
	r.commands(mine, 1, "one again")
	r.commands(mine, 3, "three early")
	r.commands(mine, 0, "zero")
	r.open(mine) // has no effect on a session that exists
	r.commands(mine, 2)
	r.commands(mine, 3, "three")
	stranger := format.SessionID{3}
	r.commands(stranger, 1, "stranger")
	r.SetOwnSession(stranger)
	r.commands(stranger, 1, "stranger")
	want := []Delivery{
		{Session: mine, Sequence: 1, First: 1, Results: []Result{{Value: 1}}},
		{Session: mine, Sequence: 3, Err: ErrGap},
		{Session: mine, Sequence: 2, Results: []Result{}},
		{Session: mine, Sequence: 3, First: 2, Results: []Result{{Value: 2}}},
		{Session: stranger, Sequence: 1, Err: ErrUnknownSession},
	}
	if diff := cmp.Diff(want, r.deliveries, cmpopts.EquateErrors()); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"one", "three"}, r.machine.Lines); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

func TestSessionTableDropsTheLeastRecentlyUsed(t *testing.T) {
	t.Parallel()
	r := ready() // opens mine, then others
	id := func(i int) format.SessionID { return format.SessionID{9, byte(i), byte(i >> 8)} }
	for i := range MaxSessions - 2 {
		r.open(id(i))
	}
	r.commands(mine, 1, "still here") // others is now the least recently used
	r.open(id(MaxSessions))
	r.commands(others, 1, "dropped")
	r.commands(mine, 2, "still here")
	r.open(id(MaxSessions + 1)) // drops id(0)
	r.commands(id(0), 1, "dropped")
	r.commands(id(1), 1, "kept")
	if diff := cmp.Diff([]string{"still here", "still here", "kept"}, r.machine.Lines); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	if got := r.Status().Sessions; got != MaxSessions {
		t.Errorf("%d sessions, want %d", got, MaxSessions)
	}
	lines := r.sessions.list()
	if got := lines[len(lines)-1]; got != (format.Session{ID: id(1), Sequence: 1, First: 3, Used: uint64(r.index)}) {
		t.Errorf("last line of the table %+v, want the last use", got)
	}
	// A restored replica drops the same sessions.
	c := newReplica()
	r.copyTo(t, c)
	for i := range 3 {
		for _, at := range []*replica{r, c} {
			at.open(id(MaxSessions + 2 + i))
		}
	}
	if diff := cmp.Diff(r.sessions.list(), c.sessions.list()); diff != "" {
		t.Errorf("session tables after a restore (-want +got):\n%s", diff)
	}
}

func TestUndecodableCommandCountsWithoutEffect(t *testing.T) {
	t.Parallel()
	r := ready()
	r.commands(mine, 1, "a", "undecodable", "b", "decline")
	want := Delivery{Session: mine, Sequence: 1, First: 1, Results: []Result{
		{Value: 1}, {Err: ErrUndecodable}, {Value: 2}, {Err: errDomain},
	}}
	if diff := cmp.Diff(want, r.last(t), cmpopts.EquateErrors()); diff != "" {
		t.Errorf("delivery (-want +got):\n%s", diff)
	}
	if err := r.last(t).Results[1].Err; !errors.Is(err, errDecode) {
		t.Errorf("error %v does not wrap the cause", err)
	}
	if got := r.machine.contexts[1].Index(); got != 3 {
		t.Errorf("the next command has index %d, want 3", got)
	}
	if got := r.Status().AppliedIndex; got != 4 {
		t.Errorf("%d commands counted, want 4", got)
	}
}

func TestDamagedEntryDoesNothing(t *testing.T) {
	t.Parallel()
	r := ready()
	r.next(append(entry(mine, 1, "a"), 0))
	if s := r.Status(); s.Poisoned != nil || s.AppliedIndex != 0 || s.Raft.Index != r.index {
		t.Errorf("status %+v after a damaged entry, want it counted and no command", s)
	}
	r.commands(mine, 1, "b")
	if diff := cmp.Diff([]string{"b"}, r.machine.Lines); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

func TestOnlyOurOwnResultsAreKept(t *testing.T) {
	r := ready()
	cmds := make([]string, 64)
	for i := range cmds {
		cmds[i] = "decline" // which allocates nothing
	}
	data := entry(others, 1, cmds...)
	var sequence uint64
	allocs := testing.AllocsPerRun(50, func() {
		sequence++
		data[24] = byte(sequence)
		r.next(data)
	})
	if got := r.Status().AppliedIndex; got != sm.Index(64*sequence) {
		t.Fatalf("%d commands applied, want %d", got, 64*sequence)
	}
	if len(r.deliveries) != 0 || allocs != 0 {
		t.Errorf("%d deliveries and %v allocations for another session's entry, want none", len(r.deliveries), allocs)
	}
}

func TestTracesOfAppliedEntries(t *testing.T) {
	t.Parallel()
	r := ready()
	h := format.Header{Kind: format.KindCommands, Session: others, Sequence: 1}
	b := format.Begin(nil, h, []format.Trace{{Offset: 0, Span: format.Span{Flags: 1}}}, 1)
	b = format.AppendCommand(b, []byte("a"))
	r.next(b)
	r.next(b) // a duplicate
	r.commands(others, 2, "untraced")
	if diff := cmp.Diff([]string{"opened", "traced 1+1"}, r.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func FuzzApply(f *testing.F) {
	f.Add(entry(mine, 1, "a", "undecodable"), entry(mine, 2, "b"))
	f.Add(entry(mine, 1, "panic"), entry(others, 1, "b"))
	f.Add(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindSeal}}), []byte{2})
	f.Add(levelEntry(2), entryAt(2, mine, 1, "a"))
	f.Add(levelEntry(3), entryAt(3, mine, 1, "a"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		a, b := ready(), ready()
		b.SetOwnSession(others) // the own session must not affect the state
		for _, r := range []*replica{a, b} {
			r.next(one)
			r.next(two)
		}
		if diff := cmp.Diff(a.machine.Lines, b.machine.Lines); diff != "" {
			t.Errorf("two replicas applied (-one +other):\n%s", diff)
		}
		ignoreStack := cmpopts.IgnoreFields(consensus.PoisonedError{}, "Stack", "Value")
		ignoreFormat := cmpopts.IgnoreFields(consensus.OutdatedError{}, "Err")
		if diff := cmp.Diff(a.Status(), b.Status(), ignoreStack, ignoreFormat); diff != "" {
			t.Errorf("status of two replicas (-one +other):\n%s", diff)
		}
	})
}
