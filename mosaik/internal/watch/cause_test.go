package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

func TestCause(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	caused, end := context.WithCancelCause(t.Context())
	end(io.EOF)
	wrapped, end := context.WithCancelCause(t.Context())
	end(fmt.Errorf("gone: %w", context.Canceled))
	late, cancel := context.WithTimeoutCause(t.Context(), 0, io.EOF)
	defer cancel()
	beyond, cancel := context.WithDeadline(t.Context(), time.Time{})
	defer cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		want string
		is   []error
	}{
		"a context that goes on":        {ctx: t.Context()},
		"canceled":                      {canceled, "context canceled", []error{context.Canceled}},
		"canceled with a cause":         {caused, "context canceled: EOF", []error{context.Canceled, io.EOF}},
		"canceled with a cause that is": {wrapped, "context canceled: gone: context canceled", []error{context.Canceled}},
		"a deadline":                    {beyond, "context deadline exceeded", []error{context.DeadlineExceeded}},
		"a deadline with a cause":       {late, "context deadline exceeded: EOF", []error{context.DeadlineExceeded, io.EOF}},
	} {
		err := Cause(c.ctx)
		if text := fmt.Sprint(err); err != nil && text != c.want || err == nil && c.want != "" {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		for _, target := range c.is {
			if !errors.Is(err, target) {
				t.Errorf("%s: %v is not %v", name, err, target)
			}
		}
	}
}
