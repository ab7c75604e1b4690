package gen

import "testing"

func TestSpacedDirectives(t *testing.T) {
	t.Parallel()
	for comment, want := range map[string]bool{
		"// mosaik:command":                            true,
		"//\tmosaik:machine name=x version=1 snapshot": true,
		"// mosaik:query":                              true,
		"// mosaik:commands are not one":               false,
		"// mosaik:command and mosaik:query are what the generator looks for": false,
		"// a mosaik:command":   false,
		"/* mosaik:command */":  false,
		"//":                    false,
		"// mosaik: see README": false,
	} {
		if got := isSpacedDirective(comment); got != want {
			t.Errorf("%q: %t, want %t", comment, got, want)
		}
	}
}
