package isolate

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func breaks(how func()) { how() }

func TestCall(t *testing.T) {
	t.Parallel()
	called := false
	if broken, stack := Call(func() { called = true }); broken != nil || stack != nil || !called {
		t.Errorf("a call that returns was broken by %v at %s, called %t", broken, stack, called)
	}
	for name, c := range map[string]struct {
		how  func()
		want error
	}{
		"a panic":          {func() { panic(io.EOF) }, io.EOF},
		"a panic with nil": {func() { panic(nil) }, new(runtime.PanicNilError)},
		"an exit":          {runtime.Goexit, ErrExited},
		"an exit in a panic": {func() {
			defer runtime.Goexit()
			panic(io.EOF)
		}, ErrExited},
	} {
		broken, stack := Call(func() { breaks(c.how) })
		err, _ := broken.(error)
		var none *runtime.PanicNilError
		if !errors.Is(err, c.want) && !(errors.As(err, &none) && errors.As(c.want, &none)) {
			t.Errorf("%s: broken by %v, want %v", name, broken, c.want)
		}
		if !strings.Contains(string(stack), "isolate.breaks") {
			t.Errorf("%s: the stack does not show where:\n%s", name, stack)
		}
	}
}

func TestCaller(t *testing.T) {
	t.Parallel()
	for _, inline := range []bool{false, true} {
		calls := 0
		c := New(func() {
			if calls++; calls%2 == 0 {
				panic(io.EOF)
			}
		})
		if c.inline {
			t.Error("a function is called on the goroutine of the test")
		}
		c.inline = inline
		for i := range 4 {
			broken, stack := c.Call()
			if even := i%2 == 1; even != (broken == any(io.EOF)) || even != (stack != nil) || calls != i+1 {
				t.Errorf("inline %t, call %d: broken by %v at %s", inline, i, broken, stack)
			}
		}
	}
}
