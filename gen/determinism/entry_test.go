package determinism

import (
	"slices"
	"testing"
)

// TestEntryFlag checks functions that are not methods of machines.
func TestEntryFlag(t *testing.T) {
	defer func() { _ = entryPattern.Set("") }()
	if err := entryPattern.Set("("); err == nil {
		t.Error("a wrong expression was accepted")
	}
	for _, tt := range []struct {
		pattern string
		want    []string
	}{
		{"", nil},
		{`/lib\.Stamp$`, []string{"time.Now reads the clock of this member; use at.Now() (in Stamp → now)"}},
		{`\*.*/lib\.Log\)\.`, nil},
		{`/lib\.Keys$`, []string{"the order of map m is random: out has its elements in it; " + sortKeys + " (in Keys)"}},
	} {
		if err := entryPattern.Set(tt.pattern); err != nil {
			t.Fatal(err)
		}
		if got := entryPattern.String(); got != tt.pattern {
			t.Errorf("the flag is %q, want %q", got, tt.pattern)
		}
		findings, err := Check(t.Context(), Config{Patterns: []string{"./testdata/zoo/lib"}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range findings {
			got = append(got, f.Message)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("-entry %s: %q, want %q", tt.pattern, got, tt.want)
		}
	}
}

// TestCheckErrors checks what Check returns for packages that it cannot load.
func TestCheckErrors(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"./testdata/nowhere", "example.com/nowhere"} {
		if findings, err := Check(t.Context(), Config{Patterns: []string{pattern}}); err == nil {
			t.Errorf("%s: %v and no error", pattern, findings)
		}
	}
}
