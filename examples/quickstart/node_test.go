package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPrompt(t *testing.T) {
	t.Parallel()
	script := `
deposit alice 10
transfer alice bob 4
transfer alice bob 40
balance bob
balance bob weak
balance nobody
accounts
leader
status
deposit alice
deposit alice ten
balance bob strongly
steal alice 10
quit
deposit alice 1
`
	var out strings.Builder
	config := nodeConfig{listen: "127.0.0.1:0", key: "the key that all nodes of a test share", network: t.Name(), name: "ada", members: 1}
	if err := runNode(soon(t), config, strings.NewReader(script), &out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "*") {
			got = append(got, regexp.MustCompile(`[0-9a-f]{10}|127\S+`).ReplaceAllString(line, "X"))
		}
	}
	want := []string{
		`listening on X as peer X`,
		`alice holds 10`,
		`alice holds 6, bob holds 4`,
		`error: ledger: insufficient funds: "alice" holds 6, not 40`,
		`bob holds 4, as of command 3 (strong)`,
		`bob holds 4, as of command 3 (weak)`,
		`error: ledger: no such account: "nobody"`,
		`alice holds 6`,
		`bob holds 4`,
		`2 accounts, as of command 3 (strong)`,
		`ada (this node) leads`,
		`group X, 3 commands applied, 1 members`,
		`  ada (this node)                          leads, votes`,
		`usage: deposit ACCOUNT AMOUNT`,
		`error: the amount "ten" is not a whole number that fits`,
		`usage: balance ACCOUNT [weak]`,
		`error: there is no command "steal"; try help`,
		`left the group`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the conversation (-want +got):\n%s", diff)
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	n := &node{out: &out}
	n.call(t.Context(), []string{"help"})
	for _, c := range commands() {
		if !strings.Contains(out.String(), "  "+c.name+" ") {
			t.Errorf("help does not name %q:\n%s", c.name, out.String())
		}
	}
}
