package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// program is the path of the built quickstart.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "quickstart")
	if err != nil {
		fail(err)
	}
	program = filepath.Join(dir, "quickstart.exe")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fail(fmt.Errorf("go build: %w\n%s", err, out))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// patience is a timeout that no passing test reaches.
const patience = time.Minute

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestRunRefusesBadFlags(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"-listen", "nowhere"}, `"nowhere"`},
		{[]string{"-seed", "127.0.0.1"}, `"127.0.0.1"`},
		{[]string{"-listen", "127.0.0.1:0", "-key", " "}, "blank"},
		{[]string{"-listen", "127.0.0.1:0", "-members", "-1"}, "expected is -1"},
		{[]string{"deposit"}, `"deposit"`},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			t.Parallel()
			if err := run(soon(t), tc.args); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("run %q: %v, want an error that says %s", tc.args, err, tc.want)
			}
		})
	}
}
