package rate

import (
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	t.Parallel()
	const burst, rate = 100, 10
	now := time.Unix(1, 0)
	b := NewBucket(burst, rate, now)
	if wait := b.Take(burst, now); wait != 0 {
		t.Errorf("waits %v for what may be spent at once", wait)
	}
	for i := range 3 { // claims queue up
		if got, want := b.Take(rate, now), time.Duration(i+1)*time.Second; got != want {
			t.Errorf("claim %d waits %v, want %v", i, got, want)
		}
	}
	if wait := NewBucket(0, 1e-9, now).Take(1e9, now); wait != LongestWait {
		t.Errorf("waits %v for what never comes, want %v", wait, LongestWait)
	}
	b.Return(2 * rate)
	now = now.Add(time.Second)
	if wait := b.Take(0, now); wait != 0 {
		t.Errorf("waits %v after the debt is paid", wait)
	}
	if wait := b.Wait(now); wait != 100*time.Millisecond {
		t.Errorf("1 of an empty bucket takes %v, want 100ms", wait)
	}
	if b.Take(0, now.Add(-time.Hour)); b.Left() != 0 {
		t.Errorf("%v left after the clock went back, want 0", b.Left())
	}
	if b.IsFull(now) {
		t.Error("an empty bucket is full")
	}
	if b.Take(0, now.Add(time.Hour)); b.Left() != burst {
		t.Errorf("%v left after an hour, want %d", b.Left(), burst)
	}
	if b.Return(1); b.Left() != burst || !b.IsFull(now) {
		t.Errorf("%v left, more than may be spent at once", b.Left())
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	b := NewBackoff(Bounds{Min: 100, Max: 500})
	wants := func(most ...time.Duration) {
		t.Helper()
		for i, m := range most {
			if got := b.Pause(); got < m/2 || got > m {
				t.Errorf("pause %d is %d, want %d to %d", i, got, m/2, m)
			}
		}
	}
	wants(100, 200, 400, 500, 500)
	b.Succeeded(499)
	wants(500)
	b.Succeeded(500)
	wants(100, 200)
}
