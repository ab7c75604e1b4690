package group

import (
	"errors"
	"slices"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// TestCarryoverIsNotGivenUp leaves an epoch without a leader that must still take over a carryover,
// which exists nowhere else. The epoch is neither stalled, nor given up, nor recovered from.
func TestCarryoverIsNotGivenUp(t *testing.T) {
	t.Parallel()
	l := &localReplica{carryover: slices.Values([][]byte{{1}})}
	g := &Group{local: l, inbox: newInbox(), appliedIndex: watch.New(sm.Index(0))}
	if g.reviewQuorum(l); g.stalled {
		t.Error("stalled, with its only voter here")
	}
	if got := g.abandonment(l).decide(); got != decideStay {
		t.Errorf("decision %d, want %d", got, decideStay)
	}
	if _, err := g.recover(); !errors.Is(err, ErrNotStalled) {
		t.Errorf("recover: %v, want %v", err, ErrNotStalled)
	}
	l.carryover, l.diskStalled = nil, true // a stalled disk, about which no second line is logged
	if g.reviewQuorum(l); !g.stalled {
		t.Error("not stalled, without a leader")
	}
}

// TestProposalsInTheLog scans logs. A carryover counts like commands. Commands before the open
// entry are rejected and do not count.
func TestProposalsInTheLog(t *testing.T) {
	t.Parallel()
	worth, none := abandonment{commands: true}, abandonment{}
	for _, tc := range []struct {
		log  []format.Kind
		want abandonment
	}{
		{[]format.Kind{format.KindSeal}, none},
		{[]format.Kind{format.KindLevel}, none},
		{[]format.Kind{format.KindSession, format.KindCommands}, none},
		{[]format.Kind{format.KindSession, format.KindCommands, format.KindOpen}, abandonment{opened: true}},
		{[]format.Kind{format.KindOpen, format.KindSession}, abandonment{opened: true}},
		{[]format.Kind{format.KindOpen, format.KindSession, format.KindCommands}, abandonment{opened: true, commands: true}},
		{[]format.Kind{format.KindAncestor}, worth},
		{[]format.Kind{format.KindReplay}, worth},
		{[]format.Kind{format.KindRestore}, worth},
		{[]format.Kind{0}, worth}, // of a newer version
	} {
		var got abandonment
		letIn := false
		for _, kind := range tc.log {
			letIn = got.noteProposal(format.Append(nil, &format.Envelope{Header: format.Header{Kind: kind}}), letIn)
		}
		if got != tc.want {
			t.Errorf("proposals of kinds %d: %+v, want %+v", tc.log, got, tc.want)
		}
	}
	var got abandonment
	if got.noteProposal(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindCommands}}), true); got != worth {
		t.Errorf("commands after a pruned beginning: %+v, want %+v", got, worth)
	}
}

func TestAbandonDecision(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		o    abandonment
		want abandonDecision
	}{
		{"a spare that knows nothing is free", abandonment{}, decideQuit},
		{"but not while a voter is bonded", abandonment{voterSeen: true}, decideStay},
		{"nor once the epoch is open", abandonment{opened: true}, decideStay},
		{"nor with commands", abandonment{commands: true}, decideStay},
		{"a voter was counted on", abandonment{votes: true}, decideStay},
		{"but may end an epoch that needs it", abandonment{votes: true, indispensable: true}, decideDissolve},
		{"even an open one without commands", abandonment{votes: true, indispensable: true, opened: true, voterSeen: true}, decideDissolve},
		{"never with commands", abandonment{votes: true, indispensable: true, commands: true}, decideStay},
		{"a spare proves nothing for others", abandonment{indispensable: true, opened: true}, decideStay},
	} {
		if got := tc.o.decide(); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}
