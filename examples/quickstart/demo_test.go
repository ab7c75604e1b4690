package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/examples/quickstart/ledger"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	held, err := demo(soon(t), &out)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	accounts := []ledger.Account{{Name: "alice", Balance: 350}, {Name: "bob", Balance: 300}, {Name: "carol", Balance: 7}}
	want := map[string][]ledger.Account{"ada": accounts, "ben": accounts, "cleo": accounts}
	if diff := cmp.Diff(want, held); diff != "" {
		t.Errorf("accounts in the end (-want +got):\n%s", diff)
	}
	for _, line := range []string{"strong read: bob holds 250", "insufficient funds", "is gone", "3 nodes, 7 commands, no disagreement."} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("the timeline does not say %q", line)
		}
	}
}
