// Command mosaik-gen generates the code that connects state machines to mosaik. Run
// it with -h for its manual.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mosaik-go/mosaik/gen"
)

func main() {
	if isVetTool(os.Args[1:]) {
		vetTool()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs the command and returns its exit code: 1 if -check or vet found something, 2 if
// there was an error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "vet" {
		return vet(ctx, args[1:], stdout, stderr)
	}
	var config gen.Config
	flags := flag.NewFlagSet("mosaik-gen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, manual) }
	check := flags.Bool("check", false, "")
	verbose := flags.Bool("v", false, "")
	flags.StringVar(&config.Dir, "C", "", "")
	flags.StringVar(&config.Tags, "tags", "", "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	config.Patterns = flags.Args()
	result, err := gen.Generate(ctx, config)
	if err != nil {
		fmt.Fprintln(stderr, relative(err))
		return 2
	}
	if *check {
		return compare(result, stdout, stderr)
	}
	for _, change := range result.Changes {
		fmt.Fprintln(stdout, change)
	}
	written, err := result.Write()
	if *verbose {
		for _, path := range written {
			fmt.Fprintln(stdout, short(path))
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	return 0
}

// compare prints which files differ from the result, and returns the exit code.
func compare(result *gen.Result, stdout, stderr io.Writer) int {
	differences, err := result.Check()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	for _, line := range append(result.Changes, differences...) {
		fmt.Fprintln(stdout, short(line))
	}
	if len(differences) > 0 {
		fmt.Fprintf(stderr, "mosaik-gen: generated files are not up to date; run go generate %s and commit the result\n", strings.Join(directories(differences), " "))
		return 1
	}
	return 0
}

// directories returns the directories of the files in lines of [gen.Result.Check],
// as patterns of the go command.
func directories(differences []string) (out []string) {
	for _, line := range differences {
		path, _, _ := strings.Cut(line, ": ")
		dir := filepath.Dir(short(path))
		if !filepath.IsAbs(dir) && dir != "." {
			dir = "./" + filepath.ToSlash(dir)
		}
		if !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}

// relative makes the positions of an error relative to the current directory.
func relative(err error) error {
	var problems gen.Problems
	if !errors.As(err, &problems) {
		return err
	}
	for i := range problems {
		problems[i].Pos.Filename = short(problems[i].Pos.Filename)
	}
	return problems
}

// short returns path relative to the current directory if it is below it.
func short(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
