package gather

import (
	"slices"
	"testing"
)

func TestWait(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		woken  int
		counts []int // the results of count
		asked  int   // how often count is called
	}{
		"no caller was woken":     {0, []int{0, 1}, 1},
		"no caller comes":         {3, []int{1, 1, 2}, 2},
		"all come":                {3, []int{0, 2, 3, 4}, 3},
		"others are here already": {3, []int{3, 5, 6, 7}, 3},
		"some come":               {9, []int{0, 2, 3, 3, 4}, 4},
		"some leave":              {9, []int{4, 3, 5}, 2},
		"they come one after one": {99, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 1 + yields},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rest := slices.Clone(c.counts)
			asked := 0
			Wait(c.woken, func() int {
				asked++
				next := rest[0]
				rest = rest[1:]
				return next
			})
			if asked != c.asked {
				t.Errorf("count was called %d times, want %d", asked, c.asked)
			}
		})
	}
}
