package tree

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain makes nodes narrow, so that small trees are deep.
func TestMain(m *testing.M) {
	maxKids, leafLeast, leafMost = 8, 8, 8
	goleak.VerifyTestMain(m)
}
