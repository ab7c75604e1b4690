package watch

import (
	"context"
	"errors"
	"fmt"
)

// Cause returns why ctx ended, nil if it has not. The error wraps the context's error and, if
// the context was cancelled with another cause, that cause.
func Cause(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
