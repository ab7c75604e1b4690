package transport

import "testing"

func TestPipeline(t *testing.T) {
	t.Parallel()
	var p pipeline
	want := func(from, index uint64, want int) {
		t.Helper()
		if got := p.acknowledged(from, index); got != want {
			t.Errorf("%d more messages after %d was acknowledged, want %d", got, index, want)
		}
	}
	want(2, 10, 0)
	p.sent(2, 10)
	want(3, 10, 0) // another replica
	want(2, 9, 0)  // of an earlier one
	want(2, 10, 2)
	want(2, 10, 0) // again
	for i := range uint64(maxInflight + 2) {
		p.sent(2, 20+i)
	}
	want(2, 20, 0) // too many are in flight
	want(2, 21, 0)
	want(2, 22, 1)
	want(2, 24, 2)
	p.sent(2, 25) // once more, from there on
	p.sent(2, 25)
	want(2, 25, 2)
	want(2, 30, 0)
	if len(p.inflight) != 0 {
		t.Errorf("%v is in flight, want nothing", p.inflight)
	}
}
