package group

import "testing"

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
