package gen

import "testing"

// TestOwnMachines checks that the generated files in this repository are up to
// date.
func TestOwnMachines(t *testing.T) {
	t.Parallel()
	result, err := Generate(t.Context(), Config{Dir: "..", Patterns: []string{"./examples/quickstart/ledger", "./mosaik/integration/testdata/savings"}})
	if err != nil {
		t.Fatal(err)
	}
	if differences, err := result.Check(); err != nil || len(differences) > 0 || len(result.Files) != 4 {
		t.Errorf("Check of %d files: %v, %v; run go generate", len(result.Files), differences, err)
	}
}
