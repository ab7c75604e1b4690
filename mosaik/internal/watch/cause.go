package watch

import (
	"context"
	"errors"
	"fmt"
)

// Cause returns why ctx ended, in which errors.Is finds the context's error and,
// where it was ended with another one, its cause; nil while it goes on.
func Cause(ctx context.Context) error { return WithCause(ctx, ctx.Err()) }

// WithCause adds the cause of the context's end to an error that tells of it. All
// others it returns as they are.
func WithCause(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	ended := ctx.Err()
	if ended == nil || !errors.Is(err, ended) {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
