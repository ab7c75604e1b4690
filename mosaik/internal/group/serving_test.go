package group

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/state"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// tally counts its commands. The command "panic" panics.
type tally struct{ n int }

func (m *tally) Apply(_ sm.ApplyContext, _ uint32, cmd []byte) (any, error, bool) {
	if string(cmd) == "panic" {
		panic("the tally is broken")
	}
	m.n++
	return m.n, nil, true
}
func (*tally) CanSnapshot() bool        { return false }
func (*tally) Snapshot(io.Writer) error { return nil }
func (*tally) Restore(io.Reader) error  { return nil }

// servingGroup is a Group whose goroutine is the test and whose replicas have no Raft.
type servingGroup struct {
	*Group
	t   *testing.T
	log [][]byte // the entries of the epoch
}

func newServingGroup(t *testing.T) *servingGroup {
	g := &Group{
		cfg:          Config{Level: 1, History: state.NewHistory(1 << 20)},
		log:          slog.New(slog.DiscardHandler),
		inbox:        newInbox(),
		status:       watch.New(Status{}),
		retryState:   watch.New(retryState{}),
		appliedIndex: watch.New(sm.Index(0)),
		endedEpochs:  map[Epoch]sm.Index{},
	}
	g.cfg.History.Record()
	s := &servingGroup{Group: g, t: t}
	session := format.SessionID{1}
	s.log = append(s.log, format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindOpen}}),
		format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindSession, Session: session}}))
	for i := range uint64(10) {
		h := format.Header{Kind: format.KindCommands, Session: session, Sequence: i + 1, Level: 1}
		s.log = append(s.log, format.AppendCommand(format.Begin(nil, h, nil, 1), fmt.Append(nil, i)))
	}
	return s
}

// begin starts a replica as start does, without Raft.
func (s *servingGroup) begin(e Epoch) *localReplica {
	l := &localReplica{epoch: e, machine: &tally{}}
	l.ctx, l.cancel = context.WithCancel(s.t.Context())
	l.state = state.New(state.Config{
		Machine: l.machine, History: s.cfg.History, Applied: stateEvents{s.Group, l}.applied, Poisoned: stateEvents{s.Group, l}.poisoned,
	})
	s.prepareServing(l)
	s.makeCurrent(l)
	s.retryState.Set(retryState{local: l, epoch: e})
	return l
}

// end stops the replica as quitEpoch does.
func (s *servingGroup) end() {
	l := s.local
	s.current.Store(nil)
	l.cancel()
	s.local = nil
	s.retireServing()
}

// apply applies entries of the log to a replica, up to a number of commands.
func (s *servingGroup) apply(l *localReplica, commands int) {
	s.t.Helper()
	for i := int(l.state.Status().Raft.Index); i < commands+2; i++ {
		if err := l.state.Apply(sm.Index(i+1), 1, s.log[i]); err != nil {
			s.t.Fatal(err)
		}
	}
}

// read returns the index of a read, whose value must agree with it.
func (s *servingGroup) read(need Need) (sm.Index, error) {
	s.t.Helper()
	var index sm.Index
	ctx, cancel := context.WithCancel(s.t.Context())
	cancel() // a read that must wait ends at once
	epoch, err := s.Read(ctx, need, &state.Query{Run: func(at sm.Index, m state.Machine) error {
		if index = at; m.(*tally).n != int(at) {
			s.t.Errorf("a machine at index %d has applied %d commands", at, m.(*tally).n)
		}
		return nil
	}})
	if err == nil && epoch.IsZero() {
		s.t.Errorf("an answer at %d without an epoch", index)
	}
	return index, err
}

// wantAt fails the test unless Weak reads and the AppliedIndex are at the index.
func (s *servingGroup) wantAt(when string, want sm.Index) {
	s.t.Helper()
	if got, err := s.read(Need{}); got != want || err != nil {
		s.t.Errorf("%s: a weak read answers at %d, error %v; want %d", when, got, err, want)
	}
	if got := s.appliedIndex.Get(); got != want {
		s.t.Errorf("%s: the AppliedIndex is %d, want %d", when, got, want)
	}
}

