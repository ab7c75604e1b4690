package watch_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/mosaik-go/mosaik/mosaik/internal/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWaitReturnsTheFirstMatchingValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch.New(1)
		got := make(chan int)
		go func() {
			v, err := w.Wait(t.Context(), func(v int) bool { return v >= 3 })
			if err != nil {
				t.Error(err)
			}
			got <- v
		}()
		synctest.Wait()
		w.Set(2)
		synctest.Wait()
		select {
		case v := <-got:
			t.Fatalf("Wait returned %d, which does not match", v)
		default:
		}
		w.Set(3)
		if v := <-got; v != 3 {
			t.Fatalf("Wait returned %d, want 3", v)
		}
	})
}

func TestWaitEnds(t *testing.T) {
	end := errors.New("ended")
	never := func(int) bool { return false }

	w := watch.New(1)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("cause")
	cancel(cause)
	if _, err := w.Wait(ctx, never); !errors.Is(err, cause) {
		t.Errorf("Wait under a cancelled context: %v, want %v", err, cause)
	}
	if v, err := w.Wait(ctx, func(v int) bool { return v == 1 }); v != 1 || err != nil {
		t.Errorf("Wait for what is there = %d, %v; want 1, nil", v, err)
	}
	w.End(end)
	w.End(errors.New("later"))
	w.Set(7)
	if v, err := w.Wait(t.Context(), never); !errors.Is(err, end) || v != 1 {
		t.Errorf("Wait after End = %d, %v; want 1, %v", v, err, end)
	}
}

func TestUpdateMayDecline(t *testing.T) {
	w := watch.New(1)
	w.Update(func(v int) (int, bool) { return v + 1, false })
	if v := w.Get(); v != 1 {
		t.Fatalf("a declined update left %d, want 1", v)
	}
	w.Update(func(v int) (int, bool) { return v + 1, true })
	if v := w.Get(); v != 2 {
		t.Fatalf("an update left %d, want 2", v)
	}
}

func TestAllYieldsTheCurrentValueAndEachLatest(t *testing.T) {
	w := watch.New(0)
	var seen []int
	for v := range w.All(t.Context()) {
		seen = append(seen, v)
		if v == 0 {
			w.Set(1)
			w.Set(2) // 1 is skipped: the consumer was busy
			continue
		}
		w.End(errors.New("ended"))
	}
	if want := []int{0, 2}; !slices.Equal(seen, want) {
		t.Fatalf("All yielded %v, want %v", seen, want)
	}
}
