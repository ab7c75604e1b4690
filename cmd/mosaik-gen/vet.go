package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/mosaik-go/mosaik/gen/determinism"
)

// isVetTool reports whether go vet runs the command with its option -vettool: it asks for the
// version and the flags, and then passes a configuration file for each package.
func isVetTool(args []string) bool {
	if len(args) == 0 {
		return false
	}
	last := args[len(args)-1]
	return args[0] == "-V=full" || args[0] == "-flags" || strings.HasSuffix(last, ".cfg")
}

// vetTool serves go vet, and ends the process.
func vetTool() { unitchecker.Main(determinism.Analyzer) }

// vet runs mosaik-gen vet and returns its exit code: 1 if there are findings, 2 if there was
// an error.
func vet(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var config determinism.Config
	flags := flag.NewFlagSet("mosaik-gen vet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, vetManual) }
	asJSON := flags.Bool("json", false, "")
	flags.StringVar(&config.Dir, "C", "", "")
	flags.StringVar(&config.Tags, "tags", "", "")
	flags.Var(determinism.Analyzer.Flags.Lookup("entry").Value, "entry", "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	config.Patterns = flags.Args()
	findings, err := determinism.Check(ctx, config)
	if err != nil {
		fmt.Fprintln(stderr, shortAll(err.Error()))
		return 2
	}
	if *asJSON {
		err = printJSON(stdout, findings)
	} else {
		for _, f := range findings {
			f.Pos.Filename = short(f.Pos.Filename)
			if _, err = fmt.Fprintf(stdout, "%s: %s\n", f.Pos, f.Message); err != nil {
				break
			}
		}
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, err)
		return 2
	case len(findings) > 0:
		return 1
	}
	return 0
}

// shortAll is [short] for the paths within a text.
func shortAll(text string) string {
	dir, err := os.Getwd()
	if err != nil {
		return text
	}
	return strings.ReplaceAll(text, dir+string(filepath.Separator), "")
}

// found is a finding in the output of -json.
type found struct {
	Package  string `json:"package"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Category string `json:"category"`
	Message  string `json:"message"`
}

// printJSON writes one JSON object for each finding, on a line of its own.
func printJSON(w io.Writer, findings []determinism.Finding) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, f := range findings {
		err := e.Encode(found{f.Package, short(f.Pos.Filename), f.Pos.Line, f.Pos.Column, f.Category, f.Message})
		if err != nil {
			return err
		}
	}
	return nil
}

const vetManual = `NAME
    mosaik-gen vet - report what makes state machines not deterministic

SYNOPSIS
    mosaik-gen vet [-json] [-C dir] [-tags list] [-entry regexp] [packages]
    go vet -vettool=$(which mosaik-gen) [packages]

DESCRIPTION
    mosaik-gen vet checks the machines in the named packages, by default those
    of the current directory. It follows the calls of ApplyTo, Apply,
    ApplyBatch, Restore, AfterRestore and Upgrade, also into other packages,
    and reports what differs between members: clocks, random numbers, the
    environment, files, the network, goroutines and channels, the order of
    maps, addresses, floating point that depends on the platform, variables of
    packages, results that share memory with the state, and calls of groups. In
    a Query it reports writes to the state.

    Each line has the position, what is wrong, what to do, and the calls that
    lead there. The packages must compile: run go generate first.

    A comment //mosaik:allow with a reason silences a line. In front of a
    statement or a declaration it silences all of it. A comment without a
    reason, or one that silences nothing, is reported.

    docs/determinism.md lists what is checked, and what cannot be seen.

OPTIONS
    -json         print one JSON object for each finding: package, file, line,
                  column, category and message
    -C dir        resolve packages in dir
    -tags list    build tags, separated by commas
    -entry regexp also check functions whose full name, such as
                  (*example.com/store.Machine).Update, matches

EXIT STATUS
    0   nothing was found
    1   something was found
    2   the packages do not compile, or an operation failed
`