// TestReplacedReplicaServes replaces a replica by one with an empty machine, at each index at which
// the former one may have ended. Readers do not notice.
func TestReplacedReplicaServes(t *testing.T) {
	t.Parallel()
	for former := range 9 {
		s := newServingGroup(t)
		old := s.begin(Epoch{1})
		s.apply(old, former)
		s.end()
		if former == 0 {
			if _, err := s.read(Need{}); !errors.Is(err, ErrForming) {
				t.Errorf("a read of a member without an epoch and commands: %v", err)
			}
		} else {
			s.wantAt("between the replicas", sm.Index(former))
		}
		next := s.begin(Epoch{1})
		for applied := range 10 {
			s.apply(next, applied)
			at := sm.Index(max(former, applied))
			s.wantAt(fmt.Sprintf("former %d, new %d", former, applied), at)
			for need := range sm.Index(11) {
				if need == 0 {
					continue
				}
				got, err := s.read(Need{AtLeast: need})
				if need <= at && (err != nil || got != at) || need > at && !errors.Is(err, context.Canceled) {
					t.Errorf("former %d, new %d: a read at %d answers at %d, error %v", former, applied, need, got, err)
				}
			}
		}
	}
}

// TestReplacedReplicaRepeatsNoCommand replaces a replica. Commands that the former one recorded are
// not recorded again.
func TestReplacedReplicaRepeatsNoCommand(t *testing.T) {
	t.Parallel()
	s := newServingGroup(t)
	for _, commands := range []int{4, 2, 6, 10} {
		s.cfg.History.EnterEpoch(Epoch{1}, false, 0)
		s.apply(s.begin(Epoch{1}), commands)
		s.end()
	}
	var got []sm.Index
	for index := sm.Index(1); index <= 10; index++ {
		r, err := s.cfg.History.Next(t.Context(), s.cfg.History.Origin(Epoch{}), index, func() error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.First)
	}
	if diff := cmp.Diff([]sm.Index{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, got); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

// TestFormerMachineEnds ends the epoch and the member's part. The former replica's machine then
// answers no reads.
func TestFormerMachineEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(*servingGroup)
		runs bool // a replica runs afterwards
	}{
		"another epoch is entered": {func(s *servingGroup) { s.begin(Epoch{2}) }, true},
		"its epoch is sealed":      {func(s *servingGroup) { s.receiveSealed(Epoch{1}, 9) }, false},
		"its epoch is continued by another": {func(s *servingGroup) {
			s.endEpoch(Epoch{1}, allCommands)
		}, false},
	} {
		s := newServingGroup(t)
		s.apply(s.begin(Epoch{1}), 5)
		s.end()
		s.wantAt(name, 5)
		c.end(s)
		switch got, err := s.read(Need{}); {
		case c.runs && (got != 0 || err != nil):
			t.Errorf("%s: a weak read answers at %d, error %v", name, got, err)
		case !c.runs && !errors.Is(err, ErrForming):
			t.Errorf("%s: a weak read answers at %d, error %v; want %v", name, got, err, ErrForming)
		}
		if got := s.appliedIndex.Get(); got != 0 {
			t.Errorf("%s: %d commands are applied", name, got)
		}
	}
}

// TestFormerMachinePanicked reads while a replica replaces one whose machine panicked. The error
// does not claim that the new machine is poisoned.
func TestFormerMachinePanicked(t *testing.T) {
	t.Parallel()
	s := newServingGroup(t)
	s.log[5] = format.AppendCommand(format.Begin(nil, format.Header{
		Kind: format.KindCommands, Session: format.SessionID{1}, Sequence: 4, Level: 1,
	}, nil, 1), []byte("panic"))
	old := s.begin(Epoch{1})
	s.apply(old, 4)
	if _, err := s.read(Need{}); !errors.Is(err, consensus.ErrPoisoned) {
		t.Errorf("a read of a machine that panicked: %v", err)
	}
	s.end()
	s.begin(Epoch{1})
	if _, err := s.read(Need{}); !errors.Is(err, ErrForming) || errors.Is(err, consensus.ErrPoisoned) {
		t.Errorf("a read while a new replica replaces a broken one: %v", err)
	}
}
