package consensus

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/sm"
)

func TestRefusedErrorNamesPeerAndReason(t *testing.T) {
	t.Parallel()
	peer := sm.PeerID{0x8a, 0x88, 0xe3, 0xdd, 0x74}
	got := map[CloseCode]string{}
	for _, code := range []CloseCode{
		CodeAccepted, CodeOtherNetwork, CodeCancelled, CodeUnexpectedClose, CodeProtocolViolation, CodeUnknownPeer, CodeUndecodable,
		CodeTicketRefused, CodeUnknownGroup, CodeWrongProof, CodeTimeout, CodeAlreadyBonded, 7,
	} {
		got[code] = (&RefusedError{Peer: peer, Code: code}).Error()
	}
	prefix := "peer 8a88e3dd74 refused: "
	want := map[CloseCode]string{
		0:     prefix + "0, accepted",
		7:     prefix + "7, code without a name",
		101:   prefix + "101, other network",
		102:   prefix + "102, cancelled or leaving",
		103:   prefix + "103, unexpected close",
		400:   prefix + "400, protocol violation",
		401:   prefix + "401, unknown peer",
		30400: prefix + "30400, undecodable message",
		30403: prefix + "30403, ticket refused",
		30404: prefix + "30404, unknown group",
		30405: prefix + "30405, wrong proof of the group key",
		30408: prefix + "30408, timed out",
		30429: prefix + "30429, already bonded",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("errors differ (-want +got):\n%s", diff)
	}
}

// declaredCodes returns the constants of type CloseCode, as the source declares them.
func declaredCodes(t *testing.T) (declared []CloseCode) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if !strings.HasPrefix(name.Name, "Code") {
				continue
			}
			value, err := strconv.ParseUint(spec.Values[i].(*ast.BasicLit).Value, 10, 32)
			if err != nil {
				t.Fatalf("%s: %v", name.Name, err)
			}
			declared = append(declared, CloseCode(value))
		}
		return true
	})
	if len(declared) < 16 {
		t.Fatalf("found %d constants, expected 16 or more", len(declared))
	}
	return declared
}

// TestCodesAreListed compares the list of codes with the constants and with the
// table in docs/formats.md.
func TestCodesAreListed(t *testing.T) {
	t.Parallel()
	declared := declaredCodes(t)
	if !slices.IsSorted(declared) {
		t.Errorf("the constants are not sorted: %d", declared)
	}
	if diff := gocmp.Diff(declared, slices.Sorted(maps.Keys(meanings))); diff != "" {
		t.Errorf("the known codes (-declared +listed):\n%s", diff)
	}
	var rows strings.Builder
	for _, code := range declared {
		fmt.Fprintf(&rows, "| %d | %s |\n", uint32(code), code)
		if !code.IsKnown() || (code + 1000).IsKnown() {
			t.Errorf("IsKnown is wrong for %d or %d", code, code+1000)
		}
	}
	doc, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?s)## Close codes.*?\n\|---\|---\|\n((?:\|[^\n]*\n)+)`).FindSubmatch(doc)
	if table == nil {
		t.Fatal("docs/formats.md has no table of close codes")
	}
	if diff := gocmp.Diff(rows.String(), string(table[1])); diff != "" {
		t.Errorf("docs/formats.md (-want +got):\n%s", diff)
	}
}
