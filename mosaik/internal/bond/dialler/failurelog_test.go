package dialler

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
)

func TestRootCause(t *testing.T) {
	t.Parallel()
	dial := func(port int) error {
		return fmt.Errorf("dial: %w", &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: port}, Err: errors.New("reset")})
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{dial(1), "reset"},
		{errors.Join(dial(1), dial(2)), "reset\nreset\n"},
		{fmt.Errorf("all: %w", errors.Join(dial(3))), "reset\n"},
	} {
		if got := rootCause(c.err); got != c.want {
			t.Errorf("root cause of %q is %q, want %q", c.err, got, c.want)
		}
	}
}

// TestFailuresOfOneCause compares errors whose texts differ only in port numbers and order.
func TestFailuresOfOneCause(t *testing.T) {
	t.Parallel()
	errNobody := errors.New("nobody listens there")
	lookup := func(port string) error {
		return &net.DNSError{Err: "dial udp 127.0.0.1:" + port + "->127.0.0.53:53: connection refused", Name: "seed.example", Server: "127.0.0.53:53"}
	}
	var f FailureLog
	var got []bool
	for _, err := range []error{
		lookup("41234"), lookup("5"), // from another port
		errors.Join(lookup("6"), errNobody), errors.Join(errNobody, lookup("7"), errNobody), // in another order
		errNobody, nil, errNobody,
	} {
		got = append(got, f.Changed(err))
	}
	if want := []bool{true, false, true, false, true, false, true}; !slices.Equal(got, want) {
		t.Errorf("changed %v, want %v", got, want)
	}
}
