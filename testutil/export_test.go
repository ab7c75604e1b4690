package testutil

import (
	"testing"

	"github.com/mosaik-go/mosaik/sm"
)

// ReportDeterminism returns what CheckDeterminismWith would report.
func ReportDeterminism[C any, M sm.StateMachine[C]](t *testing.T, newMachine func() M, options Determinism[C]) (string, error) {
	return options.report(t, subject[C](t, newMachine))
}
