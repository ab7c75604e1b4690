package gen

import (
	"fmt"
	"testing"
)

func TestNearMisses(t *testing.T) {
	t.Parallel()
	const loose, above = false, true
	for _, tt := range []struct {
		comment   string
		aboveType bool
		want      string
	}{
		// Directives of a tool, in any place.
		{"//Mosaik:command", loose, "//mosaik:command"},
		{"//MOSAIK:machine name=x version=1", loose, "//mosaik:machine name=x version=1"},
		{"//mosaic:command", loose, "//mosaik:command"},
		{"//mosiak:query", above, "//mosaik:query"},
		{"//Mosaik:comand", loose, "//mosaik:comand"},
		{"//Mosaik:Command", loose, "//mosaik:command"},
		// No colon.
		{"//mosaik-command", above, "//mosaik:command"},
		{"//mosaik-command", loose, "//mosaik:command"},
		{"//mosaik.machine name=x version=1 snapshot", above, "//mosaik:machine name=x version=1 snapshot"},
		{"//mosaik_query", above, "//mosaik:query"},
		{"//mosaik/query", above, "//mosaik:query"},
		{"//mosaik=query", above, "//mosaik:query"},
		{"//mosaik command", above, "//mosaik:command"},
		{"//mosaik :command", above, "//mosaik:command"},
		{"//Mosaik: command", above, "//mosaik:command"},
		// Space in front.
		{"// mosaik:command", above, "//mosaik:command"},
		{"// Mosaik:Command", above, "//mosaik:command"},
		{"//\tmosaik:machine name=x version=1 snapshot", above, "//mosaik:machine name=x version=1 snapshot"},
		{"// mosaik:query  ", above, "//mosaik:query"},
		{"// mosaik-variant name=v", above, "//mosaik:variant name=v"},
		// Blocks.
		{"/*mosaik:command*/", above, "//mosaik:command"},
		{"/* mosaik:command */", above, "//mosaik:command"},
		{"/*\nDeposit adds.\nmosaik:command name=deposit\n*/", above, "//mosaik:command name=deposit"},
		{"/*\r\n\tMosaik:codec name=c\r\n*/", above, "//mosaik:codec name=c"},

		// Prose.
		{"// mosaik:command", loose, ""},
		{"/* mosaik:command */", loose, ""},
		{"// mosaik:commands are not one", above, ""},
		{"// mosaik:command and mosaik:query are what the generator looks for", above, ""},
		{"// a mosaik:command", above, ""},
		{"// mosaik: see README", above, ""},
		{"// Mosaik machine", above, ""},
		{"// Mosaik machines are deterministic.", above, ""},
		{"// mosaik-gen writes the codec.", above, ""},
		{"//mosaik-gen command", above, ""},
		{"/* mosaik machine: the store */", above, ""},
		{"//", above, ""},
		{"/**/", above, ""},
		{"//go:generate go tool mosaik-gen", above, ""},
		{"//nolint:mosaik", above, ""},
		{"//mosquito:command", above, ""},
		{"//mosaikcommand", above, ""},
	} {
		t.Run(fmt.Sprintf("%s/%t", tt.comment, tt.aboveType), func(t *testing.T) {
			if got := nearMiss(tt.comment, tt.aboveType); got != tt.want {
				t.Errorf("nearMiss = %q, want %q", got, tt.want)
			}
		})
	}
}
