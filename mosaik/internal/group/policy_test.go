package group

import "testing"

func TestReluctance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role      Role
		factor    int
		reluctant bool
	}{
		{Role{}, 1, false}, {Role{Observer: true}, 1, false}, {Role{Reluctance: -3}, 1, false},
		{Role{Reluctance: 1}, 1, false}, {Role{Reluctance: 2}, 2, true}, {Role{Reluctance: 100}, 100, true},
	} {
		if got := factorOf(c.role); int(got) != c.factor || isReluctant(c.role) != c.reluctant {
			t.Errorf("%v: factor %d, reluctant %t; want %d, %t", c.role, got, isReluctant(c.role), c.factor, c.reluctant)
		}
	}
}
