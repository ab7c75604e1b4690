package apart

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
		if !strings.Contains(string(stack), "apart.breaks") {
			t.Errorf("%s: the stack does not show where:\n%s", name, stack)
		}
	}
}
