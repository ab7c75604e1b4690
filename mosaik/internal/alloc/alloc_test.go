package alloc

import "testing"

var sink []byte

// TestBytes allocates a known number of bytes.
func TestBytes(t *testing.T) {
	for _, n := range []int{1 << 10, 1 << 20} {
		if got := Bytes(func() { sink = make([]byte, n) }); got != uint64(n) {
			t.Errorf("making %d bytes allocates %d", n, got)
		}
	}
	if got := Bytes(func() {}); got != 0 {
		t.Errorf("doing nothing allocates %d bytes", got)
	}
}

func TestVariants(t *testing.T) {
	if got := len(Variants([]byte{1, 2, 3}, nil)); got != 2+3*4 {
		t.Errorf("%d variants, want 14", got)
	}
}
