package sm_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mosaik-go/mosaik/sm"
)

func TestApplyContext(t *testing.T) {
	t.Parallel()
	at := sm.NewApplyContext(sm.ApplyInfo{Index: 7, Term: 3, Group: sm.ID("group"), Network: sm.ID("network")})
	if at.Index() != 7 || at.Term() != 3 || at.Cursor() != (sm.Cursor{Term: 3, Index: 7}) {
		t.Errorf("context is at %d, %d, %s; want 7, 3, t3/i7", at.Index(), at.Term(), at.Cursor())
	}
	if at.Group() != sm.ID("group") || at.Network() != sm.ID("network") {
		t.Errorf("context is of group %s on network %s", at.Group(), at.Network())
	}
}

func TestApplyContextNow(t *testing.T) {
	t.Parallel()
	written := time.Date(2024, 5, 6, 7, 8, 9, 10, time.FixedZone("proposer", 2*3600))
	want := time.Date(2024, 5, 6, 5, 8, 9, 10, time.UTC)
	for _, zone := range []*time.Location{written.Location(), time.UTC, time.FixedZone("elsewhere", -3600)} {
		got := sm.NewApplyContext(sm.ApplyInfo{Time: written.In(zone)}).Now()
		if got != want || got.String() != want.String() {
			t.Errorf("Now = %s for a time in %s, want %s", got, zone, want)
		}
	}
}

func TestApplyContextRand(t *testing.T) {
	t.Parallel()
	draw := func(info sm.ApplyInfo) []uint64 {
		r := sm.NewApplyContext(info).Rand()
		return []uint64{r.Uint64(), r.Uint64(), r.Uint64N(1000)}
	}
	base := sm.ApplyInfo{Index: 5, Term: 2, Seed: 42, Time: time.Unix(1, 0)}
	// State depends on it: this vector must never change.
	want := []uint64{7313365094723526219, 3699932107775423933, 922}
	if diff := cmp.Diff(want, draw(base)); diff != "" {
		t.Errorf("draws for seed 42, index 5 (-want +got):\n%s", diff)
	}
	same := base
	same.Term, same.Time, same.Group = 9, time.Unix(2, 0), sm.ID("group")
	if diff := cmp.Diff(draw(base), draw(same)); diff != "" {
		t.Errorf("draws depend on more than seed and index (-want +got):\n%s", diff)
	}
	for _, other := range []sm.ApplyInfo{{Index: 6, Seed: 42}, {Index: 5, Seed: 43}} {
		if cmp.Equal(draw(base), draw(other)) {
			t.Errorf("seed %d, index %d draws like seed 42, index 5", other.Seed, other.Index)
		}
	}
	at := sm.NewApplyContext(base)
	if at.Rand().Uint64() != at.Rand().Uint64() {
		t.Error("two sources of one command differ")
	}
}
