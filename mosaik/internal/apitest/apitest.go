// Package apitest has what the tests of package mosaik and those of whole groups share. Only tests
// import it.
package apitest

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/mosaik-go/mosaik/mosaik"
	"github.com/mosaik-go/mosaik/mosaik/consensus"
	"github.com/mosaik-go/mosaik/sm"
)

// Errors are the exported error variables by name.
var Errors = map[string]error{
	"ErrForming": mosaik.ErrForming, "ErrStalled": mosaik.ErrStalled, "ErrLevel": mosaik.ErrLevel,
	"ErrTooLarge": mosaik.ErrTooLarge, "ErrInvalid": mosaik.ErrInvalid, "ErrResultLost": mosaik.ErrResultLost,
	"ErrUndecodable": mosaik.ErrUndecodable, "ErrOtherEpoch": mosaik.ErrOtherEpoch, "ErrNotLeader": mosaik.ErrNotLeader,
	"ErrPrecondition": mosaik.ErrPrecondition, "ErrVoteNeeded": mosaik.ErrVoteNeeded, "ErrNotStopped": mosaik.ErrNotStopped,
	"ErrClosed": mosaik.ErrClosed, "ErrSuperseded": mosaik.ErrSuperseded, "ErrPoisoned": consensus.ErrPoisoned,
	"ErrStorage": mosaik.ErrStorage, "ErrOutdated": consensus.ErrOutdated,
}

var tableRow = regexp.MustCompile("(?m)^\\| `(Err\\w+)` \\|(?: [^|]+ \\|){2} (yes|no) \\| [^|]+ \\|$")

// ErrorTable returns the table of docs/guarantees.md, which is at path: by the names of the error
// variables, whether a call that ends so can be retried.
func ErrorTable(path string) (map[string]bool, error) {
	doc, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	table := make(map[string]bool)
	for _, row := range tableRow.FindAllStringSubmatch(string(doc), -1) {
		if _, twice := table[row[1]]; twice {
			return nil, fmt.Errorf("the table of docs/guarantees.md has two rows for %s", row[1])
		}
		table[row[1]] = row[2] == "yes"
	}
	return table, nil
}

// WantMessage fails the test unless err contains all parts.
func WantMessage(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want one that contains %q", what, parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %q does not contain %q", what, err, part)
		}
	}
}

// OpenNetwork opens a network that ends with the test.
func OpenNetwork(t *testing.T, id sm.Digest, opts ...mosaik.Option) *mosaik.Network {
	t.Helper()
	n, err := mosaik.Open(t.Context(), id, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}
