package group

import (
	"errors"
	"slices"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik/internal/format"
	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
	"github.com/mosaik-go/mosaik/sm"
)

// What an epoch is still to take over lies nowhere else: nobody may give it up, or
// recover from what is there without it, because its only voter takes its time
// to elect itself.
func TestEstateIsNotGivenUp(t *testing.T) {
	t.Parallel()
	l := &life{estate: slices.Values([][]byte{{1}})}
	g := &Group{life: l, inbox: newMailbox(), applied: watch.New(sm.Index(0))}
	if g.reviewQuorum(l); g.stalled {
		t.Error("stalled, with its only voter here")
	}
	if got := g.outlook(l).verdict(); got != stay {
		t.Errorf("verdict %d, want %d", got, stay)
	}
	if _, err := g.recover(); !errors.Is(err, ErrNotStalled) {
		t.Errorf("recover: %v, want %v", err, ErrNotStalled)
	}
	l.estate, l.hangs = nil, true // which is not logged
	if g.reviewQuorum(l); !g.stalled {
		t.Error("not stalled, without a leader")
	}
}

// An epoch that took over another holds what that did, before it has commands
// of its own. Commands that nobody let in are refused.
func TestOutlookSees(t *testing.T) {
	t.Parallel()
	worth, none := outlook{commands: true}, outlook{}
	for _, tc := range []struct {
		log  []format.Kind
		want outlook
	}{
		{[]format.Kind{format.KindSeal}, none},
		{[]format.Kind{format.KindLevel}, none},
		{[]format.Kind{format.KindSession, format.KindCommands}, none},
		{[]format.Kind{format.KindSession, format.KindCommands, format.KindOpen}, outlook{opened: true}},
		{[]format.Kind{format.KindOpen, format.KindSession}, outlook{opened: true}},
		{[]format.Kind{format.KindOpen, format.KindSession, format.KindCommands}, outlook{opened: true, commands: true}},
		{[]format.Kind{format.KindAncestor}, worth},
		{[]format.Kind{format.KindReplay}, worth},
		{[]format.Kind{format.KindRestore}, worth},
		{[]format.Kind{0}, worth}, // not of this version
	} {
		var got outlook
		letIn := false
		for _, kind := range tc.log {
			letIn = got.see(format.Append(nil, &format.Envelope{Header: format.Header{Kind: kind}}), letIn)
		}
		if got != tc.want {
			t.Errorf("proposals of kinds %d: %+v, want %+v", tc.log, got, tc.want)
		}
	}
	var got outlook
	if got.see(format.Append(nil, &format.Envelope{Header: format.Header{Kind: format.KindCommands}}), true); got != worth {
		t.Errorf("commands behind a pruned beginning: %+v, want %+v", got, worth)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		o    outlook
		want verdict
	}{
		{"a spare that knows of nothing is free", outlook{}, depart},
		{"but not while a voter is here", outlook{voterSeen: true}, stay},
		{"nor once commands were let in", outlook{opened: true}, stay},
		{"nor with commands", outlook{commands: true}, stay},
		{"a voter was counted on", outlook{votes: true}, stay},
		{"but may end what cannot go on without it", outlook{votes: true, indispensable: true}, dissolve},
		{"also when commands were let in and none came", outlook{votes: true, indispensable: true, opened: true, voterSeen: true}, dissolve},
		{"never with commands", outlook{votes: true, indispensable: true, commands: true}, stay},
		{"a spare proves nothing for others", outlook{indispensable: true, opened: true}, stay},
	} {
		if got := tc.o.verdict(); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}
